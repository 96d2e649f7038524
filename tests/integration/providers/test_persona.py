"""The Persona adapter, both halves, against a Persona that speaks the whole wire format."""

import time
import uuid
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from issuer.errors import ProviderNotFound, ProviderRefused, ProviderUnavailable, WebhookRefused
from issuer.providers.persona import PersonaProvider
from issuer.providers.persona_webhook import PersonaDoor
from issuer.providers.protocol import Outcome, StartCheck
from scripts.persona_simulator.people import PII_CANARIES

REFERENCE = "sub_0192f0c4-7c1e-7a6e-9d0b-1f2e3d4c5b6a"


def request(persona, **changes) -> StartCheck:
    values = {"reference": REFERENCE, "template": persona.running.template_id, "idempotency_key": str(uuid.uuid4())}
    return StartCheck(**values | changes)


async def outcome(provider, check_ref: str) -> Outcome:
    return (await provider.fetch(check_ref)).outcome


async def test_a_check_from_start_to_approval(persona, provider, door):
    started = await provider.start(request(persona, prefill={"address_country_code": "SE"}))
    first = await provider.fetch(started.check_ref)
    assert (first.outcome, first.reference, first.template) == (Outcome.CREATED, REFERENCE, persona.running.template_id)
    assert not first.redacted
    persona.simulate(started.check_ref, "start")
    assert await outcome(provider, started.check_ref) is Outcome.STARTED
    persona.simulate(started.check_ref, "complete")
    assert await outcome(provider, started.check_ref) is Outcome.SUBMITTED
    persona.simulate(started.check_ref, "approve")
    last = await provider.fetch(started.check_ref)
    assert last.outcome is Outcome.APPROVED
    assert last.decided_at is not None
    assert last.evidence_at >= first.evidence_at
    assert not [text for text in PII_CANARIES if text in repr(last)]

    events = []
    for delivery in persona.delivered():
        door.verify(delivery.headers, delivery.body, time.time())
        events.append(door.parse(delivery.body))
    names = ["inquiry.started", "inquiry.completed", "inquiry.approved"]
    assert [event.name for event in events if event.known and event.name != "inquiry.created"] == names
    assert {event.check_ref for event in events if event.known} == {started.check_ref}
    assert {event.template for event in events if event.known} == {persona.running.template_id}
    assert {event.reference for event in events if event.known} == {REFERENCE}
    assert len({event.key for event in events}) == len(events)
    assert not [text for text in PII_CANARIES if text in repr(events)]


async def test_the_ways_in(persona, provider):
    started = await provider.start(request(persona))
    assert started.session.token
    assert started.session.expires_at > datetime.now(UTC) + timedelta(hours=1)
    persona.simulate(started.check_ref, "start")
    resumed = await provider.resume(started.check_ref)
    assert resumed.token
    assert parse_qs(urlsplit(resumed.url).query) == {
        "inquiry-id": [started.check_ref],
        "session-token": [resumed.token],
    }
    link = await provider.one_time_link(started.check_ref)
    assert link.token is None
    assert set(parse_qs(urlsplit(link.url).query)) == {"code"}  # nothing that outlives the link


async def test_the_same_key_never_opens_a_second_check(persona, provider):
    asked = request(persona)
    first, second = await provider.start(asked), await provider.start(asked)
    assert first.check_ref == second.check_ref
    assert persona.count() == 1


async def test_a_check_whose_answer_was_lost_is_found_again(persona, provider):
    since = datetime.now(UTC) - timedelta(minutes=1)
    persona.sim("faults", kind="drop", method="POST", path="*/inquiries", times=1)
    asked = request(persona)
    with pytest.raises(ProviderUnavailable) as lost:
        await provider.start(asked)
    assert lost.value.same_key
    found = await provider.find(REFERENCE, persona.running.template_id, since)
    assert len(found) == 1
    assert (await provider.start(asked)).check_ref == found[0].check_ref
    assert persona.count() == 1


async def test_a_5xx_after_the_work_is_not_repeated_under_its_key(persona, provider):
    since = datetime.now(UTC) - timedelta(minutes=1)
    persona.sim("faults", kind="status", status=502, when="after", method="POST", path="*/inquiries", times=1)
    asked = request(persona)
    for _ in range(2):  # replayed: Persona stored it under the key
        with pytest.raises(ProviderUnavailable) as failed:
            await provider.start(asked)
        assert not failed.value.same_key
    assert len(await provider.find(REFERENCE, persona.running.template_id, since)) == 1


