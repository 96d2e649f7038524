"""``Idempotency-Key``: what is replayed, what is not, and what is an error."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from scripts.persona_simulator import launch
from tests.integration.simulator.conftest import Create


def body(persona: launch.Running, **attributes: Any) -> dict[str, Any]:
    return {"data": {"attributes": {"inquiry-template-id": persona.template_id} | attributes}}


def count(sim: httpx.Client) -> int:
    found: int = sim.get("/inquiries/count").json()["count"]
    return found


def test_the_same_key_replays_the_first_answer(api: httpx.Client, sim: httpx.Client, persona: launch.Running) -> None:
    first = api.post("/inquiries", json=body(persona), headers={"Idempotency-Key": "k"})
    second = api.post("/inquiries", json=body(persona), headers={"Idempotency-Key": "k"})
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert second.headers["Request-Id"] != first.headers["Request-Id"]
    assert count(sim) == 1
    assert api.post("/inquiries", json=body(persona), headers={"Idempotency-Key": "l"}).status_code == 201
    assert count(sim) == 2


def test_changed_parameters_are_a_conflict(api: httpx.Client, sim: httpx.Client, persona: launch.Running) -> None:
    headers = {"Idempotency-Key": "k"}
    assert api.post("/inquiries", json=body(persona), headers=headers).status_code == 201
    assert api.post("/inquiries", json=body(persona, note="n"), headers=headers).status_code == 409
    assert api.post("/webhooks", json=body(persona), headers=headers).status_code == 409
    assert count(sim) == 1


def test_refusals_and_failures_are_replayed_too(api: httpx.Client, sim: httpx.Client, persona: launch.Running) -> None:
    headers = {"Idempotency-Key": "bad"}
    refused = api.post("/inquiries", json={}, headers=headers)
    assert refused.status_code == 400
    assert api.post("/inquiries", json={}, headers=headers).content == refused.content
    sim.post("/faults", json={"kind": "status", "status": 503, "method": "POST", "when": "after"})
    headers = {"Idempotency-Key": "failed"}
    assert api.post("/inquiries", json=body(persona), headers=headers).status_code == 503
    assert count(sim) == 1, "the work was done"
    assert api.post("/inquiries", json=body(persona), headers=headers).status_code == 503
    assert count(sim) == 1


def test_401_and_429_are_decided_before_and_not_stored(
    api: httpx.Client, sim: httpx.Client, persona: launch.Running
) -> None:
    key = {"Idempotency-Key": "k"}
    unauthorised = httpx.post(f"{persona.api}/inquiries", json=body(persona), headers=key)
    assert unauthorised.status_code == 401
    sim.post("/faults", json={"kind": "rate_limited", "path": "/api/v1/inquiries"})
    limited = api.post("/inquiries", json=body(persona), headers=key)
    assert limited.status_code == 429
    assert limited.json() == {"errors": [{"title": "Rate limit exceeded"}]}
    assert api.post("/inquiries", json=body(persona), headers=key).status_code == 201


def test_a_key_lives_a_day_of_the_simulated_clock(
    api: httpx.Client, sim: httpx.Client, persona: launch.Running
) -> None:
    headers = {"Idempotency-Key": "k"}
    first = api.post("/inquiries", json=body(persona), headers=headers).json()["data"]["id"]
    sim.post("/clock", json={"advance_seconds": 86_000})
    assert api.post("/inquiries", json=body(persona), headers=headers).json()["data"]["id"] == first
    sim.post("/clock", json={"advance_seconds": 500})
    assert api.post("/inquiries", json=body(persona), headers=headers).json()["data"]["id"] != first


def test_a_repeat_during_the_first_request_waits_for_it(
    api: httpx.Client, sim: httpx.Client, persona: launch.Running
) -> None:
    sim.post("/faults", json={"kind": "slow", "seconds": 0.2, "method": "POST", "times": 3})

    def post(_: int) -> str:
        answer = api.post("/inquiries", json=body(persona), headers={"Idempotency-Key": "k"})
        found: str = answer.json()["data"]["id"]
        return found

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(post, range(4)))) == 1
    assert count(sim) == 1


def test_a_dropped_connection_leaves_the_work_done_and_the_key_replays_it(
    api: httpx.Client, sim: httpx.Client, persona: launch.Running
) -> None:
    sim.post("/faults", json={"kind": "drop", "method": "POST", "path": "/api/v1/inquiries"})
    headers = {"Idempotency-Key": "k"}
    with pytest.raises(httpx.RemoteProtocolError):
        api.post("/inquiries", json=body(persona), headers=headers)
    assert count(sim) == 1
    assert api.post("/inquiries", json=body(persona), headers=headers).status_code == 201
    assert count(sim) == 1


def test_keys_are_for_post_only(create: Create, api: httpx.Client) -> None:
    inquiry = create()["data"]["id"]
    headers = {"Idempotency-Key": "k"}
    before = api.get(f"/inquiries/{inquiry}", headers=headers).json()
    api.post(f"/inquiries/{inquiry}/approve")
    assert api.get(f"/inquiries/{inquiry}", headers=headers).json() != before
