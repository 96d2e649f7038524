"""Chaos on deliveries and faults of the API, each switch on its own."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from scripts.persona_simulator import launch
from scripts.persona_simulator.chaos import UNKNOWN_EVENT, UNKNOWN_STATUS
from scripts.persona_simulator.signing import signature_header
from tests.integration.simulator.conftest import Create, Receiver, eventually, simulate


@pytest.fixture
def inquiry(create: Create, api: httpx.Client, sim: httpx.Client, receiver: Receiver) -> str:
    """An inquiry whose own creation has been delivered, on a clock that stands still."""
    sim.post("/clock", json={"speed": 0})
    made: str = create({"auto-create-account-reference-id": "sub_1"})["data"]["id"]
    sim.post("/settle")
    receiver.requests.clear()
    return made


def events(receiver: Receiver) -> list[dict[str, Any]]:
    return [json.loads(received.body)["data"] for received in receiver.requests]


def decided(api: httpx.Client, sim: httpx.Client, inquiry: str, *steps: str) -> None:
    simulate(api, inquiry, *steps)
    sim.post("/settle")


def names(receiver: Receiver) -> list[str]:
    return [event["attributes"]["name"] for event in events(receiver)]


def test_duplicate_sends_the_same_event_twice(
    api: httpx.Client, sim: httpx.Client, receiver: Receiver, inquiry: str
) -> None:
    sim.post("/chaos", json={"duplicate": 1})
    decided(api, sim, inquiry, "approve")
    assert len(receiver.requests) == 2
    assert receiver.requests[0].body == receiver.requests[1].body
    decided(api, sim, inquiry, "decline")
    assert len(receiver.requests) == 3


def test_reorder_lets_the_decision_overtake(
    api: httpx.Client, sim: httpx.Client, receiver: Receiver, inquiry: str
) -> None:
    sim.post("/chaos", json={"reorder": {"events": ["inquiry.completed"]}})
    decided(api, sim, inquiry, "complete")
    assert names(receiver) == []
    decided(api, sim, inquiry, "approve")
    assert names(receiver) == ["inquiry.approved", "inquiry.completed"]
    first, second = events(receiver)
    assert first["attributes"]["created-at"] > second["attributes"]["created-at"]
    decided(api, sim, inquiry, "complete")
    sim.post("/chaos", json={"reorder": False})
    sim.post("/settle")
    assert names(receiver)[-1] == "inquiry.completed", "switching it off lets the held one go"


def test_drop_leaves_only_the_api_to_tell(
    api: httpx.Client, sim: httpx.Client, receiver: Receiver, inquiry: str
) -> None:
    sim.post("/chaos", json={"drop": True})
    decided(api, sim, inquiry, "approve")
    assert receiver.requests == []
    assert api.get(f"/inquiries/{inquiry}").json()["data"]["attributes"]["status"] == "approved"
    assert api.get("/events").json()["data"][0]["attributes"]["name"] == "inquiry.approved"


def test_delay_waits_on_the_simulated_clock(
    api: httpx.Client, sim: httpx.Client, receiver: Receiver, inquiry: str
) -> None:
    sim.post("/chaos", json={"delay": 60})
    decided(api, sim, inquiry, "approve")
    sim.post("/clock", json={"advance_seconds": 59})
    assert receiver.requests == []
    sim.post("/clock", json={"advance_seconds": 1})
    assert names(receiver) == ["inquiry.approved"]


def test_a_corrupt_signature_stays_corrupt_on_retries(
    api: httpx.Client, sim: httpx.Client, receiver: Receiver, inquiry: str, persona: launch.Running
) -> None:
    receiver.answers = [401]
    sim.post("/chaos", json={"corrupt_signature": 1})
    decided(api, sim, inquiry, "approve")
    sim.post("/clock", json={"advance_seconds": 3})
    assert len(receiver.requests) == 2
    for received in receiver.requests:
        header = received.headers["persona-signature"]
        right = signature_header([persona.webhook_secret], received.body, int(header[2:12]))
        assert header != right
        assert header[:-1] == right[:-1]


def test_reuse_first_t_signs_retries_with_the_first_time(
    api: httpx.Client, sim: httpx.Client, receiver: Receiver, inquiry: str
) -> None:
    receiver.answers = [500]
    sim.post("/chaos", json={"reuse_first_t": True})
    decided(api, sim, inquiry, "approve")
    sim.post("/clock", json={"advance_seconds": 3})
    first, second = receiver.requests
    assert first.headers["persona-signature"] == second.headers["persona-signature"]


def test_strange_events_come_beside_the_true_one(
    api: httpx.Client, sim: httpx.Client, receiver: Receiver, inquiry: str
) -> None:
    sim.post("/chaos", json={"unknown_event": 1, "foreign_inquiry": 1, "other_template": 1})
    decided(api, sim, inquiry, "approve")
    found = events(receiver)
    assert len(found) == len({event["id"] for event in found}) == 4
    assert sorted(names(receiver)) == ["inquiry.approved"] * 3 + [UNKNOWN_EVENT]
    strangers = [e["attributes"]["payload"]["data"] for e in found]
    strangers = [data for data in strangers if data["id"] != inquiry]
    mine = api.get(f"/inquiries/{inquiry}").json()["data"]["relationships"]["inquiry-template"]
    assert sorted(data["relationships"]["inquiry-template"] == mine for data in strangers) == [False, True]
    for stranger in strangers:
        asked = api.get(f"/inquiries/{stranger['id']}").json()["data"]
        assert asked["attributes"]["status"] == "approved", "the API does not give it away"
        assert asked["attributes"]["reference-id"] == "sub_1"
        assert asked["relationships"]["inquiry-template"] == stranger["relationships"]["inquiry-template"]


def test_lies_are_in_the_delivery_only(api: httpx.Client, sim: httpx.Client, receiver: Receiver, inquiry: str) -> None:
    sim.post("/chaos", json={"unknown_status": 1, "extra_keys": 1, "missing_included": 1})
    decided(api, sim, inquiry, "approve")
    (event,) = events(receiver)
    assert event["attributes"]["payload"]["data"]["attributes"]["status"] == UNKNOWN_STATUS
    assert event["attributes"]["redacted-at"] is None
    assert "context" in event["attributes"]
    assert "included" not in event["attributes"]["payload"]
    true = api.get(f"/events/{event['id']}").json()["data"]["attributes"]
    assert true["payload"]["data"]["attributes"]["status"] == "approved"
    assert set(true) == {"name", "payload", "created-at"}


def test_unknown_switches_and_faults_are_refused(sim: httpx.Client) -> None:
    assert sim.post("/chaos", json={"explode": True}).status_code == 400
    assert sim.post("/faults", json={"kind": "explode"}).status_code == 400
    assert sim.post("/faults", json={"faults": ["x"]}).status_code == 400
    assert sim.post("/clock", json={"speed": "fast"}).status_code == 400
    assert sim.post("/clock", json={"set": "noon"}).status_code == 400
    assert sim.post("/workflow", json={"outcome": "maybe"}).status_code == 400
    assert sim.post("/deliver", json={"body_base64": "*"}).status_code == 400
    assert sim.post("/chaos", content=b"{").status_code == 400


def test_a_fault_acts_on_its_path_and_as_often_as_told(api: httpx.Client, sim: httpx.Client, inquiry: str) -> None:
    path = f"/inquiries/{inquiry}"
    sim.post("/faults", json={"kind": "status", "status": 503, "method": "GET", "path": f"/api/v1{path}", "times": 2})
    assert api.get("/inquiries").status_code == 200
    assert [api.get(path).status_code for _ in range(3)] == [503, 503, 200]
    assert sim.get("/faults").json() == {"faults": []}


@pytest.mark.parametrize(("when", "status"), [("before", "created"), ("after", "approved")])
def test_a_5xx_comes_before_or_after_the_work(
    api: httpx.Client, sim: httpx.Client, inquiry: str, when: str, status: str
) -> None:
    sim.post("/faults", json={"kind": "status", "when": when, "method": "POST"})
    assert api.post(f"/inquiries/{inquiry}/approve").status_code == 500
    assert api.get(f"/inquiries/{inquiry}").json()["data"]["attributes"]["status"] == status


def test_a_slow_answer_outlasts_a_short_timeout(api: httpx.Client, sim: httpx.Client, inquiry: str) -> None:
    sim.post("/faults", json={"kind": "slow", "seconds": 0.4})
    with pytest.raises(httpx.ReadTimeout):
        api.get(f"/inquiries/{inquiry}", timeout=0.1)
    assert api.get(f"/inquiries/{inquiry}", timeout=0.3).status_code == 200


@pytest.mark.parametrize("lie", ["unknown_status", "extra_keys", "missing_relationships"])
def test_bodies_can_lie_once(api: httpx.Client, sim: httpx.Client, inquiry: str, lie: str) -> None:
    true = api.get(f"/inquiries/{inquiry}").json()
    sim.post("/faults", json={"kind": "lie", "lie": lie})
    assert api.get(f"/inquiries/{inquiry}").json() != true
    assert api.get(f"/inquiries/{inquiry}").json() == true


def test_rate_limits_are_shown_always_and_counted_and_enforced_on_request(api: httpx.Client, sim: httpx.Client) -> None:
    sim.post("/clock", json={"speed": 0})
    assert [api.get("/events").headers["RateLimit-Remaining"] for _ in range(3)] == ["300"] * 3
    sim.post("/rate-limits", json={"enforce": True, "limit": 5})
    left = [int(api.get("/events").headers["RateLimit-Remaining"]) for _ in range(3)]
    assert left == [4, 3, 2]
    assert [api.get("/events").status_code for _ in range(4)] == [200, 200, 429, 429]
    sim.post("/clock", json={"advance_seconds": 61})
    assert api.get("/events").status_code == 200


def test_reset_forgets_everything(api: httpx.Client, sim: httpx.Client, inquiry: str) -> None:
    sim.post("/chaos", json={"drop": True})
    (before,) = api.get("/webhooks").json()["data"]
    sim.post("/reset")
    assert sim.get("/inquiries/count").json() == {"count": 0}
    (after,) = api.get("/webhooks").json()["data"]
    assert after["attributes"]["secrets"] == before["attributes"]["secrets"]
    assert after["id"] != before["id"]
    eventually(lambda: sim.get("/deliveries").json() == {"deliveries": []})
