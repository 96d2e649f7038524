"""The hosted page: who is let in, where it sends people, and the run in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.async_api import expect

from scripts.persona_simulator import launch
from tests.integration.simulator.browser import Dapp, open_page, serve_dapp
from tests.integration.simulator.conftest import Create, simulate, status_of


@pytest.fixture
def dapp() -> Iterator[Dapp]:
    with serve_dapp() as server:
        yield server


@pytest.fixture
def visitor(persona: launch.Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=persona.url) as client:
        yield client


def hidden(page: httpx.Response) -> dict[str, str]:
    """The form's hidden values, as a browser would send them back."""
    return dict(re.findall(r'name="([^"]+)" value="([^"]+)">', page.text.split("<button")[0].split("<form")[1]))


def test_the_page_says_what_it_is_and_runs_no_script(create: Create, visitor: httpx.Client) -> None:
    inquiry = create()["data"]["id"]
    page = visitor.get("/verify", params={"inquiry-id": inquiry})
    assert page.status_code == 200
    assert "Simulator, no real verification" in page.text
    policy = page.headers["Content-Security-Policy"]
    for part in ("default-src 'none'", "script-src 'none'", "frame-ancestors 'none'", "form-action 'self';"):
        assert part in policy
    assert "<script" not in page.text
    assert page.headers["Cache-Control"] == "no-store"


def test_created_opens_without_a_token_and_pending_does_not(
    create: Create, api: httpx.Client, visitor: httpx.Client
) -> None:
    inquiry = create()["data"]["id"]
    simulate(api, inquiry, "start")
    refused = visitor.get("/verify", params={"inquiry-id": inquiry})
    assert (refused.status_code, "Session expired" in refused.text) == (403, True)
    token = api.post(f"/inquiries/{inquiry}/resume").json()["meta"]["session-token"]
    assert visitor.get("/verify", params={"inquiry-id": inquiry, "session-token": token}).status_code == 200
    other = create()["data"]["id"]
    assert visitor.get("/verify", params={"inquiry-id": other, "session-token": token}).status_code == 403
    assert visitor.get("/verify", params={"inquiry-id": inquiry, "session-token": "a.b.c"}).status_code == 403
    assert visitor.get("/verify", params={"inquiry-id": inquiry, "session-token": "ä"}).status_code == 403


def test_expired_inquiries_sessions_and_unknown_ids_are_turned_away(
    create: Create, api: httpx.Client, sim: httpx.Client, visitor: httpx.Client
) -> None:
    document = create({"auto-create-inquiry-session": True, "expiration-after-create-interval-seconds": 900_000})
    params = {"inquiry-id": document["data"]["id"], "session-token": document["meta"]["session-token"]}
    assert visitor.get("/verify", params=params).status_code == 200
    sim.post("/clock", json={"advance_seconds": 86_401})
    assert visitor.get("/verify", params=params).status_code == 403
    api.post(f"/inquiries/{params['inquiry-id']}/expire")
    assert visitor.get("/verify", params={"inquiry-id": params["inquiry-id"]}).status_code == 403
    assert visitor.get("/verify", params={"inquiry-id": "inq_none"}).status_code == 404
    client_side = visitor.get("/verify", params={"inquiry-template-id": "itmpl_1"})
    assert client_side.status_code == 422
    assert "browsers" in client_side.text


def test_a_one_time_link_opens_once_with_five_minutes_of_grace(
    create: Create, sim: httpx.Client, visitor: httpx.Client
) -> None:
    sim.post("/clock", json={"speed": 0})
    meta = create({"auto-create-one-time-link": True})["meta"]
    assert visitor.get(meta["one-time-link-short"]).headers["Location"].startswith("/verify?code=")
    assert visitor.get(meta["one-time-link"]).status_code == 200
    sim.post("/clock", json={"advance_seconds": 299})
    assert visitor.get(meta["one-time-link"]).status_code == 200
    sim.post("/clock", json={"advance_seconds": 2})
    assert visitor.get(meta["one-time-link"]).status_code == 403
    assert visitor.get("/verify", params={"code": "us1-guess"}).status_code == 403


def test_an_unused_link_is_given_again_and_expires(
    create: Create, api: httpx.Client, sim: httpx.Client, visitor: httpx.Client
) -> None:
    inquiry = create()["data"]["id"]
    path = f"/inquiries/{inquiry}/generate-one-time-link"
    body = {"meta": {"expires-in-seconds": 60}}
    first = api.post(path, json=body).json()["meta"]
    assert api.post(path, json=body).json()["meta"] == first
    sim.post("/clock", json={"advance_seconds": 61})
    assert visitor.get(first["one-time-link"]).status_code == 403
    assert api.post(path, json=body).json()["meta"] != first


