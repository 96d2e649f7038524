"""One contract for every vendor's adapter, each against its own simulator over HTTP."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from issuer.cases import rules
from issuer.cases.rules import CaseStatus, Standing
from issuer.errors import ProviderError, ProviderNotFound, ProviderRefused, ProviderUnavailable, WebhookRefused
from issuer.providers.protocol import Outcome, Provider, Reading, StartCheck, Started
from tests.integration.providers.vendors import CANARIES, KEYS, SUBJECT, Vendor, running

CODES = {"idenfy": ["DOC_INFO_MISMATCH"], "onfido": ["document_fraud"], "sumsub": ["FORGERY"], "veriff": ["102"]}


@pytest.fixture(scope="module", params=sorted(KEYS))
def vendor(request: pytest.FixtureRequest) -> Iterator[Vendor]:
    with running(request.param) as vendor:
        yield vendor


@pytest.fixture
async def provider(vendor: Vendor):
    provider = vendor.provider()
    yield provider
    await provider.aclose()


def request(vendor: Vendor, key: str) -> StartCheck:
    return StartCheck(
        reference=SUBJECT, template=vendor.template, idempotency_key=key, redirect_url="https://dapp.example/back"
    )


async def started(vendor: Vendor, provider: Provider, key: str) -> Started:
    return await provider.start(request(vendor, key))


def weighed(vendor: Vendor, status: CaseStatus, reading: Reading, evidence_at: datetime | None = None) -> str:
    """What the case rules make of a reading: the new status, or why there is none."""
    standing = Standing(
        status=status,
        check_ref=reading.check_ref,
        reference=SUBJECT,
        template=vendor.template,
        environment="sandbox",
        evidence_at=evidence_at,
        person_ruling=None,
    )
    verdict = rules.weigh(standing, reading)
    return verdict.target or verdict.outcome


async def test_a_check_is_opened_and_entered(vendor, provider):
    check = await started(vendor, provider, "case_enter-0")
    assert check.session.url.startswith("http://127.0.0.1:")
    assert check.session.expires_at > datetime.now(UTC)
    page = vendor.http.get(check.session.url)
    assert page.status_code == 200
    assert "no real verification" in page.text
    assert "https://dapp.example/back" in page.text
    reading = await provider.fetch(check.check_ref)
    assert (reading.environment, reading.template, reading.redacted) == ("sandbox", vendor.template, False)
    assert reading.outcome in (Outcome.CREATED, Outcome.STARTED)
    assert reading.decided_at is None
    assert weighed(vendor, CaseStatus.CREATED, reading) in ("started", "no_change")


async def test_two_tries_of_a_case_are_two_keys_and_never_one_check_for_two_cases(vendor, provider):
    one, other = await started(vendor, provider, "case_a-0"), await started(vendor, provider, "case_b-0")
    assert one.check_ref != other.check_ref


async def test_an_approval_is_read_from_the_api_and_taken_back_by_newer_evidence(vendor, provider):
    check = await started(vendor, provider, "case_approve-0")
    vendor.act(check.check_ref, "submit")
    submitted = await provider.fetch(check.check_ref)
    assert submitted.outcome not in (Outcome.APPROVED, Outcome.DECLINED)
    vendor.act(check.check_ref, "approve")
    approved = await provider.fetch(check.check_ref)
    assert (approved.outcome, approved.reference) == (Outcome.APPROVED, SUBJECT)
    assert approved.decided_at is not None
    assert weighed(vendor, CaseStatus.SUBMITTED, approved, submitted.evidence_at) == CaseStatus.APPROVED
    vendor.act(check.check_ref, "decline")
    declined = await provider.fetch(check.check_ref)
    assert declined.evidence_at > approved.evidence_at
    assert weighed(vendor, CaseStatus.APPROVED, declined, approved.evidence_at) == CaseStatus.DECLINED
    assert {part.outcome for part in approved.parts} == {"passed"}
    assert "failed" in {part.outcome for part in declined.parts}
    assert [code for part in declined.parts for code in part.reasons] == CODES[vendor.name]


@pytest.mark.parametrize("act", ["submit", "retry", "expire", "review"])
async def test_nothing_but_a_decision_lowers_an_approval(vendor, provider, act):
    check = await started(vendor, provider, f"case_late_{act}-0")
    vendor.act(check.check_ref, "approve")
    approved = await provider.fetch(check.check_ref)
    vendor.act(check.check_ref, act)
    late = await provider.fetch(check.check_ref)
    assert weighed(vendor, CaseStatus.APPROVED, late, approved.evidence_at) in ("not_a_move", "older_evidence")


async def test_a_check_under_review_is_for_people(vendor, provider):
    check = await started(vendor, provider, "case_review-0")
    vendor.act(check.check_ref, "review")
    assert (await provider.fetch(check.check_ref)).outcome is Outcome.IN_REVIEW


async def test_a_webhook_is_verified_on_its_bytes_and_read_without_a_person(vendor, provider):
    check = await started(vendor, provider, "case_hook-0")
    vendor.act(check.check_ref, "approve")
    ((headers, body),) = await vendor.delivered(check.check_ref, 1)
    door = vendor.door()
    door.verify(headers, body, 0)
    event = door.parse(body)
    assert (event.check_ref, event.known) == (check.check_ref, True)
    assert event.reference in (SUBJECT, None)
    if vendor.name != "sumsub":  # whose webhooks hold nobody
        assert any(canary in body for canary in CANARIES)
    assert not any(canary.decode() in repr(event) for canary in CANARIES)
    assert len(event.key) <= 200


async def test_forged_and_unsigned_webhooks_are_refused_without_an_exception_of_another_kind(vendor, provider):
    check = await started(vendor, provider, "case_forged-0")
    vendor.act(check.check_ref, "approve")
    ((headers, body),) = await vendor.delivered(check.check_ref, 1)
    door = vendor.door()
    name = type(door).header

    def reason(changed: dict[str, str], content: bytes = body) -> str:
        with pytest.raises(WebhookRefused) as refused:
            door.verify(changed, content, 0)
        return refused.value.reason

    signature = headers[name]
    assert reason({key: value for key, value in headers.items() if key != name}) == "unsigned"
    assert reason(headers, body + b"\n") == "bad-signature"
    assert reason(headers, body.replace(b" ", b"", 1)) == "bad-signature"
    assert reason(headers | {name: signature[:-1]}) == "malformed-signature"
    assert reason(headers | {name: signature.upper()}) == "malformed-signature"
    assert reason(headers | {name: "é" * len(signature)}) == "malformed-signature"
    assert reason(headers | {name: "0" * len(signature)}) == "bad-signature"
    for content in (b"", b"[]", b"null", b"{}", b"\xff", b'{"payload": 3}', b"[" * 100_000):
        with pytest.raises(WebhookRefused, match="malformed"):
            door.parse(content)


async def test_a_repeat_has_the_same_key_and_another_event_another(vendor, provider):
    check = await started(vendor, provider, "case_key-0")
    vendor.act(check.check_ref, "approve")
    vendor.act(check.check_ref, "decline")
    (_, first), (_, second) = await vendor.delivered(check.check_ref, 2)
    door = vendor.door()
    assert door.parse(first).key == door.parse(first).key
    assert door.parse(first).key != door.parse(second).key


async def test_a_provider_that_fails_is_named_and_no_secret_is_told(vendor, provider):
    check = await started(vendor, provider, "case_down-0")
    vendor.control("/_sim/faults", {"status": 503, "count": 3})
    with pytest.raises(ProviderUnavailable) as down:
        await provider.fetch(check.check_ref)
    vendor.control("/_sim/faults", {"status": 429, "count": 1})
    with pytest.raises(ProviderUnavailable) as busy:
        await provider.start(request(vendor, "case_busy-0"))
    assert busy.value.same_key
    with pytest.raises(ProviderNotFound):
        await provider.fetch("00000000-0000-4000-8000-000000000000")
    for wrong in ("../secrets", "a/b", "%2e", ""):
        with pytest.raises(ProviderError):
            await provider.fetch(wrong)
    other = vendor.provider(**{KEYS[vendor.name]: vendor.env[KEYS[vendor.name]] + "0"})
    with pytest.raises(ProviderRefused, match="does not accept the API key") as refused:
        await other.fetch(check.check_ref)
    await other.aclose()
    told = "".join(f"{one.value!r}{one.value}" for one in (down, busy, refused)) + repr(provider) + repr(vendor.door())
    assert not any(value in told for value in vendor.env.values() if len(value) > 20 and "127.0.0.1" not in value)


async def test_the_key_can_be_proved_without_a_check(vendor, provider):
    await provider.check()
    other = vendor.provider(**{KEYS[vendor.name]: vendor.env[KEYS[vendor.name]] + "0"})
    with pytest.raises(ProviderRefused):
        await other.check()
    await other.aclose()


async def test_what_a_vendor_does_not_offer_is_refused_by_name(vendor, provider):
    check = await started(vendor, provider, "case_offer-0")
    for act in (provider.approve, provider.decline, provider.expire, provider.redact):
        with pytest.raises(ProviderRefused, match="does not offer"):
            await act(check.check_ref)
    assert await provider.find(SUBJECT, vendor.template, datetime.now(UTC)) == []
