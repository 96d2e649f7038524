"""Each vendor's words, and the settings that would let a sandbox speak for production."""

import hashlib

import pytest

from issuer.errors import SettingsError
from issuer.providers import idenfy, plain, registry, sumsub
from issuer.providers.idenfy import IdenfyProvider
from issuer.providers.plain import own_reference
from issuer.providers.protocol import Outcome
from issuer.settings import ApiSettings, DaemonSettings, load
from scripts.vendor_simulators.launch import environment

BASE = {"CLAIMWRIGHT_CHAIN_ID": "31337", "CLAIMWRIGHT_ENV": "test"}
BOTH = {"manualDocument": "DOC_VALIDATED", "manualFace": "FACE_MATCH"}
AUTO = {"autoDocument": "DOC_VALIDATED", "autoFace": "FACE_MATCH"}


def env(vendor: str, **changed: str) -> dict[str, str]:
    return environment(vendor, "http://127.0.0.1:1") | BASE | {"CLAIMWRIGHT_PROVIDERS": vendor} | changed


def idenfy_says(status: str, *, settings: dict[str, str] | None = None, **fields: object) -> Outcome:
    (one,) = load(ApiSettings, env("idenfy", **(settings or {}))).providers
    return IdenfyProvider(one)._outcome(idenfy._Status(status=status, scanRef="s", **fields))


@pytest.mark.parametrize(
    ("status", "fields", "outcome"),
    [
        ("APPROVED", BOTH, Outcome.APPROVED),
        ("APPROVED", AUTO, Outcome.IN_REVIEW),  # people have not looked yet, and nothing says they will not
        ("APPROVED", AUTO | {"manualFace": "FACE_MISMATCH"}, Outcome.IN_REVIEW),
        ("APPROVED", {}, Outcome.IN_REVIEW),
        ("SUSPECTED", BOTH | {"fraudTags": ["DUPLICATE_FACE"]}, Outcome.IN_REVIEW),
        ("SUSPECTED", BOTH, Outcome.IN_REVIEW),
        ("REVIEWING", {}, Outcome.IN_REVIEW),
        ("ACTIVE", {}, Outcome.CREATED),
        ("DENIED", BOTH, Outcome.DECLINED),
        ("EXPIRED", {}, Outcome.EXPIRED),
        ("DELETED", {}, Outcome.UNKNOWN),
        ("SOMETHING_NEW", BOTH, Outcome.UNKNOWN),
        ("approved", BOTH, Outcome.UNKNOWN),
    ],
)
def test_idenfy_words(status, fields, outcome):
    assert idenfy_says(status, **fields) is outcome


def test_idenfy_without_manual_review_is_a_setting():
    settings = {"IDENFY_AUTO_IS_FINAL": "yes"}
    assert idenfy_says("APPROVED", settings=settings, **AUTO) is Outcome.APPROVED
    rejected = AUTO | {"manualDocument": "DOC_NOT_VALIDATED"}
    assert idenfy_says("APPROVED", settings=settings, **rejected) is Outcome.IN_REVIEW


def test_idenfy_names_document_and_face_as_people_judged_them_or_else_the_machine():
    fields = AUTO | {"manualFace": "FACE_MISMATCH"}
    found = {
        part.kind: (part.outcome, part.reasons) for part in idenfy._parts(idenfy._Status("REVIEWING", "s", **fields))
    }
    assert found == {"document": ("passed", ()), "face": ("failed", ("FACE_MISMATCH",))}
    assert idenfy._parts(idenfy._Status("ACTIVE", "s")) == ()


def test_idenfy_suspicion_passes_only_by_tags_that_the_operator_named():
    settings = {"IDENFY_HARMLESS_TAGS": "DUPLICATE_FACE, SURNAME"}
    tags = {"fraudTags": ["DUPLICATE_FACE"], "mismatchTags": ["SURNAME"]}
    assert idenfy_says("SUSPECTED", settings=settings, **BOTH, **tags) is Outcome.APPROVED
    tags["fraudTags"] = ["DUPLICATE_FACE", "FAKE_DOCUMENT"]
    assert idenfy_says("SUSPECTED", settings=settings, **BOTH, **tags) is Outcome.IN_REVIEW
    assert idenfy_says("DENIED", settings=settings, **BOTH, fraudTags=["DUPLICATE_FACE"]) is Outcome.DECLINED


