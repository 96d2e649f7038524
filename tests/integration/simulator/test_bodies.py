"""Everything the simulator emits is built like the examples.

The invented fixtures are always there. Persona's official examples are not ours to copy:
point CLAIMWRIGHT_OFFICIAL_FIXTURES at a folder of them (JSON, the file names of the
2025-12-08 examples) and the same bodies are compared with those as well.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.simulator.conftest import Create, Receiver, simulate
from tests.unit.simulator.shapes import differences, example

STEPS = {
    "inquiry.created": (),
    "inquiry.started": ("start",),
    "inquiry.completed": ("start", "complete"),
    "inquiry.failed": ("start", "fail"),
    "inquiry.expired": ("expire",),
    "inquiry.marked-for-review": ("start", "complete", "mark_for_review"),
    "inquiry.approved": ("start", "complete", "approve"),
    "inquiry.declined": ("start", "complete", "decline"),
}


@pytest.fixture
def official() -> Path:
    folder = os.environ.get("CLAIMWRIGHT_OFFICIAL_FIXTURES")
    if not folder:
        pytest.skip("CLAIMWRIGHT_OFFICIAL_FIXTURES does not name a folder of official examples")
    return Path(folder)


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / f"{name}.json").read_text())


def delivered(api: httpx.Client, sim: httpx.Client, receiver: Receiver, create: Create, name: str) -> Any:
    """The body of the webhook that follows from the steps to `name`."""
    inquiry = create({"auto-create-account-reference-id": "sub_1"})["data"]["id"]
    if STEPS[name]:
        simulate(api, inquiry, *STEPS[name])
    sim.post("/settle")
    bodies = [json.loads(received.body) for received in receiver.requests]
    (body,) = [body for body in bodies if body["data"]["attributes"]["name"] == name]
    return body


@pytest.mark.parametrize("name", STEPS)
def test_webhooks_are_built_like_the_invented_examples(
    api: httpx.Client, sim: httpx.Client, receiver: Receiver, create: Create, name: str
) -> None:
    assert differences(example(name), delivered(api, sim, receiver, create, name)) == []


def test_keys_come_in_the_order_of_the_examples(
    api: httpx.Client, sim: httpx.Client, receiver: Receiver, create: Create
) -> None:
    ours = delivered(api, sim, receiver, create, "inquiry.approved")["data"]["attributes"]["payload"]["data"]
    theirs = example("inquiry.approved")["data"]["attributes"]["payload"]["data"]
    assert list(ours["attributes"]) == list(theirs["attributes"])
    assert list(ours["relationships"]) == list(theirs["relationships"])
    assert list(ours["attributes"]["fields"]) == list(theirs["attributes"]["fields"])


def test_the_redacted_event_is_built_like_its_example(
    api: httpx.Client, sim: httpx.Client, receiver: Receiver, create: Create
) -> None:
    inquiry = create({"auto-create-account-reference-id": "sub_1"})["data"]["id"]
    simulate(api, inquiry, "start", "complete", "approve")
    api.delete(f"/inquiries/{inquiry}")
    sim.post("/clock", json={"advance_seconds": 5})
    bodies = [json.loads(received.body) for received in receiver.requests]
    (body,) = [body for body in bodies if body["data"]["attributes"]["name"] == "inquiry.redacted"]
    assert differences(example("inquiry.redacted"), body) == []


def test_answers_hold_the_same_inquiry_as_the_webhooks(api: httpx.Client, create: Create) -> None:
    model = example("inquiry.approved")["data"]["attributes"]["payload"]["data"]
    created = create({"auto-create-account-reference-id": "sub_1"})
    inquiry = created["data"]["id"]
    assert differences(model, created["data"]) == []
    simulate(api, inquiry, "start", "complete")
    bodies = [
        api.get(f"/inquiries/{inquiry}").json()["data"],
        api.get("/inquiries").json()["data"][0],
        api.patch(f"/inquiries/{inquiry}", json={"data": {"attributes": {"note": "n"}}}).json()["data"],
        api.post(f"/inquiries/{inquiry}/mark-for-review").json()["data"],
        api.post(f"/inquiries/{inquiry}/approve").json()["data"],
        api.post(f"/inquiries/{inquiry}/decline").json()["data"],
        api.delete(f"/inquiries/{inquiry}").json()["data"],
    ]
    for body in bodies:
        assert differences(model, body) == []
    event = example("inquiry.approved")["data"]
    for listed in api.get("/events", params={"filter[object-id]": inquiry}).json()["data"]:
        assert differences(event, listed) == []


def test_every_event_of_a_whole_run_has_the_envelope(
    api: httpx.Client, sim: httpx.Client, receiver: Receiver, create: Create
) -> None:
    inquiry = create({"auto-create-account-reference-id": "sub_1"})["data"]["id"]
    simulate(api, inquiry, "start", "complete", "approve")
    assert sim.post("/reports", json={"inquiry-id": inquiry}).status_code == 201
    sim.post("/settle")
    for received in receiver.requests:
        body = json.loads(received.body)
        assert set(body) == {"data"}
        assert set(body["data"]) == {"type", "id", "attributes"}
        assert set(body["data"]["attributes"]) == {"name", "payload", "created-at"}
        assert set(body["data"]["attributes"]["payload"]) == {"data", "included"}
        assert set(body["data"]["attributes"]["payload"]["data"]) == {"type", "id", "attributes", "relationships"}


def test_errors_have_a_title_and_perhaps_details(api: httpx.Client, create: Create) -> None:
    inquiry = create()["data"]["id"]
    simulate(api, inquiry, "approve")
    answers = [
        api.get("/inquiries/none"),
        api.post(f"/inquiries/{inquiry}/resume"),
        api.post("/inquiries", json={}),
        api.get("/events", headers={"Persona-Version": "x"}),
        api.get("/inquiries", params={"page[size]": 0}),
    ]
    for answer in answers:
        assert answer.status_code >= 400
        assert set(answer.json()) == {"errors"}
        for error in answer.json()["errors"]:
            assert {"title"} <= set(error) <= {"title", "details"}


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("inquiry-approved-webhook-body", "inquiry.approved"),
        ("inquiry-completed-webhook-body", "inquiry.completed"),
        ("inquiry-created-webhook-body", "inquiry.created"),
        ("inquiry-declined-webhook-body", "inquiry.declined"),
        ("inquiry-expired-webhook-body", "inquiry.expired"),
        ("inquiry-marked-for-review-webhook-body", "inquiry.marked-for-review"),
        ("inquiry-started-webhook-body", "inquiry.started"),
    ],
)
def test_webhooks_are_built_like_the_official_examples(
    api: httpx.Client, sim: httpx.Client, receiver: Receiver, create: Create, official: Path, file: str, name: str
) -> None:
    (webhook,) = api.get("/webhooks").json()["data"]
    settings = {"data": {"attributes": {"included-allowlist": {"state": "include_all"}}}}
    api.patch(f"/webhooks/{webhook['id']}", json=settings)
    model, body = read(official, file), delivered(api, sim, receiver, create, name)
    assert differences(_known(model, body), body) == []


def _known(model: Any, body: Any) -> Any:
    """The example, its included list cut to types that we emit, and ours cut to theirs."""
    theirs = model["data"]["attributes"]["payload"].get("included", [])
    ours = body["data"]["attributes"]["payload"]["included"]
    types = {item["type"] for item in theirs} & {item["type"] for item in ours}
    for document, listed in ((model, theirs), (body, ours)):
        kept = [item for item in listed if item["type"] in types]
        document["data"]["attributes"]["payload"]["included"] = kept
    return model


def test_answers_are_built_like_the_official_examples(
    api: httpx.Client, sim: httpx.Client, create: Create, official: Path
) -> None:
    both = {"auto-create-inquiry-session": True, "auto-create-one-time-link": True}
    created = create({"auto-create-account-reference-id": "sub_1"} | both)
    inquiry = created["data"]["id"]
    extra = frozenset({"included"})

    def check(file: str, body: dict[str, Any]) -> None:
        model = {key: value for key, value in read(official, file).items() if key not in extra}
        kept = {key: value for key, value in body.items() if key not in extra}
        # A later example lacks relationships that webhooks of the same version have.
        found = [item for item in differences(model, kept) if not item.endswith("transaction: not in the example")]
        assert found == [], file

    check("inquiry-created", created)
    check("inquiry-retrieve", api.get(f"/inquiries/{inquiry}").json())
    check("inquiry-resume", api.post(f"/inquiries/{inquiry}/resume").json())
    check("inquiry-one-time-link", api.post(f"/inquiries/{inquiry}/generate-one-time-link").json())
    check("inquiry-list", api.get("/inquiries").json())
    (session, *_) = api.get("/inquiry-sessions").json()["data"]
    model = read(official, "inquiry-session")
    del model["data"]["relationships"]["device"]
    assert differences(model["data"], session) == []
    made = read(official, "create-webhook")
    hook = api.post("/webhooks", json=made).json()
    wanted = read(official, "webhook-created")
    assert differences(wanted, hook, extra=True) == []
    body = read(official, "rotate-webhook-secret")
    assert api.post(f"/webhooks/{hook['data']['id']}/rotate-secret", json=body).status_code == 200


def test_reports_are_built_like_the_official_example(
    api: httpx.Client, sim: httpx.Client, create: Create, official: Path
) -> None:
    inquiry = create()["data"]["id"]
    sim.post("/reports", json={"inquiry-id": inquiry, "type": "watchlist"})
    (event,) = api.get("/events", params={"filter[name]": "report/watchlist.matched"}).json()["data"]
    theirs = read(official, "report-watchlist-matched-webhook-body")["data"]["attributes"]["payload"]["data"]
    ours = event["attributes"]["payload"]["data"]
    assert set(theirs["attributes"]) == set(ours["attributes"])
    assert differences(theirs["attributes"], ours["attributes"]) == []
