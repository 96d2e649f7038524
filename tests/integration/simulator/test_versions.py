"""``Persona-Version`` and ``Key-Inflection``, in requests and answers."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from scripts.persona_simulator import launch
from scripts.persona_simulator.inflection import read_keys
from tests.integration.simulator.conftest import Create, simulate

OLD = {"Persona-Version": "2023-01-05"}


def completed(create: Create, api: httpx.Client) -> str:
    inquiry: str = create({"auto-create-account-reference-id": "sub_1"})["data"]["id"]
    simulate(api, inquiry, "start", "complete")
    return inquiry


@pytest.mark.parametrize("version", ["2026-09-29", "2022-09-01", "latest"])
def test_an_unknown_version_is_a_400(api: httpx.Client, version: str) -> None:
    answer = api.get("/inquiries", headers={"Persona-Version": version})
    assert answer.status_code == 400
    assert version in answer.json()["errors"][0]["details"]
    assert "Request-Id" in answer.headers


def test_an_unknown_inflection_is_a_400(api: httpx.Client) -> None:
    assert api.get("/inquiries", headers={"Key-Inflection": "shouting"}).status_code == 400


def test_the_new_version_has_raw_fields_and_nothing_personal_outside(create: Create, api: httpx.Client) -> None:
    document = api.get(f"/inquiries/{completed(create, api)}").json()
    attributes = document["data"]["attributes"]
    assert attributes["fields"]["name_first"]["value"] == "Testa"
    assert "name-first" not in attributes
    assert document["included"] == []


def test_the_old_version_repeats_personal_data_and_includes_by_default(create: Create, api: httpx.Client) -> None:
    document = api.get(f"/inquiries/{completed(create, api)}", headers=OLD).json()
    attributes = document["data"]["attributes"]
    assert attributes["name-first"] == "Testa"
    assert attributes["address-street-1"] == "1 Example Way"
    assert attributes["fields"]["name-first"]["value"] == "Testa"
    assert "account" in {item["type"] for item in document["included"]}
    inquiry = document["data"]["id"]
    assert api.get(f"/inquiries/{inquiry}?include=", headers=OLD).json()["included"] == []


def test_old_camel_fields_leave_the_digit_unjoined(create: Create, api: httpx.Client) -> None:
    headers = OLD | {"Key-Inflection": "camel"}
    attributes = api.get(f"/inquiries/{completed(create, api)}", headers=headers).json()["data"]["attributes"]
    assert attributes["addressStreet1"] == "1 Example Way"
    assert attributes["fields"]["addressStreet-1"]["value"] == "1 Example Way"
    assert attributes["referenceId"] == "sub_1"


@pytest.mark.parametrize("style", ["kebab", "camel", "snake"])
def test_new_fields_keep_the_templates_own_keys_in_every_casing(create: Create, api: httpx.Client, style: str) -> None:
    inquiry = completed(create, api)
    plain = api.get(f"/inquiries/{inquiry}").json()
    styled = api.get(f"/inquiries/{inquiry}", headers={"Key-Inflection": style}).json()
    assert styled["data"]["attributes"]["fields"] == plain["data"]["attributes"]["fields"]
    assert styled["data"]["relationships"].keys() == {
        {"kebab": key, "snake": key.replace("-", "_")}.get(style, _camel(key)) for key in plain["data"]["relationships"]
    }
    assert read_keys(styled, raw=frozenset({"fields"})) == plain, "reading it back gives the same document"


def _camel(key: str) -> str:
    first, *rest = key.split("-")
    return first + "".join(word.capitalize() for word in rest)


@pytest.mark.parametrize(
    ("attribute", "meta"),
    [
        ("inquiry-template-id", "auto-create-account-reference-id"),
        ("inquiryTemplateId", "autoCreateAccountReferenceId"),
        ("inquiry_template_id", "auto_create_account_reference_id"),
    ],
)
def test_requests_are_read_in_every_casing(
    api: httpx.Client, persona: launch.Running, attribute: str, meta: str
) -> None:
    body: dict[str, Any] = {"data": {"attributes": {attribute: persona.template_id}}, "meta": {meta: "sub_9"}}
    answer = api.post("/inquiries", json=body, headers={"Key-Inflection": "snake"})
    assert answer.status_code == 201
    assert answer.json()["data"]["attributes"]["reference_id"] == "sub_9"
    assert set(answer.json()["meta"]) == {"session_token", "one_time_link", "one_time_link_short"}