@pytest.mark.parametrize(
    ("status", "answer", "reject", "outcome"),
    [
        ("completed", "GREEN", None, Outcome.APPROVED),
        ("pending", "GREEN", None, Outcome.SUBMITTED),
        ("prechecked", "RED", "FINAL", Outcome.SUBMITTED),
        ("completed", "RED", "FINAL", Outcome.DECLINED),
        ("completed", "RED", "RETRY", Outcome.STARTED),
        ("completed", "RED", None, Outcome.IN_REVIEW),
        ("completed", "RED", ["FINAL"], Outcome.IN_REVIEW),
        ("completed", "YELLOW", None, Outcome.UNKNOWN),
        ("completed", None, None, Outcome.UNKNOWN),
        ("onHold", "GREEN", None, Outcome.IN_REVIEW),
        ("init", None, None, Outcome.CREATED),
        (None, None, None, Outcome.CREATED),
        ("tomorrow", "GREEN", None, Outcome.UNKNOWN),
    ],
)
def test_sumsub_words(status, answer, reject, outcome):
    result = sumsub._Result(reviewAnswer=answer, reviewRejectType=reject)
    assert sumsub._outcome(sumsub._Review(reviewStatus=status, reviewResult=result)) is outcome


@pytest.mark.parametrize(
    ("told", "sandbox"),
    [(True, True), (False, False), ("true", True), ("false", False), (None, None), ("", None), (1, None), ([], None)],
)
def test_sandbox_mode_is_never_a_matter_of_truthiness(told, sandbox):
    assert sumsub.is_sandbox(told) is sandbox


def test_sumsub_times():
    assert sumsub.when("2025-03-05 04:41:48.704").isoformat() == "2025-03-05T04:41:48.704000+00:00"
    assert sumsub.when("2026-11-20 12:02:23+0000").isoformat() == "2026-11-20T12:02:23+00:00"
    assert [sumsub.when(one) for one in (None, 5, "", "2026-11-20", "2026-13-40 99:99:99", "x" * 99)] == [None] * 6


def test_our_subject_is_read_out_of_an_attempts_name():
    assert own_reference("sub_1-0123456789ab") == "sub_1"
    assert [own_reference(one) for one in (None, "", "sub_1", "sub_1-short", "sub_1-0123456789AB")] == [None] * 5


@pytest.mark.parametrize(
    ("vendor", "changed", "named"),
    [
        ("sumsub", {"SUMSUB_ENVIRONMENT": "production"}, "SUMSUB_APP_TOKEN"),
        ("sumsub", {"SUMSUB_APP_TOKEN": "prd:0123456789abcdef"}, "SUMSUB_APP_TOKEN"),
        ("onfido", {"ONFIDO_ENVIRONMENT": "production"}, "ONFIDO_API_TOKEN"),
        ("onfido", {"ONFIDO_API_TOKEN": "api_live.0123456789abcdef"}, "ONFIDO_API_TOKEN"),
        ("idenfy", {"IDENFY_ENVIRONMENT": "production"}, "IDENFY_MODE"),
        ("idenfy", {"IDENFY_MODE": "prod"}, "IDENFY_MODE"),
        ("idenfy", {"IDENFY_MODE": "live"}, "IDENFY_MODE"),
        ("idenfy", {"IDENFY_AUTO_IS_FINAL": "perhaps"}, "IDENFY_AUTO_IS_FINAL"),
        ("idenfy", {"IDENFY_HARMLESS_TAGS": "face?"}, "IDENFY_HARMLESS_TAGS"),
        ("veriff", {"VERIFF_API_KEY": "with a space in it 0123"}, "VERIFF_API_KEY"),
    ],
)
def test_a_key_of_another_environment_stops_the_start(vendor, changed, named):
    with pytest.raises(SettingsError) as refused:
        registry.providers(load(ApiSettings, env(vendor, **changed)))
    assert refused.value.name == named