async def test_find_knows_its_own_from_all_others(persona, provider):
    since = datetime.now(UTC) - timedelta(minutes=1)
    mine = await provider.start(request(persona))
    await provider.start(request(persona, reference="sub_somebody_else"))
    found = await provider.find(REFERENCE, persona.running.template_id, since)
    assert [reading.check_ref for reading in found] == [mine.check_ref]
    assert await provider.find(REFERENCE, "itmpl_other", since) == []
    assert await provider.find(REFERENCE, persona.running.template_id, datetime.now(UTC) + timedelta(hours=1)) == []


async def test_find_reads_page_after_page(persona, provider):
    since = datetime.now(UTC) - timedelta(minutes=1)
    refs = [(await provider.start(request(persona))).check_ref for _ in range(53)]
    found = await provider.find(REFERENCE, persona.running.template_id, since)
    assert {reading.check_ref for reading in found} == set(refs)


async def test_people_decide_and_change_their_mind(persona, provider, door):
    check_ref = (await provider.start(request(persona))).check_ref
    persona.simulate(check_ref, "start", "complete", "mark_for_review")
    assert await outcome(provider, check_ref) is Outcome.IN_REVIEW
    await provider.approve(check_ref, "seen the papers")
    approved = await provider.fetch(check_ref)
    await provider.decline(check_ref, "the papers were false")
    declined = await provider.fetch(check_ref)
    assert (approved.outcome, declined.outcome) == (Outcome.APPROVED, Outcome.DECLINED)
    await provider.approve(check_ref)
    assert await outcome(provider, check_ref) is Outcome.APPROVED
    names = [door.parse(delivery.body).name for delivery in persona.delivered()]
    assert names.count("inquiry.approved") == 2
    assert names.count("inquiry.declined") == 1


async def test_expire_then_resume(persona, provider):
    check_ref = (await provider.start(request(persona))).check_ref
    persona.simulate(check_ref, "start")
    await provider.expire(check_ref)
    assert await outcome(provider, check_ref) is Outcome.EXPIRED
    assert (await provider.resume(check_ref)).token
    assert await outcome(provider, check_ref) is Outcome.STARTED


async def test_what_is_decided_cannot_be_resumed(persona, provider):
    check_ref = (await provider.start(request(persona))).check_ref
    await provider.approve(check_ref)
    with pytest.raises(ProviderRefused) as refused:
        await provider.resume(check_ref)
    assert refused.value.status == 409


async def test_redaction_twice_keeps_the_decision_and_says_it_is_erased(persona, provider):
    check_ref = (await provider.start(request(persona))).check_ref
    await provider.approve(check_ref)
    await provider.redact(check_ref)
    await provider.redact(check_ref)
    reading = await provider.fetch(check_ref)
    assert (reading.outcome, reading.redacted) == (Outcome.APPROVED, True)


async def test_an_unknown_check(provider):
    with pytest.raises(ProviderNotFound) as missing:
        await provider.fetch("inq_nobodyknowsthisone00000000000")
    assert missing.value.request_id is not None


async def test_a_rate_limit_is_waited_for_and_not_hammered(persona, provider):
    persona.sim("faults", kind="rate_limited", times=1)
    with pytest.raises(ProviderUnavailable) as limited:
        await provider.fetch("inq_any")
    assert limited.value.status == 429
    assert limited.value.retry_after >= 1


async def test_two_failures_of_a_read_are_not_noticed(persona, provider):
    check_ref = (await provider.start(request(persona))).check_ref
    persona.sim("faults", kind="status", status=503, method="GET", times=2)
    assert await outcome(provider, check_ref) is Outcome.CREATED


@pytest.mark.parametrize(
    ("lie", "expected"),
    [("unknown_status", Outcome.UNKNOWN), ("extra_keys", Outcome.CREATED), ("missing_relationships", Outcome.CREATED)],
)
async def test_a_persona_of_tomorrow(persona, provider, lie, expected):
    started = await provider.start(request(persona))
    persona.sim("faults", kind="lie", lie=lie, method="GET")
    reading = await provider.fetch(started.check_ref)
    assert reading.outcome is expected
    assert (reading.template is None) == (lie == "missing_relationships")


async def test_a_wrong_key_and_a_wrong_environment(persona):
    wrong_key = PersonaProvider("sandbox", "persona_sandbox_not_a_key", persona.running.api)
    wrong_place = PersonaProvider(
        "production", persona.running.api_key, persona.running.api, expected_environment_id="env_production"
    )
    try:
        with pytest.raises(ProviderRefused) as refused:
            await wrong_key.check()
        assert refused.value.status == 401
        with pytest.raises(ProviderRefused, match="another environment"):
            await wrong_place.check()
    finally:
        await wrong_key.aclose()
        await wrong_place.aclose()


