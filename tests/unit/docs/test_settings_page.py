"""docs/settings.md names every setting, for the right process, and invents none."""

import re
from pathlib import Path

import msgspec
import pytest

from issuer.chain import rules
from issuer.providers.vendors import VENDORS, variables
from issuer.settings import ApiSettings, ChainSettings, DaemonSettings, DeploySettings, StoreSettings

ROOT = Path(__file__).resolve().parents[3]
ROW = re.compile(r"^\| `([A-Z_]+)` \|([^|]*)\|([^|]*)\| (.+) \|$", re.MULTILINE)
PAGE = {match[1]: match for match in ROW.finditer((ROOT / "docs/settings.md").read_text(encoding="utf-8"))}
LETTERS = {"A": (ApiSettings,), "D": (DaemonSettings, ChainSettings), "X": (DeploySettings,), "S": (StoreSettings,)}
# Read by a command or a script, not through a settings type.
OTHERS = {
    "CLAIMWRIGHT_KEYSTORE_PASSWORD",
    "CLAIMWRIGHT_OPERATOR_TOKEN",
    "CLAIMWRIGHT_RETENTION_DAYS",
    "CLAIMWRIGHT_LOG_DAYS",
    "CLAIMWRIGHT_SKIP_CHROMIUM",
    "TEST_DATABASE_URL",
    "PYTHON",
}


def fields(kinds) -> dict[str, msgspec.structs.FieldInfo]:
    every = [field for kind in kinds for field in msgspec.structs.fields(kind)]
    return {field.encode_name: field for field in every if field.encode_name.isupper()}


def used_by(name: str) -> set[str]:
    letters = {letter for letter, kind in LETTERS.items() if name in fields(kind)}
    letters |= {letter for letter, webhooks in (("A", True), ("D", False)) if name in variables(webhooks=webhooks)}
    return letters


EVERY = sorted({name for kind in LETTERS.values() for name in fields(kind)} | variables(webhooks=True))


@pytest.mark.parametrize("name", EVERY)
def test_a_setting_is_on_the_page_for_exactly_the_processes_that_read_it(name):
    assert name in PAGE, f"docs/settings.md does not name {name}"
    assert set(PAGE[name][2].split()) == used_by(name)


@pytest.mark.parametrize("name", EVERY)
def test_its_default_is_the_one_on_the_page(name):
    shown = PAGE[name][3].strip()
    for kind in LETTERS.values():
        field = fields(kind).get(name)
        if field is None:
            continue
        assert ("**required**" in shown) == field.required, name
        if isinstance(field.default, int) or (isinstance(field.default, str) and field.default):
            assert shown == f"`{field.default}`"


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=lambda vendor: vendor.name)
def test_a_vendors_defaults_are_on_the_page(vendor):
    shown = {name: PAGE[name][3].strip() for name in vendor.variables()}
    required = {*vendor.keys, vendor.webhook_secret, vendor.template, None if vendor.api_url else vendor.base_url}
    assert {name for name, default in shown.items() if "**required**" in default} == required - {None}
    told = {name: default for name, default in {**vendor.options, vendor.base_url: vendor.api_url}.items() if default}
    assert {name: shown[name] for name in told} == {name: f"`{default}`" for name, default in told.items()}


def test_the_page_names_no_setting_that_does_not_exist():
    assert set(PAGE) - set(EVERY) == OTHERS


def test_every_other_variable_on_the_page_is_read_somewhere():
    sources = [*ROOT.glob("issuer/**/*.py"), *ROOT.glob("tests/**/*.py"), ROOT / "scripts/setup", ROOT / "scripts/test"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources if path != Path(__file__))
    assert {name for name in OTHERS if not re.search(rf"\b{name}\b", text)} == set()


def test_every_known_chain_is_on_the_page_as_it_is_treated():
    table = (ROOT / "docs/settings.md").read_text(encoding="utf-8").partition("## Known chains")[2]
    for chain_id, profile in {31337: rules.LOCAL, **rules.PROFILES}.items():
        blocks = f"{profile.depth} block" + ("s" if profile.depth > 1 else "")
        final = "`finalized`" if profile.uses_finalized else blocks
        tips = f"{profile.min_tip / rules.GWEI:g} to {profile.max_tip / rules.GWEI:g}"
        cells = [
            chain_id,
            profile.name,
            final,
            f"{profile.block_seconds:g} s",
            tips,
            f"{profile.max_fee / rules.GWEI:g}",
        ]
        assert "| " + " | ".join(map(str, cells)) + " |\n" in table
