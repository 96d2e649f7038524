"""Chaos switches, faults and payload filters as values, without a server."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.persona_simulator.chaos import SWITCHES, Chaos
from scripts.persona_simulator.faults import Faults, read_fault, tell_lie
from scripts.persona_simulator.filters import matches


@pytest.mark.parametrize("name", SWITCHES)
def test_every_switch_is_off_until_switched_on(name: str) -> None:
    chaos = Chaos()
    assert chaos.take(name, "inquiry.approved") is None
    chaos.set({name: True})
    assert chaos.take(name, "inquiry.approved") is not None
    chaos.set({name: False})
    assert chaos.take(name, "inquiry.approved") is None


def test_a_count_is_used_up_by_matching_events_only() -> None:
    chaos = Chaos()
    chaos.set({"drop": {"count": 1, "events": ["inquiry.approved"]}})
    assert chaos.take("drop", "inquiry.declined") is None
    assert chaos.take("drop", "inquiry.approved") is not None
    assert chaos.take("drop", "inquiry.approved") is None
    chaos.set({"duplicate": 2})
    assert [chaos.take("duplicate", "x") is not None for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("wanted", [{"explode": True}, {"drop": -1}, {"drop": "yes"}, {"drop": {"when": 1}}])
def test_a_wrong_switch_changes_nothing(wanted: dict[str, Any]) -> None:
    chaos = Chaos()
    with pytest.raises(ValueError, match=r"switch|drop"):
        chaos.set({"duplicate": True} | wanted)
    assert chaos.as_json() == {}


def test_faults_match_method_and_path_and_run_out() -> None:
    faults = Faults()
    faults.waiting = [read_fault({"kind": "status", "method": "post", "path": "/api/v1/inquiries", "times": 2})]
    assert faults.take("GET", "/api/v1/inquiries", ("status",)) == []
    assert faults.take("POST", "/api/v1/events", ("status",)) == []
    assert faults.take("POST", "/api/v1/inquiries", ("drop",)) == []
    assert len(faults.take("POST", "/api/v1/inquiries", ("status",))) == 1
    assert len(faults.take("POST", "/api/v1/inquiries", ("status",))) == 1
    assert faults.take("POST", "/api/v1/inquiries", ("status",)) == []


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "explode"},
        {"kind": "status", "status": 200},
        {"kind": "status", "when": "during"},
        {"kind": "drop", "times": 0},
        {"kind": "lie", "lie": "white"},
        {"kind": "drop", "unknown": 1},
        "drop",
    ],
)
def test_a_wrong_fault_is_refused(fault: Any) -> None:
    with pytest.raises(ValueError, match=r"must be|is an object"):
        read_fault(fault)


def test_lies_change_one_thing_each_and_leave_errors_alone() -> None:
    true = {"data": {"type": "inquiry", "attributes": {"status": "approved"}, "relationships": {}}}
    assert tell_lie("unknown_status", true)["data"]["attributes"] == {"status": "beyond_review"}
    assert "relationships" not in tell_lie("missing_relationships", true)["data"]
    assert "surprise" in tell_lie("extra_keys", true)["data"]["attributes"]
    assert true["data"]["attributes"] == {"status": "approved"}
    assert tell_lie("extra_keys", {"errors": []}) == {"errors": []}


def test_payload_filters_are_subsets_with_alternatives() -> None:
    payload = {"data": {"id": "1", "attributes": {"status": "approved", "tags": ["a", "b"]}}}
    assert matches({"data": {"attributes": {"status": "approved"}}}, payload)
    assert matches({"data": {"attributes": {"tags": "b"}}}, payload)
    assert matches({"$or": [{"data": {"id": "2"}}, {"data": {"id": "1"}}]}, payload)
    assert not matches({"$or": [{"data": {"id": "2"}}]}, payload)
    assert not matches({"data": {"missing": 1}}, payload)
    assert not matches({"data": {"attributes": {"status": {"deep": 1}}}}, payload)
