"""The API as a client sees it: keys, headers, errors, lists, changes."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from scripts.persona_simulator import launch
from tests.integration.simulator.conftest import Create, simulate

ID = re.compile(r"[a-z]+_[0-9A-Za-z]{28}")


def test_every_authenticated_answer_carries_the_headers(api: httpx.Client, persona: launch.Running) -> None:
    for path in ("/inquiries", "/inquiries/inq_none", "/events", "/webhooks", "/accounts"):
        headers = api.get(path).headers
        assert ID.fullmatch(headers["Request-Id"])
        assert headers["Persona-Environment-Id"] == persona.environment_id
        assert headers["Persona-Organization-Id"].startswith("org_")
        assert headers["RateLimit-Limit"] == "300"
        assert 0 < int(headers["RateLimit-Remaining"]) <= 300
        assert 0 <= int(headers["RateLimit-Reset"]) <= 60
        assert headers["Content-Type"] == "application/json; charset=utf-8"


def test_without_a_valid_key_nothing_is_told(persona: launch.Running) -> None:
    missing = httpx.get(f"{persona.api}/inquiries")
    assert missing.status_code == 401
    assert missing.json() == {"errors": [{"title": "Must be authenticated to access this endpoint"}]}
    assert "Request-Id" not in missing.headers
    wrong = httpx.get(f"{persona.api}/inquiries", headers={"Authorization": "Bearer nobody"})
    assert wrong.json() == {"errors": [{"title": "Token is invalid"}]}


def test_the_control_surface_asks_for_the_key_except_for_health(persona: launch.Running) -> None:
    assert httpx.get(f"{persona.url}/_sim/health").status_code == 200
    for method, path in (("POST", "/reset"), ("GET", "/deliveries"), ("POST", "/inquiries"), ("POST", "/deliver")):
        assert httpx.request(method, f"{persona.url}/_sim{path}").status_code == 401


def test_creating_with_account_session_and_link(create: Create, api: httpx.Client) -> None:
    document = create(
        {
            "auto-create-account": True,
            "auto-create-account-reference-id": "sub_1",
            "auto-create-inquiry-session": True,
            "auto-create-one-time-link": True,
        },
        note="n",
        tags=["a"],
        fields={"address_country_code": "SE"},
    )
    data, meta = document["data"], document["meta"]
    assert ID.fullmatch(data["id"])
    assert data["attributes"]["status"] == "created"
    assert data["attributes"]["reference-id"] == "sub_1"
    assert data["attributes"]["fields"]["address_country_code"] == {"type": "string", "value": "SE"}
    assert data["attributes"]["created-at"].endswith(".000Z")
    assert len(meta["session-token"].split(".")) == 3
    assert "/verify?code=" in meta["one-time-link"]
    assert meta["one-time-link-short"] != meta["one-time-link"]
    account = data["relationships"]["account"]["data"]["id"]
    again = create({"auto-create-account-reference-id": "sub_1"})
    assert again["data"]["relationships"]["account"]["data"]["id"] == account
    assert again["meta"] == {"session-token": None, "one-time-link": None, "one-time-link-short": None}
    names = [event["attributes"]["name"] for event in api.get("/events").json()["data"]]
    assert names == ["inquiry.created", "inquiry.created", "account.created"]


@pytest.mark.parametrize(
    ("attributes", "meta", "status"),
    [
        ({}, {}, 400),
        ({"inquiry-template-id": "T", "template-id": "tmpl_1"}, {}, 400),
        ({"inquiry-template-id": "itmpl_other"}, {}, 422),
        ({"template-id": "tmpl_1"}, {}, 422),
        ({"inquiry-template-id": "T", "account-id": "act_none"}, {}, 422),
        ({"inquiry-template-id": "T", "fields": ["x"]}, {}, 400),
        ({"inquiry-template-id": "T"}, {"auto-create-account": False, "auto-create-account-type-id": "acttp_1"}, 400),
        ({"inquiry-template-id": "T"}, {"expiration-after-create-interval-seconds": "soon"}, 400),
    ],
)
def test_a_wrong_creation_is_refused_and_creates_nothing(
    api: httpx.Client, sim: httpx.Client, persona: launch.Running, attributes: Any, meta: Any, status: int
) -> None:
    given = {key: persona.template_id if value == "T" else value for key, value in attributes.items()}
    answer = api.post("/inquiries", json={"data": {"attributes": given}, "meta": meta})
    assert answer.status_code == status
    (error,) = answer.json()["errors"]
    assert set(error) == {"title", "details"}
    assert sim.get("/inquiries/count").json() == {"count": 0}


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"data": 1}'])
def test_a_body_that_is_no_object_is_a_400(api: httpx.Client, body: bytes) -> None:
    assert api.post("/inquiries", content=body).status_code == 400


def test_what_does_not_exist_is_record_not_found(api: httpx.Client) -> None:
    missing = {"errors": [{"title": "Record not found"}]}
    for method, path in (
        ("GET", "/inquiries/inq_none"),
        ("POST", "/inquiries/inq_none/approve"),
        ("GET", "/events/evt_none"),
        ("GET", "/webhooks/wbh_none"),
        ("DELETE", "/accounts/act_none"),
        ("GET", "/nothing-here"),
    ):
        answer = api.request(method, path)
        assert (answer.status_code, answer.json()) == (404, missing), path


def test_lists_are_paged_newest_first_with_relative_encoded_links(create: Create, api: httpx.Client) -> None:
    made = [create({"auto-create-account-reference-id": "sub_1"})["data"]["id"] for _ in range(12)][::-1]
    first = api.get("/inquiries", params={"filter[reference-id]": "sub_1"}).json()
    assert [item["id"] for item in first["data"]] == made[:10]
    assert first["links"]["prev"] is None
    assert first["links"]["next"].startswith("/api/v1/inquiries?filter%5Breference-id%5D=sub_1&page%5Bafter%5D=inq_")
    second = api.get(f"{str(api.base_url).removesuffix('/api/v1/')}{first['links']['next']}").json()
    assert [item["id"] for item in second["data"]] == made[10:]
    assert second["links"]["next"] is None
    back = api.get(f"{str(api.base_url).removesuffix('/api/v1/')}{second['links']['prev']}").json()
    assert [item["id"] for item in back["data"]] == made[:10]
    for size in ("0", "101", "x"):
        assert api.get("/inquiries", params={"page[size]": size}).status_code == 400
    assert api.get("/inquiries", params={"page[after]": "inq_none"}).status_code == 400


def test_filters_narrow_the_list(create: Create, api: httpx.Client) -> None:
    one = create({"auto-create-account-reference-id": "sub_1"}, note="mine")["data"]["id"]
    two = create({"auto-create-account-reference-id": "sub_2"})["data"]["id"]
    simulate(api, two, "start", "complete", "approve")

    def ids(**filters: str) -> list[str]:
        params = {f"filter[{key.replace('_', '-')}]": value for key, value in filters.items()}
        return [item["id"] for item in api.get("/inquiries", params=params).json()["data"]]

    assert ids(reference_id="sub_1") == [one]
    assert ids(status="approved") == [two]
    assert ids(status="created,approved") == [two, one]
    assert ids(note="mine") == [one]
    assert ids(inquiry_id=f"{one},{two}") == [two, one]
    assert ids(created_at_start="2999-01-01T00:00:00Z") == []
    assert ids(created_at_end="2999-01-01T00:00:00Z", status="created") == [one]
    assert api.get("/inquiries", params={"filter[note]": "x", "filter[status]": "created"}).status_code == 400
    assert api.get("/inquiries", params={"filter[colour]": "red"}).status_code == 400


def test_patch_changes_attributes_in_any_status_and_fires_nothing(create: Create, api: httpx.Client) -> None:
    inquiry = create()["data"]["id"]
    simulate(api, inquiry, "start", "complete", "approve")
    before = len(api.get("/events", params={"page[size]": 100}).json()["data"])
    attributes = {"note": "<n>", "tags": ["t"], "redirectUri": "http://localhost/x", "fields": {"name_first": "Nova"}}
    answer = api.patch(f"/inquiries/{inquiry}", json={"data": {"attributes": attributes}})
    assert answer.status_code == 200
    assert b"\\u003cn\\u003e" in answer.content
    assert answer.json()["data"]["attributes"]["fields"]["name_first"]["value"] == "Nova"
    assert answer.json()["data"]["attributes"]["status"] == "approved"
    assert len(api.get("/events", params={"page[size]": 100}).json()["data"]) == before


def test_include_and_sparse_fields(create: Create, api: httpx.Client) -> None:
    inquiry = create({"auto-create-account-reference-id": "s", "auto-create-inquiry-session": True})["data"]["id"]

    def included(query: dict[str, str]) -> set[str]:
        return {item["type"] for item in api.get(f"/inquiries/{inquiry}", params=query).json()["included"]}

    assert included({}) == included({"include": ""}) == set()
    assert included({"include": "account,sessions"}) == {"account", "inquiry-session"}
    sparse = api.get(f"/inquiries/{inquiry}", params={"fields[inquiry]": "status,created-at"}).json()["data"]
    assert set(sparse["attributes"]) == {"status", "created-at"}
    assert "relationships" not in sparse
    named = api.get(f"/inquiries/{inquiry}", params={"fields[inquiry]": "status,inquiry-template"}).json()["data"]
    assert set(named["relationships"]) == {"inquiry-template"}


def test_accounts_are_listed_and_redacted_with_everything_below(
    create: Create, api: httpx.Client, sim: httpx.Client
) -> None:
    inquiry = create({"auto-create-account-reference-id": "sub_1"}, note="n")["data"]["id"]
    simulate(api, inquiry, "start", "complete", "approve")
    (account,) = api.get("/accounts", params={"filter[reference-id]": "sub_1"}).json()["data"]
    assert api.get("/accounts", params={"filter[reference-id]": "sub_2"}).json()["data"] == []
    gone = api.delete(f"/accounts/{account['id']}")
    assert gone.json()["data"]["attributes"]["redacted-at"]
    assert api.delete(f"/accounts/{account['id']}").status_code == 409
    attributes = api.get(f"/inquiries/{inquiry}").json()["data"]["attributes"]
    assert attributes["status"] == "approved"
    assert {field["value"] for field in attributes["fields"].values()} == {None}
    sim.post("/clock", json={"advance_seconds": 10})
    names = [event["attributes"]["name"] for event in api.get("/events").json()["data"][:2]]
    assert set(names) == {"inquiry.redacted", "account.redacted"}


def test_events_can_be_filtered_and_fetched(create: Create, api: httpx.Client) -> None:
    inquiry = create()["data"]["id"]
    simulate(api, inquiry, "start", "complete", "approve")
    params = {"filter[name]": "inquiry.approved,inquiry.completed", "filter[object-id]": inquiry}
    listed = api.get("/events", params=params).json()["data"]
    assert [event["attributes"]["name"] for event in listed] == ["inquiry.approved", "inquiry.completed"]
    times = [event["attributes"]["created-at"] for event in listed]
    assert times == sorted(times, reverse=True)
    assert len(set(times)) == 2
    assert api.get(f"/events/{listed[0]['id']}").json()["data"] == listed[0]


def test_templates_are_closed_to_sandbox_keys(api: httpx.Client) -> None:
    assert api.get("/inquiry-templates").status_code == 403
