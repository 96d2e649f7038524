"""The state machine, its clock, and what each step announces."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.integration.simulator.conftest import Create, simulate


def attributes(api: httpx.Client, inquiry: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/inquiries/{inquiry}").json()["data"]["attributes"]
    return found


def names(api: httpx.Client, inquiry: str) -> list[str]:
    """The inquiry's events, oldest first."""
    params = {"filter[object-id]": inquiry, "page[size]": "100"}
    listed = api.get("/events", params=params).json()["data"]
    return [event["attributes"]["name"] for event in reversed(listed)]


SIMULATED = [
    ("start", "pending", "inquiry.started", "started-at"),
    ("complete", "completed", "inquiry.completed", "completed-at"),
    ("fail", "failed", "inquiry.failed", "failed-at"),
    ("expire", "expired", "inquiry.expired", "expired-at"),
    ("mark_for_review", "needs_review", "inquiry.marked-for-review", "marked-for-review-at"),
    ("approve", "approved", "inquiry.approved", "decisioned-at"),
    ("decline", "declined", "inquiry.declined", "decisioned-at"),
]


@pytest.mark.parametrize(("action", "status", "event", "time"), SIMULATED)
def test_a_simulate_action_sets_exactly_its_status(
    create: Create, api: httpx.Client, action: str, status: str, event: str, time: str
) -> None:
    inquiry = create()["data"]["id"]
    answer = simulate(api, inquiry, action)
    assert answer.status_code == 200
    found = attributes(api, inquiry)
    assert found["status"] == status == answer.json()["data"]["attributes"]["status"]
    assert found[time] is not None
    assert names(api, inquiry) == ["inquiry.created", event]


def test_a_failed_time_is_not_set_on_a_declined_inquiry(create: Create, api: httpx.Client) -> None:
    inquiry = create()["data"]["id"]
    simulate(api, inquiry, "start", "complete", "decline")
    found = attributes(api, inquiry)
    assert found["failed-at"] is None
    assert found["completed-at"]
    assert found["expires-at"] is None


def test_simulated_verifications_announce_the_document_first(create: Create, api: httpx.Client) -> None:
    inquiry = create()["data"]["id"]
    path = f"/inquiries/{inquiry}/perform-simulate-actions"
    action = {"type": "create_passed_verification", "data": {"verification-template-id": "vtmpl_1"}}
    assert api.post(path, json={"meta": {"simulate-actions": [action]}}).status_code == 200
    listed = [event["attributes"]["name"] for event in api.get("/events").json()["data"]][::-1]
    assert listed[2:] == [
        "document.created",
        "document.submitted",
        "document.processed",
        "verification.created",
        "verification.submitted",
        "verification.passed",
    ]
    bad: list[Any] = [
        {"type": "create_passed_verification"},
        {"type": "explode"},
        "start_inquiry",
    ]
    for wrong in bad:
        actions = [{"type": "start_inquiry"}, wrong]
        assert api.post(path, json={"meta": {"simulate-actions": actions}}).status_code == 400
    assert attributes(api, inquiry)["status"] == "created"


def test_decisions_may_follow_each_other_but_review_may_not_follow_them(create: Create, api: httpx.Client) -> None:
    inquiry = create()["data"]["id"]
    for verb, status in (("approve", "approved"), ("decline", "declined"), ("approve", "approved")):
        answer = api.post(f"/inquiries/{inquiry}/{verb}", json={"meta": {"comment": f"{verb}!"}})
        assert answer.json()["data"]["attributes"]["status"] == status
        assert answer.json()["data"]["attributes"]["reviewer-comment"] == f"{verb}!"
        refused = api.post(f"/inquiries/{inquiry}/mark-for-review")
        assert refused.status_code == 409
        assert refused.json()["errors"][0]["title"] == "Conflict"
    assert names(api, inquiry)[1:] == ["inquiry.approved", "inquiry.declined", "inquiry.approved"]


def test_review_leads_to_a_decision(create: Create, api: httpx.Client) -> None:
    inquiry = create()["data"]["id"]
    simulate(api, inquiry, "start", "complete")
    assert api.post(f"/inquiries/{inquiry}/mark-for-review").json()["data"]["attributes"]["status"] == "needs_review"
    assert api.post(f"/inquiries/{inquiry}/approve").status_code == 200


@pytest.mark.parametrize("before", [[], ["start"], ["expire"]])
def test_resume_is_allowed_in_created_pending_and_expired(create: Create, api: httpx.Client, before: list[str]) -> None:
    inquiry = create()["data"]["id"]
    if before:
        simulate(api, inquiry, *before)
    answer = api.post(f"/inquiries/{inquiry}/resume")
    assert answer.status_code == 200
    assert answer.json()["meta"]["session-token"]
    assert answer.json()["data"]["attributes"]["status"] == ("pending" if before else "created")
    assert answer.json()["data"]["attributes"]["expires-at"]


@pytest.mark.parametrize("last", ["complete", "fail", "mark_for_review", "approve", "decline"])
def test_resume_is_a_conflict_everywhere_else(create: Create, api: httpx.Client, last: str) -> None:
    inquiry = create()["data"]["id"]
    simulate(api, inquiry, "start", last)
    assert api.post(f"/inquiries/{inquiry}/resume").status_code == 409
    assert api.post(f"/inquiries/{inquiry}/expire").status_code == 409


