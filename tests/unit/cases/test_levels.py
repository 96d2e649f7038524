"""Levels as data: what is shipped, what a file may say, and where a check is opened."""

import hashlib
import re
from pathlib import Path

import pytest

from issuer.cases import levels
from issuer.cases.levels import BASIC_TOPIC, LEVELS, Level, Policy
from issuer.errors import InvalidInput, SettingsError
from issuer.providers import registry
from issuer.settings import ApiSettings, load
from scripts.vendor_simulators.launch import environment

ROOT = Path(__file__).parents[3]
GOOD = """
[topics]
basic = 0x434C0001
[levels.basic]
says = "a person was checked"
topics = ["basic", 7001]
validity_days = 30
default_template = true
[levels.full]
says = "more"
topics = ["basic"]
validity_days = 365
form = "hosted"
chains = [1]
on_redaction = "revoke"
[levels.full.templates.sumsub]
sandbox = "full-level"
"""


def test_what_is_shipped():
    assert set(LEVELS) == {"contact", "basic", "enhanced", "full", "business"}
    assert LEVELS["basic"].topics == (BASIC_TOPIC,)
    assert [name for name, one in LEVELS.items() if one.default_template] == ["basic"]
    assert all(one.on_redaction == "keep" and one.form == "signed" for one in LEVELS.values())


def test_every_topic_that_is_issued_is_on_the_page_of_topics():
    page = (ROOT / "contracts/TOPICS.md").read_text()
    rows = {int(decimal): int(number, 16) for number, decimal in re.findall(r"`(0x434C[0-9A-F]{4})` \| (\d+)", page)}
    assert set(levels.all_topics()) == set(rows)
    assert all(decimal == number for decimal, number in rows.items())


def test_the_example_of_the_documents_is_a_good_file():
    (example,) = re.findall(r"```toml levels\n(.*?)```", (ROOT / "docs/levels.md").read_text(), re.DOTALL)
    found = levels.read(example)
    assert set(found) == {"basic", "investor"}
    assert found["investor"].template("persona", "production", "itmpl_default") == "itmpl_production123"
    assert found["investor"].requires("persona") == {"government-id", "selfie"}
    assert found["investor"].requires("sumsub") == set()


def test_a_file_is_read():
    found = levels.read(GOOD)
    assert found["basic"].topics == (BASIC_TOPIC, 7001)
    assert found["basic"].validity_seconds == 30 * 86_400
    assert (found["full"].form, found["full"].chains, found["full"].on_redaction) == ("hosted", (1,), "revoke")


def test_a_level_without_a_template_of_its_own_takes_no_other_check():
    found = levels.read(GOOD)
    assert found["basic"].template("persona", "sandbox", "itmpl_default") == "itmpl_default"
    assert found["full"].template("persona", "sandbox", "itmpl_default") is None
    assert found["full"].template("sumsub", "production", "default-level") is None
    assert found["full"].template("sumsub", "sandbox", "default-level") == "full-level"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("validity_days = 30", "validity_days = 0"), "validity_days"),
        (("validity_days = 30", "validity = 30"), "validity"),
        (('["basic", 7001]', "[]"), "topics"),
        (('["basic", 7001]', '["gold"]'), "'gold' has no number"),
        (('["basic", 7001]', "[0]"), "out of range"),
        (('["basic", 7001]', "[-1]"), "out of range"),
        (('form = "hosted"', 'form = "paper"'), "form"),
        (("templates.sumsub", "templates.jumio"), "no provider 'jumio'"),
        (('sandbox = "full-level"', 'testing = "x"'), "templates are for sandbox and production"),
        (('on_redaction = "revoke"', 'on_redaction = "forget"'), "on_redaction"),
        (("levels.full", "levels.'Full Level'"), "a name has"),
        (
            (
                "[levels.full.templates.sumsub]",
                "[levels.full.required]\nveriff = ['selfie']\n[levels.full.templates.sumsub]",
            ),
            "veriff names no single checks",
        ),
        (("chains = [1]", "required = {jumio = ['selfie']}"), "no provider 'jumio'"),
        (("chains = [1]", "required = {persona = ['Selfie 2']}"), "required"),
        (("chains = [1]", "reverify_days = 0"), "reverify_days"),
        (("[topics]", "[topics"), "is no levels file"),
    ],
)
def test_a_mistake_is_named(change, named):
    with pytest.raises(SettingsError, match=re.escape(named)) as refused:
        levels.read(GOOD.replace(*change))
    assert refused.value.name == "CLAIMWRIGHT_LEVELS_FILE"


