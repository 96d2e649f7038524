"""What an operator sets up at Persona, against a real simulator, and what the webhook then carries."""

import json

import pytest

from issuer.errors import ProviderRefused
from issuer.providers.persona_http import PersonaHttp
from issuer.providers.persona_setup import WANTED, PersonaSetup
from issuer.providers.persona_webhook import KNOWN_EVENTS, PersonaDoor
from issuer.providers.protocol import StartCheck
from tests.integration.providers.conftest import Persona

URL = "http://127.0.0.1:9/webhooks/persona"


@pytest.fixture
async def there(persona):
    api = PersonaHttp(
        persona.running.api_key,
        f"{persona.running.url}/api/v1",
        expected_environment_id=persona.running.environment_id,
        client=None,
    )
    setup = PersonaSetup(api)
    yield setup
    await setup.aclose()


def shown(persona: Persona, webhook_id: str) -> dict:
    return persona.api("GET", f"/webhooks/{webhook_id}")["data"]["attributes"]


async def test_a_webhook_is_made_once_and_mended_when_somebody_changed_it(persona, there):
    made = await there.webhook(URL)
    assert (made.status, made.changed) == ("enabled", ("made",))
    assert made.secret.startswith("wbhsec_")
    assert made.secret not in repr(made)
    again = await there.webhook(URL)
    assert (again.id, again.secret, again.changed) == (made.id, None, ())
    persona.api("PATCH", f"/webhooks/{made.id}", {"data": {"attributes": {"enabled-events": ["inquiry.approved"]}}})
    persona.api("POST", f"/webhooks/{made.id}/disable")
    mended = await there.webhook(URL)
    assert (mended.id, mended.status, mended.changed) == (made.id, "enabled", ("enabled-events",))
    assert shown(persona, made.id)["enabled-events"] == sorted(KNOWN_EVENTS)
    assert {name: shown(persona, made.id)[name] for name in WANTED} == WANTED


async def test_two_webhooks_to_one_address_are_for_a_person_to_sort_out(persona, there):
    for _ in range(2):
        persona.api("POST", "/webhooks", {"data": {"attributes": {"url": URL, "enabled-events": ["*"]}}})
    with pytest.raises(ProviderRefused, match="2 webhooks"):
        await there.webhook(URL)


async def test_after_a_rotation_both_secrets_sign_for_a_while(persona, there):
    made = await there.webhook(URL)
    turned = await there.rotate(URL, 3600)
    assert turned.secret not in (None, made.secret)
    secrets = shown(persona, made.id)["secrets"]
    assert [one["value"] for one in secrets] == [turned.secret, made.secret]
    with pytest.raises(ProviderRefused, match="set it up first"):
        await there.rotate("http://127.0.0.1:9/elsewhere", 3600)


async def test_the_webhook_carries_nothing_of_the_person(persona, there, provider):
    """The deliveries to the receiver, under the settings that we ask for."""
    ours_already = persona.api("GET", "/webhooks")["data"][0]["attributes"]["url"]
    made = await there.webhook(ours_already)
    started = await provider.start(
        StartCheck(reference="sub_1", template=persona.running.template_id, idempotency_key="case-carries-nothing")
    )
    persona.simulate(started.check_ref, "start", "complete", "approve")
    persona.sim("reports", **{"inquiry-id": started.check_ref, "type": "watchlist"})
    assert made.secret is None
    ours = PersonaDoor("sandbox", [persona.running.webhook_secret])
    bodies = [json.loads(delivery.body) for delivery in persona.delivered()]
    text = json.dumps(bodies)
    assert bodies
    for word in ("Testa", "name-first", "birthdate", "matched-lists", "term"):
        assert word not in text
    events = [ours.parse(json.dumps(body).encode()) for body in bodies]
    assert {event.check_ref for event in events} == {started.check_ref}
    assert "report/watchlist.matched" in {event.name for event in events}


async def test_what_no_webhook_brought_is_found_back_to_what_is_known(persona, there, provider):
    started = await provider.start(
        StartCheck(reference="sub_2", template=persona.running.template_id, idempotency_key="case-missed")
    )
    persona.simulate(started.check_ref, "start", "complete", "approve")
    everything = await there.missed(())
    mine = [event for event, _ in everything if event.check_ref == started.check_ref]
    assert [event.name for event in mine] == [
        "inquiry.created", "inquiry.started", "inquiry.completed", "inquiry.approved",
    ]  # fmt: skip
    rest = [event for event, _ in await there.missed({mine[1].key})]
    assert [event.name for event in rest] == ["inquiry.completed", "inquiry.approved"]
    assert await there.missed({mine[-1].key}) == []