def test_resume_reuses_an_unused_session_and_stops_at_twenty_five(create: Create, api: httpx.Client) -> None:
    inquiry = create({"auto-create-inquiry-session": True})["data"]["id"]
    for _ in range(3):
        assert api.post(f"/inquiries/{inquiry}/resume").status_code == 200
    sessions = {"filter[inquiry-id]": inquiry, "page[size]": 100}
    assert len(api.get("/inquiry-sessions", params=sessions).json()["data"]) == 1
    for _ in range(24):
        for session in api.get("/inquiry-sessions", params=sessions).json()["data"][:1]:
            api.post(f"/inquiry-sessions/{session['id']}/expire")
        assert api.post(f"/inquiries/{inquiry}/resume").status_code == 200
    newest = api.get("/inquiry-sessions", params=sessions).json()["data"]
    assert len(newest) == 25
    api.post(f"/inquiry-sessions/{newest[0]['id']}/expire")
    refused = api.post(f"/inquiries/{inquiry}/resume")
    assert refused.status_code == 422
    assert "25 sessions" in refused.json()["errors"][0]["details"]


def test_it_expires_by_the_clock_and_resuming_starts_the_clock_again(
    create: Create, api: httpx.Client, sim: httpx.Client
) -> None:
    inquiry = create({"expiration-after-resume-interval-seconds": 100})["data"]["id"]
    sim.post("/clock", json={"advance_seconds": 86_390})
    assert attributes(api, inquiry)["status"] == "created"
    sim.post("/clock", json={"advance_seconds": 20})
    assert attributes(api, inquiry)["status"] == "expired"
    assert names(api, inquiry) == ["inquiry.created", "inquiry.expired"]
    assert api.post(f"/inquiries/{inquiry}/generate-one-time-link").status_code == 409
    api.post(f"/inquiries/{inquiry}/resume")
    sim.post("/clock", json={"advance_seconds": 90})
    assert attributes(api, inquiry)["status"] == "pending"
    sim.post("/clock", json={"advance_seconds": 20})
    assert attributes(api, inquiry)["status"] == "expired"


def test_starting_moves_the_deadline(create: Create, api: httpx.Client, sim: httpx.Client) -> None:
    inquiry = create()["data"]["id"]
    sim.post("/clock", json={"advance_seconds": 80_000})
    simulate(api, inquiry, "start")
    sim.post("/clock", json={"advance_seconds": 80_000})
    assert attributes(api, inquiry)["status"] == "pending"


def test_redaction_keeps_the_status_and_the_event_comes_late(
    create: Create, api: httpx.Client, sim: httpx.Client
) -> None:
    sim.post("/clock", json={"speed": 0})
    inquiry = create({"auto-create-account-reference-id": "sub_1"})["data"]["id"]
    simulate(api, inquiry, "start", "complete", "approve")
    answer = api.delete(f"/inquiries/{inquiry}").json()["data"]["attributes"]
    assert answer["status"] == "approved"
    assert answer["redacted-at"]
    assert answer["reference-id"] == "sub_1"
    assert {field["value"] for field in answer["fields"].values()} == {None}
    assert "inquiry.redacted" not in names(api, inquiry)
    sim.post("/clock", json={"advance_seconds": 5})
    assert names(api, inquiry)[-1] == "inquiry.redacted"
    again = api.delete(f"/inquiries/{inquiry}")
    assert again.status_code == 409
    assert again.json()["errors"][0]["details"] == "Inquiry already redacted"
    for verb in ("approve", "decline", "mark-for-review", "resume"):
        assert api.post(f"/inquiries/{inquiry}/{verb}").status_code == 409


@pytest.mark.parametrize(
    ("outcome", "status"), [("approve", "approved"), ("decline", "declined"), ("review", "needs_review")]
)
def test_the_workflow_decides_only_when_switched_on(
    create: Create, api: httpx.Client, sim: httpx.Client, outcome: str, status: str
) -> None:
    left = create()["data"]["id"]
    simulate(api, left, "start", "complete")
    sim.post("/workflow", json={"enabled": True, "outcome": outcome, "delay_seconds": 2})
    inquiry = create()["data"]["id"]
    simulate(api, inquiry, "start", "complete")
    assert attributes(api, inquiry)["status"] == "completed"
    sim.post("/clock", json={"advance_seconds": 3})
    assert attributes(api, inquiry)["status"] == status
    assert attributes(api, left)["status"] == "completed"


def test_a_payload_is_a_snapshot_of_its_moment(create: Create, api: httpx.Client) -> None:
    inquiry = create()["data"]["id"]
    simulate(api, inquiry, "start", "complete", "approve")
    api.delete(f"/inquiries/{inquiry}")
    listed = api.get("/events", params={"filter[object-id]": inquiry}).json()["data"]
    statuses = [event["attributes"]["payload"]["data"]["attributes"]["status"] for event in listed]
    assert statuses[-4:] == ["approved", "completed", "pending", "created"]
    completed = listed[-3]["attributes"]["payload"]["data"]["attributes"]
    assert completed["fields"]["name_first"]["value"] == "Testa"
    assert completed["decisioned-at"] is None