def test_a_file_takes_the_place_of_the_shipped_one(tmp_path):
    path = tmp_path / "levels.toml"
    path.write_text(GOOD)
    before = dict(LEVELS)
    try:
        levels.use(str(path))
        assert set(LEVELS) == {"basic", "full"}
        assert levels.all_topics() == [7001, BASIC_TOPIC]
        with pytest.raises(InvalidInput, match="known: basic, full"):
            levels.level("contact")
        with pytest.raises(SettingsError, match="cannot be read"):
            levels.use(str(tmp_path / "nothing.toml"))
        assert set(LEVELS) == {"basic", "full"}, "a file that cannot be read changes nothing"
    finally:
        levels.use("")
    assert before == LEVELS


def test_a_policy_has_a_version_that_follows_all_that_its_level_says():
    one = levels.read(GOOD)["basic"]
    assert one.policy() == Policy(
        level="basic", version=one.policy().version, topics=(BASIC_TOPIC, 7001), validity_seconds=2_592_000
    )
    other = levels.read(GOOD.replace("checked", "looked at"))["basic"]
    assert other.policy().version != one.policy().version


def settings(**changed: str) -> ApiSettings:
    env = {"CLAIMWRIGHT_CHAIN_ID": "31337", "CLAIMWRIGHT_ENV": "test", "CLAIMWRIGHT_PROVIDERS": "onfido sumsub"}
    keys = environment("onfido", "http://127.0.0.1:1") | environment("sumsub", "http://127.0.0.1:2")
    secret = hashlib.sha256(b"live").hexdigest()
    production = {
        "SUMSUB_ENVIRONMENT": "sandbox production",
        **{f"{name}_SANDBOX": value for name, value in keys.items() if name.startswith("SUMSUB")},
        "SUMSUB_APP_TOKEN_PRODUCTION": f"prd:{secret}",
        "SUMSUB_SECRET_KEY_PRODUCTION": secret,
        "SUMSUB_WEBHOOK_SECRET_PRODUCTION": secret,
        "SUMSUB_LEVEL_NAME_PRODUCTION": "live-level",
    }
    return load(ApiSettings, env | keys | production | changed)


def ways(level: Level, **changed: str) -> list[tuple[str, str, str] | None]:
    """For a local chain and for a live one."""
    found = [registry.way(settings(**changed), level, live=live) for live in (False, True)]
    return [None if one is None else (one.provider, one.environment, one.template) for one in found]


def test_a_check_is_opened_at_the_first_provider_that_has_a_template():
    found = levels.read(GOOD)
    workflow = environment("onfido", "x")["ONFIDO_WORKFLOW_ID"]
    assert ways(found["basic"]) == [("onfido", "sandbox", workflow), ("onfido", "sandbox", workflow)]
    first_sumsub = levels.read(
        GOOD.replace("default_template = true", 'default_template = true\nproviders = ["sumsub"]')
    )
    assert ways(first_sumsub["basic"]) == [
        ("sumsub", "sandbox", "claims-basic-kyc"),
        ("sumsub", "production", "live-level"),
    ]
    assert ways(found["full"]) == [("sumsub", "sandbox", "full-level"), None]
    assert ways(LEVELS["full"]) == [None, None]
    nowhere = levels.read(GOOD.replace("default_template = true", 'default_template = true\nproviders = ["veriff"]'))
    assert ways(nowhere["basic"]) == [None, None]


def test_the_next_provider_takes_new_cases_while_one_is_out_and_a_country_has_its_own():
    text = GOOD.replace(
        "default_template = true",
        'default_template = true\nproviders = ["onfido", "sumsub"]\nby_country = { BR = ["sumsub", "onfido"] }',
    )
    basic = levels.read(text)["basic"]

    def way(**more: object) -> str:
        found = registry.way(settings(), basic, live=False, **more)  # type: ignore[arg-type]
        assert found is not None
        return found.provider

    onfido, sumsub = ("onfido", "sandbox"), ("sumsub", "sandbox")
    assert (way(), way(out=[onfido]), way(out=[sumsub])) == ("onfido", "sumsub", "onfido")
    assert way(out=[onfido, sumsub]) == "onfido"  # it may be back by then
    assert (way(country="BR"), way(country="BR", out=[sumsub]), way(country="SE")) == ("sumsub", "onfido", "onfido")


@pytest.mark.parametrize(
    "routes", ['{ br = ["sumsub"] }', '{ BRA = ["sumsub"] }', '{ BR = ["nobody"] }', '{ BR = "x" }']
)
def test_a_route_that_leads_nowhere_is_refused(routes: str):
    with pytest.raises(SettingsError, match="CLAIMWRIGHT_LEVELS_FILE"):
        levels.read(GOOD.replace("default_template = true", f"default_template = true\nby_country = {routes}"))