async def test_check_names_the_environment(persona, provider):
    assert await provider.check() == persona.running.environment_id


# ---- the door -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inflection", ["kebab", "camel", "snake"])
async def test_every_casing_of_the_webhook(persona, provider, door, inflection):
    webhook = persona.api("GET", "/webhooks")["data"][0]["id"]
    persona.api("PATCH", f"/webhooks/{webhook}", {"data": {"attributes": {"api-key-inflection": inflection}}})
    check_ref = (await provider.start(request(persona))).check_ref
    await provider.approve(check_ref)
    approvals = [event for d in persona.delivered() if (event := door.parse(d.body)).name == "inquiry.approved"]
    assert len(approvals) == 1
    event = approvals[0]
    assert (event.check_ref, event.reference, event.status) == (check_ref, REFERENCE, "approved")
    assert event.template == persona.running.template_id
    assert event.occurred_at is not None


async def test_a_corrupt_signature_is_refused(persona, provider, door):
    persona.sim("chaos", corrupt_signature={"count": 1})
    check_ref = (await provider.start(request(persona))).check_ref
    await provider.approve(check_ref)
    delivery = persona.delivered()[0]
    with pytest.raises(WebhookRefused):
        door.verify(delivery.headers, delivery.body, time.time())


async def test_duplicates_share_their_key(persona, provider, door):
    persona.sim("chaos", duplicate=True)
    check_ref = (await provider.start(request(persona))).check_ref
    await provider.approve(check_ref)
    deliveries = persona.delivered()
    keys = [door.parse(delivery.body).key for delivery in deliveries]
    assert len(keys) == 2 * len(set(keys))


async def test_both_secrets_are_good_while_one_is_rotated(persona, provider, door):
    webhook = persona.api("GET", "/webhooks")["data"][0]["id"]
    rotated = persona.api("POST", f"/webhooks/{webhook}/rotate-secret", {"meta": {"expires-in-seconds": 3600}})
    values = [item["value"] for item in rotated["data"]["attributes"]["secrets"]]
    new = next(value for value in values if value != persona.running.webhook_secret)
    check_ref = (await provider.start(request(persona))).check_ref
    await provider.approve(check_ref)
    delivery = persona.delivered()[-1]
    for secrets in ([persona.running.webhook_secret], [new], values):
        PersonaDoor("sandbox", secrets).verify(delivery.headers, delivery.body, time.time())


@pytest.mark.parametrize("switch", ["unknown_event", "unknown_status", "extra_keys", "missing_included"])
async def test_a_webhook_of_tomorrow_is_kept(persona, provider, door, switch):
    persona.sim("chaos", **{switch: {"events": ["inquiry.approved"]}})
    check_ref = (await provider.start(request(persona))).check_ref
    await provider.approve(check_ref)
    events = []
    for delivery in persona.delivered():
        door.verify(delivery.headers, delivery.body, time.time())
        events.append(door.parse(delivery.body))
    assert {event.check_ref for event in events} == {check_ref}
    assert "inquiry.approved" in {event.name for event in events if event.known}
    assert any(not event.known for event in events) == (switch == "unknown_event")


@pytest.mark.parametrize("switch", ["foreign_inquiry", "other_template"])
async def test_a_check_that_is_not_ours_can_be_told_from_ours(persona, provider, door, switch):
    persona.sim("chaos", **{switch: {"events": ["inquiry.approved"]}})
    check_ref = (await provider.start(request(persona))).check_ref
    await provider.approve(check_ref)
    events = [door.parse(delivery.body) for delivery in persona.delivered()]
    stranger = next(event for event in events if event.check_ref != check_ref)
    reading = await provider.fetch(stranger.check_ref)
    assert reading.outcome is Outcome.APPROVED  # it is real, and asking the provider does not give it away
    assert reading.template == stranger.template
    assert (reading.template == persona.running.template_id) == (switch == "foreign_inquiry")


async def test_calls_slow_down_before_the_rate_limit(persona, provider):
    started = await provider.start(request(persona))
    persona.sim("rate-limits", limit=20)
    began = time.monotonic()
    for _ in range(18):  # the answer to the last says that 2 of 20 are left
        await provider.fetch(started.check_ref)
    quick = time.monotonic() - began
    for _ in range(2):
        assert await outcome(provider, started.check_ref) is Outcome.CREATED
    assert time.monotonic() - began - quick > 1.5