@pytest.mark.parametrize(
    ("vendor", "changed", "named"),
    [
        ("sumsub", {"SUMSUB_LEVEL_NAME": ""}, "SUMSUB_LEVEL_NAME"),
        ("veriff", {"VERIFF_API_BASE_URL": ""}, "VERIFF_API_BASE_URL"),
        ("onfido", {"ONFIDO_API_BASE_URL": "http://10.0.0.1"}, "ONFIDO_API_BASE_URL"),
        ("idenfy", {"IDENFY_SIGNING_KEY": ""}, "IDENFY_SIGNING_KEY"),
        ("idenfy", {"CLAIMWRIGHT_PROVIDERS": "idenfy persona"}, "PERSONA_WEBHOOK_SECRET"),
        ("idenfy", {"CLAIMWRIGHT_PROVIDERS": "idenfy,idenfy"}, "CLAIMWRIGHT_PROVIDERS"),
        ("idenfy", {"CLAIMWRIGHT_PROVIDERS": "jumio"}, "CLAIMWRIGHT_PROVIDERS"),
    ],
)
def test_a_missing_or_wrong_setting_is_named(vendor, changed, named):
    with pytest.raises(SettingsError) as refused:
        load(ApiSettings, env(vendor, **changed))
    assert refused.value.name == named


def test_several_providers_and_both_environments_stand_beside_each_other():
    values = env("sumsub") | environment("onfido", "http://127.0.0.1:2") | {"CLAIMWRIGHT_PROVIDERS": "onfido sumsub"}
    for name in ("SUMSUB_APP_TOKEN", "SUMSUB_SECRET_KEY", "SUMSUB_WEBHOOK_SECRET", "SUMSUB_LEVEL_NAME"):
        values |= {f"{name}_SANDBOX": values[name], f"{name}_PRODUCTION": values[name].replace("sbx:", "prd:")}
    values["SUMSUB_ENVIRONMENT"] = "sandbox production"
    settings = load(ApiSettings, values)
    assert [*registry.providers(settings)] == [("onfido", "sandbox"), ("sumsub", "sandbox"), ("sumsub", "production")]
    assert [len(one.templates) for one in settings.providers] == [1, 1, 1]


def test_the_daemon_sees_no_webhook_secret_and_veriffs_one_secret_twice():
    daemon = env("veriff", VERIFF_SHARED_SECRET="5d1c9a7e40b2f386 86f2b4a07e9c1d53") | {
        "CLAIMWRIGHT_RPC_URL": "http://127.0.0.1:1",
        "CLAIMWRIGHT_DECISION_KEYS": "1:" + hashlib.sha256(b"one").hexdigest(),
        "CLAIMWRIGHT_DATA_KEYS": "1:" + hashlib.sha256(b"two").hexdigest(),
    }
    (one,) = load(DaemonSettings, daemon).providers
    assert one.webhook_secrets == ()
    assert one.keys["VERIFF_SHARED_SECRET"].reveal() == "5d1c9a7e40b2f386"
    (both,) = load(ApiSettings, daemon).providers
    assert len(both.webhook_secrets) == 2


@pytest.mark.parametrize(
    ("outcome", "told", "parts"),
    [
        (Outcome.APPROVED, None, [("passed", ())]),
        (Outcome.DECLINED, ["FORGERY", "a name with spaces", 7, {"x": 1}, True], [("failed", ("FORGERY", "7"))]),
        (Outcome.DECLINED, 102, [("failed", ("102",))]),
        (Outcome.STARTED, ["BAD_SELFIE"], [("pending", ("BAD_SELFIE",))]),
        (Outcome.STARTED, None, []),
        (Outcome.SUBMITTED, [], []),
    ],
)
def test_a_check_that_names_no_smaller_ones_is_one_with_the_codes_of_its_outcome(outcome, told, parts):
    assert [(part.outcome, part.reasons) for part in plain.whole("applicant", outcome, told)] == parts
