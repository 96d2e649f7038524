from __future__ import annotations

from typing import Any

import pytest

from scripts.persona_simulator.blocklist import Blocklist
from scripts.persona_simulator.people import PII_CANARIES
from tests.unit.simulator.shapes import example

NOTHING_PERSONAL = (
    "/data/attributes/*",
    "!/data/attributes/status",
    "!/data/attributes/reference-id",
    "!/data/attributes/created-at",
    "!/data/attributes/decisioned-at",
)


def inquiry() -> dict[str, Any]:
    data: dict[str, Any] = example("inquiry.approved")["data"]["attributes"]["payload"]["data"]
    return data


def test_everything_but_the_exempted_attributes_disappears() -> None:
    kept = Blocklist(NOTHING_PERSONAL).apply("data", inquiry())
    assert set(kept["attributes"]) == {"status", "reference-id", "created-at", "decisioned-at"}
    assert kept["relationships"] == inquiry()["relationships"]
    assert not any(canary in str(kept) for canary in PII_CANARIES)


def test_a_bare_key_hides_it_everywhere_in_any_casing() -> None:
    kept = Blocklist(["nameFirst", "address-*"]).apply("data", inquiry())
    fields = kept["attributes"]["fields"]
    assert "name_first" not in fields
    assert "name_last" in fields
    assert not [key for key in fields if key.startswith("address")]


def test_one_nested_field_can_be_let_through() -> None:
    entries = [*NOTHING_PERSONAL, "!/data/attributes/fields", "/data/attributes/fields/*"]
    kept = Blocklist([*entries, "!/data/attributes/fields/address-country-code"]).apply("data", inquiry())
    assert kept["attributes"]["fields"] == {"address_country_code": {"type": "string", "value": "SE"}}


def test_an_exemption_wins_wherever_it_stands() -> None:
    kept = Blocklist(["!name-first", "name-*"]).apply("data", inquiry())
    assert "name_first" in kept["attributes"]["fields"]
    assert "name_last" not in kept["attributes"]["fields"]


def test_a_type_condition_binds_an_entry_to_that_type() -> None:
    entry = "/data/attributes/fields/name-*?type=account"
    assert Blocklist([entry]).apply("data", inquiry()) == inquiry()
    kept = Blocklist([entry.replace("account", "inquiry")]).apply("data", inquiry())
    assert "name_first" not in kept["attributes"]["fields"]


def test_an_empty_entry_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        Blocklist(["/"])