@pytest.mark.parametrize(
    "uri", ["https://evil.example/x", "javascript:alert(1)", "http://localhost.evil.example", "//x"]
)
def test_redirects_go_to_listed_hosts_only(create: Create, visitor: httpx.Client, uri: str) -> None:
    inquiry = create()["data"]["id"]
    refused = visitor.get("/verify", params={"inquiry-id": inquiry, "redirect-uri": uri})
    assert (refused.status_code, "Redirect not allowed" in refused.text) == (422, True)


def test_text_from_outside_cannot_become_markup(create: Create, visitor: httpx.Client) -> None:
    inquiry = create(**{"redirect-uri": 'http://localhost/"><b>x'})["data"]["id"]
    assert "<b>x" not in visitor.get("/verify", params={"inquiry-id": inquiry}).text


def test_steps_are_possible_in_their_order_only(create: Create, visitor: httpx.Client) -> None:
    inquiry = create()["data"]["id"]
    form = hidden(visitor.get("/verify", params={"inquiry-id": inquiry}))
    assert visitor.post("/verify", data=form | {"action": "approve"}).status_code == 409
    assert visitor.post("/verify", data=form | {"action": "explode"}).status_code == 409
    assert visitor.post("/verify", data=form | {"action": "pass"}).status_code == 200
    assert visitor.post("/verify", data=form | {"action": "pass"}).status_code == 409
    assert visitor.post("/verify", data={"inquiry-id": inquiry, "action": "approve"}).status_code == 403


def test_a_whole_run_emits_the_events_of_a_real_one(create: Create, api: httpx.Client, visitor: httpx.Client) -> None:
    inquiry = create({"auto-create-account-reference-id": "sub_1"})["data"]["id"]
    form = hidden(visitor.get("/verify", params={"inquiry-id": inquiry}))
    visitor.post("/verify", data=form | {"action": "pass"})
    assert "close this page" in visitor.post("/verify", data=form | {"action": "approve"}).text
    listed = api.get("/events", params={"page[size]": 100}).json()["data"]
    names = [event["attributes"]["name"] for event in reversed(listed)]
    checks = ["created", "submitted", "processed"], ["created", "submitted", "passed"]
    assert names == [
        "account.created",
        "inquiry.created",
        "inquiry-session.started",
        "inquiry.started",
        "inquiry.transitioned",
        *[f"document.{step}" for step in checks[0]],
        *[f"verification.{step}" for step in checks[1]],
        "inquiry.transitioned",
        *[f"selfie.{step}" for step in checks[0]],
        *[f"verification.{step}" for step in checks[1]],
        "inquiry.transitioned",
        "inquiry.completed",
        "inquiry.approved",
    ]
    data: dict[str, Any] = api.get(f"/inquiries/{inquiry}").json()["data"]
    assert [ref["type"] for ref in data["relationships"]["verifications"]["data"]] == [
        "verification/government-id",
        "verification/selfie",
    ]
    assert data["attributes"]["fields"]["current_selfie"]["value"]["type"] == "Selfie::ProfileAndCenter"


@pytest.mark.chromium
@pytest.mark.parametrize(
    ("check", "decision", "status"),
    [
        ("Pass the checks", "Approve", "approved"),
        ("Pass the checks", "No decision", "completed"),
        ("Pass the checks", "Send to review", "needs_review"),
        ("Fail the checks", "Decline", "declined"),
    ],
)
async def test_a_person_runs_the_flow_and_returns_to_the_dapp(
    create: Create, api: httpx.Client, dapp: Dapp, check: str, decision: str, status: str
) -> None:
    back = f"{dapp.url}/return?kept=1"
    meta = {"auto-create-account-reference-id": "sub_1", "auto-create-one-time-link": True}
    document = create(meta, **{"redirect-uri": back})
    async with open_page() as page:
        await page.goto(document["meta"]["one-time-link"])
        await page.get_by_role("button", name=check).click()
        await page.get_by_role("button", name=decision).click()
        await page.wait_for_url(f"{dapp.url}/return**")
    path, query = dapp.visits[0]
    assert path == "/return"
    assert query["kept"] == ["1"]
    assert query["inquiry-id"] == [document["data"]["id"]]
    assert query["reference-id"] == ["sub_1"]
    assert query["status"] == [status]
    assert query["fields[name_first]"] == ["Testa"]
    assert status_of(api, document["data"]["id"]) == status


@pytest.mark.chromium
async def test_leaving_keeps_the_inquiry_pending_and_closed_without_a_token(
    create: Create, api: httpx.Client, persona: launch.Running
) -> None:
    inquiry = create()["data"]["id"]
    async with open_page() as page:
        await page.goto(f"{persona.url}/verify?inquiry-id={inquiry}")
        await page.get_by_role("button", name="Leave without finishing").click()
        await expect(page.get_by_role("heading")).to_have_text("You left")
        await page.goto(f"{persona.url}/verify?inquiry-id={inquiry}")
        await expect(page.get_by_role("heading")).to_have_text("Session expired")
    assert status_of(api, inquiry) == "pending"
