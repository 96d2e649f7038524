"""docs/settings.md names every setting, for the right process, and invents none."""

import re
from pathlib import Path

import msgspec
import pytest

from issuer.settings import PERSONA_VARIABLES, ApiSettings, DaemonSettings, DeploySettings, StoreSettings

ROOT = Path(__file__).resolve().parents[3]
ROW = re.compile(r"^\| `([A-Z_]+)` \|([^|]*)\|([^|]*)\| (.+) \|$", re.MULTILINE)
PAGE = {match[1]: match for match in ROW.finditer((ROOT / "docs/settings.md").read_text(encoding="utf-8"))}
LETTERS = {"A": ApiSettings, "D": DaemonSettings, "X": DeploySettings, "S": StoreSettings}
# Read by a command or a script, not through a settings type.
OTHERS = {"CLAIMWRIGHT_KEYSTORE_PASSWORD", "CLAIMWRIGHT_SKIP_CHROMIUM", "TEST_DATABASE_URL", "PYTHON"}


def fields(kind) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.encode_name: field for field in msgspec.structs.fields(kind) if field.name != "persona"}


def used_by(name: str) -> set[str]:
    letters = {letter for letter, kind in LETTERS.items() if name in fields(kind)}
    if name in PERSONA_VARIABLES:
        letters |= {"A"} if name == "PERSONA_WEBHOOK_SECRET" else {"A", "D"}
    return letters


EVERY = sorted({name for kind in LETTERS.values() for name in fields(kind)} | set(PERSONA_VARIABLES))


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


def test_the_page_names_no_setting_that_does_not_exist():
    assert set(PAGE) - set(EVERY) == OTHERS


def test_every_other_variable_on_the_page_is_read_somewhere():
    sources = [*ROOT.glob("issuer/**/*.py"), *ROOT.glob("tests/**/*.py"), ROOT / "scripts/setup", ROOT / "scripts/test"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources if path != Path(__file__))
    assert {name for name in OTHERS if not re.search(rf"\b{name}\b", text)} == set()
