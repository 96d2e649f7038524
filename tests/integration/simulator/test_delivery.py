"""Webhook deliveries: headers, bytes, retries on the simulated clock, settings, rotation."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import httpx
import pytest

from scripts.persona_simulator import launch
from scripts.persona_simulator.delivery import WAITS
from scripts.persona_simulator.people import PII_CANARIES
from scripts.persona_simulator.signing import signature_header
from tests.integration.simulator.conftest import Create, Received, Receiver, simulate

APPROVED = {"enabled-events": ["inquiry.approved"]}


def approve(create: Create, api: httpx.Client, sim: httpx.Client) -> str:
    """An approved inquiry whose first deliveries have all been made."""
    inquiry: str = create({"auto-create-account-reference-id": "sub_1"})["data"]["id"]
    simulate(api, inquiry, "start", "complete", "approve")
    sim.post("/settle")
    return inquiry


def configure(api: httpx.Client, **attributes: Any) -> dict[str, Any]:
    """Change the webhook registered at start-up."""
    (webhook,) = api.get("/webhooks").json()["data"]
    given = {key.replace("_", "-"): value for key, value in attributes.items()}
    answer = api.patch(f"/webhooks/{webhook['id']}", json={"data": {"attributes": given}})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["data"]
    return found


def verified(received: Received, *secrets: str) -> bool:
    """Is the signature exactly ours over exactly the bytes received?"""
    t = int(re.match(r"t=(\d+),", received.headers["persona-signature"])[1])  # type: ignore[index]
    return signature_header(secrets, received.body, t) == received.headers["persona-signature"]


def delivery(sim: httpx.Client, name: str = "inquiry.approved") -> dict[str, Any]:
    (found,) = sim.get("/deliveries", params={"event_name": name}).json()["deliveries"]
    entry: dict[str, Any] = found
    return entry


def test_a_delivery_is_signed_over_its_bytes_and_counted(
    create: Create, api: httpx.Client, sim: httpx.Client, receiver: Receiver, persona: launch.Running
) -> None:
    sim.post("/clock", json={"set": "2026-11-20T12:00:00Z", "speed": 0})
    configure(api, enabled_events=["inquiry.approved"])
    inquiry = create(note="A & B <ok>")["data"]["id"]
    simulate(api, inquiry, "approve")
    sim.post("/settle")
    (received,) = receiver.requests
    assert verified(received, persona.webhook_secret)
    assert received.headers["content-type"] == "application/json; charset=utf-8"
    assert received.headers["persona-webhook-attempts-made"] == "1"
    assert received.headers["persona-webhook-attempts-left"] == "7"
    t = received.headers["persona-signature"][2:12]
    assert received.headers["persona-webhook-first-attempted-at"] == t == "1795176000"
    assert b'"note":"A \\u0026 B \\u003cok\\u003e"' in received.body
    assert b": " not in received.body.split(b'"note"')[0]
    event = json.loads(received.body)["data"]
    assert event["type"] == "event"
    assert event["attributes"]["payload"]["data"]["id"] == inquiry
    assert event["attributes"]["payload"]["included"] == []
    assert api.get(f"/events/{event['id']}").json()["data"] == event


def test_eight_attempts_on_the_schedule_each_with_a_fresh_signature(
    create: Create, api: httpx.Client, sim: httpx.Client, receiver: Receiver, persona: launch.Running
) -> None:
    sim.post("/clock", json={"speed": 0})
    configure(api, enabled_events=APPROVED["enabled-events"])
    receiver.answers = [500] * 8
    approve(create, api, sim)
    for waited, wait in enumerate(WAITS, start=1):
        sim.post("/clock", json={"advance_seconds": wait - 1})
        assert len(receiver.requests) == waited, "not before its time"
        sim.post("/clock", json={"advance_seconds": 1})
        assert len(receiver.requests) == waited + 1
    made = [int(r.headers["persona-webhook-attempts-made"]) for r in receiver.requests]
    left = [int(r.headers["persona-webhook-attempts-left"]) for r in receiver.requests]
    assert made == [1, 2, 3, 4, 5, 6, 7, 8]
    assert left == [7, 6, 5, 4, 3, 2, 1, 0]
    stamps = [int(r.headers["persona-signature"][2:12]) for r in receiver.requests]
    assert [later - earlier for earlier, later in itertools.pairwise(stamps)] == list(WAITS)
    assert {r.headers["persona-webhook-first-attempted-at"] for r in receiver.requests} == {str(stamps[0])}
    assert len({r.body for r in receiver.requests}) == 1
    assert all(verified(r, persona.webhook_secret) for r in receiver.requests)
    sim.post("/clock", json={"advance_seconds": 10_000_000})
    assert len(receiver.requests) == 8
    assert delivery(sim)["status"] == "failed"


def test_one_long_jump_makes_every_attempt_at_its_own_time(
    create: Create, api: httpx.Client, sim: httpx.Client, receiver: Receiver
) -> None:
    sim.post("/clock", json={"speed": 0})
    configure(api, enabled_events=["inquiry.approved"])
    receiver.answers = [500, 503, 404, 202]
    approve(create, api, sim)
    sim.post("/clock", json={"advance_seconds": 1000})
    entry = delivery(sim)
    assert entry["status"] == "completed"
    times = [attempt["at"] for attempt in entry["attempts"]]
    assert [round(at - times[0]) for at in times] == [0, 3, 67, 796]
    assert [attempt["status"] for attempt in entry["attempts"]] == [500, 503, 404, 202]


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_these_answers_end_a_delivery(
    create: Create, api: httpx.Client, sim: httpx.Client, receiver: Receiver, status: int
) -> None:
    configure(api, enabled_events=["inquiry.approved"])
    receiver.answers = [status]
    approve(create, api, sim)
    assert delivery(sim)["status"] == "completed"


@pytest.mark.parametrize("status", [203, 301, 307, 400, 401, 410, 500])
def test_every_other_answer_is_retried_and_redirects_are_not_followed(
    create: Create, api: httpx.Client, sim: httpx.Client, receiver: Receiver, status: int
) -> None:
    sim.post("/clock", json={"speed": 0})
    configure(api, enabled_events=["inquiry.approved"])
    receiver.answers = [status]
    approve(create, api, sim)
    assert len(receiver.requests) == 1
    assert delivery(sim)["status"] == "pending"
    sim.post("/clock", json={"advance_seconds": 3})
    assert len(receiver.requests) == 2


def test_a_slow_receiver_is_given_up_and_tried_again(
    create: Create, api: httpx.Client, sim: httpx.Client, receiver: Receiver
) -> None:
    sim.post("/clock", json={"speed": 0})
    configure(api, enabled_events=["inquiry.approved"])
    receiver.seconds = 30.0
    approve(create, api, sim)  # this simulator's timeout is one second
    (attempt,) = delivery(sim)["attempts"]
    assert (attempt["status"], attempt["error"]) == (None, "TimeoutError")
    receiver.seconds = 0.0
    sim.post("/clock", json={"advance_seconds": 3})
    assert delivery(sim)["status"] == "completed"


def test_disabling_cancels_retries_and_fails_what_is_pending(
    create: Create, api: httpx.Client, sim: httpx.Client, receiver: Receiver
) -> None:
    sim.post("/clock", json={"speed": 0})
    webhook = configure(api, enabled_events=["inquiry.approved"])["id"]
    receiver.answers = [500]
    approve(create, api, sim)
    assert api.post(f"/webhooks/{webhook}/disable").json()["data"]["attributes"]["status"] == "disabled"
    entry = delivery(sim)
    assert entry["status"] == "failed"
    sim.post("/clock", json={"advance_seconds": 1_000_000})
    assert len(receiver.requests) == 1
    approve(create, api, sim)
    assert len(receiver.requests) == 1, "a disabled webhook receives nothing"
    api.post(f"/webhooks/{webhook}/enable")
    answer = sim.post(f"/deliveries/{entry['id']}/resend").json()
    assert answer["attempt"]["status"] == 202
    assert answer["delivery"]["status"] == "completed"
    assert receiver.requests[1].headers["persona-webhook-attempts-made"] == "2"


def test_rotation_signs_with_both_secrets_until_the_old_one_expires(
    create: Create, api: httpx.Client, sim: httpx.Client, receiver: Receiver, persona: launch.Running
) -> None:
    webhook = configure(api, enabled_events=["inquiry.approved"])["id"]
    rotated = api.post(f"/webhooks/{webhook}/rotate-secret", json={"meta": {"expires-in-seconds": 60}}).json()
    new, old = (secret["value"] for secret in rotated["data"]["attributes"]["secrets"])
    assert old == persona.webhook_secret
    assert rotated["data"]["attributes"]["secret"] == new
    approve(create, api, sim)
    assert verified(receiver.requests[-1], new, old)
    sim.post("/clock", json={"advance_seconds": 61})
    approve(create, api, sim)
    assert verified(receiver.requests[-1], new)
    assert len(api.get(f"/webhooks/{webhook}").json()["data"]["attributes"]["secrets"]) == 1
    api.post(f"/webhooks/{webhook}/rotate-secret")
    approve(create, api, sim)
    assert not verified(receiver.requests[-1], new), "without an overlap the old secret ends at once"


def test_the_webhooks_settings_shape_the_body(
    create: Create, api: httpx.Client, sim: httpx.Client, receiver: Receiver
) -> None:
    configure(
        api,
        enabled_events=["inquiry.approved"],
        api_version="2023-01-05",
        api_key_inflection="snake",
        relationship_allowlist={"state": "include_none"},
        included_allowlist={
            "state": "custom",
            "event-types": [{"event-type": "inquiry.approved", "relationships": ["account"]}],
        },
    )
    approve(create, api, sim)
    attributes = json.loads(receiver.requests[-1].body)["data"]["attributes"]
    payload = attributes["payload"]
    assert attributes["name"] == "inquiry.approved"
    assert "created_at" in attributes
    assert payload["data"]["attributes"]["reference_id"] == "sub_1"
    assert payload["data"]["attributes"]["name_first"] == "Testa"
    assert "relationships" not in payload["data"]
    assert [item["type"] for item in payload["included"]] == ["account"]


def test_a_blocklist_keeps_every_canary_out_of_the_body(
    create: Create, api: httpx.Client, sim: httpx.Client, receiver: Receiver
) -> None:
    entries = ["/data/attributes/*", "!/data/attributes/status", "!/data/attributes/reference-id"]
    approve(create, api, sim)
    assert any(canary.encode() in request.body for canary in PII_CANARIES for request in receiver.requests)
    configure(api, enabled_events=["inquiry.approved"], api_attributes_blocklist=entries)
    approve(create, api, sim)
    body = receiver.requests[-1].body
    assert not [canary for canary in PII_CANARIES if canary.encode() in body]
    kept = json.loads(body)["data"]["attributes"]["payload"]["data"]
    assert kept["attributes"] == {"status": "approved", "reference-id": "sub_1"}
    assert kept["relationships"]["inquiry-template"]["data"]["id"].startswith("itmpl_")


def test_a_payload_filter_skips(create: Create, api: httpx.Client, sim: httpx.Client, receiver: Receiver) -> None:
    wanted = {"data": {"attributes": {"status": "declined"}}}
    configure(api, enabled_events=["inquiry.approved", "inquiry.declined"], payload_filter=wanted)
    inquiry = approve(create, api, sim)
    assert delivery(sim)["status"] == "skipped"
    api.post(f"/inquiries/{inquiry}/decline")
    sim.post("/settle")
    assert len(receiver.requests) == 1


def test_webhooks_are_created_disabled_and_checked(api: httpx.Client) -> None:
    attributes = {"url": "http://127.0.0.1:9/x", "enabled-events": ["*"], "custom-http-headers": {"X-One": "1"}}
    made = api.post("/webhooks", json={"data": {"attributes": attributes}})
    assert made.status_code == 201
    found = made.json()["data"]["attributes"]
    assert found["status"] == "disabled"
    assert found["secret"].startswith("wbhsec_")
    assert found["included-allowlist"] == {"state": "include_none"}
    assert found["api-version"] == "2025-12-08"
    for wrong in (
        {"enabled-events": ["*"]},
        attributes | {"url": "ftp://x"},
        attributes | {"api-version": "2020-05-18"},
        attributes | {"included-allowlist": {"state": "some"}},
        attributes | {"api-attributes-blocklist": [""]},
        attributes | {"status": "enabled"},
    ):
        assert api.post("/webhooks", json={"data": {"attributes": wrong}}).status_code == 400, wrong
    path = f"/webhooks/{made.json()['data']['id']}"
    assert api.post(f"{path}/archive").json()["data"]["attributes"]["status"] == "archived"
    assert api.post(f"{path}/enable").status_code == 409


def test_deliveries_never_leave_the_machine(create: Create, api: httpx.Client, sim: httpx.Client) -> None:
    configure(api, enabled_events=["inquiry.approved"], url="https://example.com/hook")
    sim.post("/clock", json={"speed": 0})
    approve(create, api, sim)
    (attempt,) = delivery(sim)["attempts"]
    assert attempt["error"] == "the simulator delivers to loopback addresses only"


def test_exact_bytes_can_be_signed_and_sent(sim: httpx.Client, receiver: Receiver, persona: launch.Running) -> None:
    receiver.answers = [401, 202]
    assert sim.post("/deliver", json={"body": '{"a":  1}', "t": 5}).json() == {"status": 401, "error": None}
    assert receiver.requests[0].body == b'{"a":  1}'
    assert receiver.requests[0].headers["persona-signature"].startswith("t=5,")
    assert verified(receiver.requests[0], persona.webhook_secret)
    other = "wbhsec_another-secret-entirely"
    assert sim.post("/deliver", json={"json": {"a": "<"}, "secret": other}).json()["status"] == 202
    assert receiver.requests[1].body == b'{"a":"\\u003c"}'
    assert verified(receiver.requests[1], other)


def test_an_event_is_on_its_way_within_five_milliseconds(create: Create, api: httpx.Client, sim: httpx.Client) -> None:
    configure(api, enabled_events=["inquiry.approved"])
    inquiry = approve(create, api, sim)
    for _ in range(20):
        api.post(f"/inquiries/{inquiry}/approve")
        sim.post("/settle")
    log = sim.get("/deliveries", params={"event_name": "inquiry.approved"}).json()["deliveries"]
    latencies = sorted(entry["attempts"][0]["latency_ms"] for entry in log)
    assert latencies[len(latencies) // 2] < 5
