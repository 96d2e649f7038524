"""The delivery scenarios can be played: exact ids, exact bodies, and an API that agrees."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from scripts.persona_simulator.wire import encode
from tests.integration.simulator.conftest import Receiver
from tests.unit.simulator.shapes import FIXTURES, example

SCENARIOS: list[dict[str, Any]] = json.loads((FIXTURES / "delivery-scenarios.json").read_text())["scenarios"]
INQUIRY = "inq_4G5Y92jqjWysUcMhrzZzhaemxiLn"
SUBJECT = "sub_0192f0c4-7c1e-7a6e-9d0b-1f2e3d4c5b6a"


def arrival_body(arrival: Any) -> Any:
    if isinstance(arrival, str):
        return example(arrival)
    body = example(arrival["body"])
    for pointer, value in arrival["set"].items():
        *way, last = pointer.strip("/").split("/")
        here = body
        for step in way:
            here = here[step]
        here[last] = value
    return body


def seed() -> dict[str, Any]:
    return {
        "id": INQUIRY,
        "reference-id": SUBJECT,
        "template-id": "itmpl_6sVmH1cxngytfoAhLxYmWlB40Yaw",
        "account-id": "act_vYCuiyZvlTObZj6pbsD05yJr0Z7u",
        "inquiry-template-version-id": "itmplv_e0ylPyMJR0BYVsPRGXCEZmrwMtx9",
        "created-at": "2026-11-20T12:00:00.000Z",
        "updated-at": "2026-11-20T12:00:00.000Z",
        "expires-at": "2026-11-21T12:00:00.000Z",
    }


def test_a_seeded_inquiry_is_exactly_the_examples(api: httpx.Client, sim: httpx.Client) -> None:
    assert sim.post("/inquiries", json=seed()).status_code == 201
    assert (
        api.get(f"/inquiries/{INQUIRY}").json()["data"]
        == example("inquiry.created")["data"]["attributes"]["payload"]["data"]
    )
    assert sim.post("/inquiries", json=seed()).status_code == 409
    assert sim.post("/inquiries", json={}).status_code == 400
    assert sim.post("/inquiries", json={"id": "inq_2", "colour": "red"}).status_code == 400
    assert sim.get("/inquiries/count", params={"reference_id": SUBJECT}).json() == {"count": 1}
    assert api.get("/events").json()["data"] == [], "seeding fires nothing"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["name"])
def test_a_scenario_is_delivered_byte_for_byte_and_the_api_follows(
    api: httpx.Client, sim: httpx.Client, receiver: Receiver, scenario: dict[str, Any]
) -> None:
    sim.post("/inquiries", json=seed())
    sent = []
    newest = ""
    for arrival in scenario["arrivals"]:
        if isinstance(arrival, dict) and "step" in arrival:
            continue
        body = arrival_body(arrival)
        event = body["data"]["attributes"]
        if event["created-at"] > newest:
            newest, inquiry = event["created-at"], event["payload"]["data"]["attributes"]
            times = {key: value for key, value in inquiry.items() if key.endswith("-at")}
            forced = sim.patch(f"/inquiries/{INQUIRY}", json={"status": inquiry["status"]} | times)
            assert forced.status_code == 200
        sent.append(encode(body))
        answer = sim.post("/deliver", json={"body": sent[-1].decode()})
        assert answer.json() == {"status": 202, "error": None}
    assert [received.body for received in receiver.requests] == sent
    found = api.get(f"/inquiries/{INQUIRY}").json()["data"]["attributes"]
    if "status" in scenario["expect"]:
        assert found["status"] == scenario["expect"]["status"]


def test_forcing_takes_any_status_and_refuses_unknown_keys(api: httpx.Client, sim: httpx.Client) -> None:
    sim.post("/inquiries", json=seed() | {"status": "approved", "filled": True})
    assert api.get(f"/inquiries/{INQUIRY}").json()["data"]["attributes"]["fields"]["name_first"]["value"] == "Testa"
    assert sim.patch(f"/inquiries/{INQUIRY}", json={"status": "frozen"}).json()["status"] == "frozen"
    assert api.get(f"/inquiries/{INQUIRY}").json()["data"]["attributes"]["status"] == "frozen"
    assert sim.patch(f"/inquiries/{INQUIRY}", json={"status": "created", "colour": 1}).status_code == 400
    assert sim.patch(f"/inquiries/{INQUIRY}", json={"created-at": "soon"}).status_code == 400
    assert sim.get(f"/inquiries/{INQUIRY}").json()["status"] == "frozen"
