"""The shape checker must be able to fail, or what it passes means nothing."""

from __future__ import annotations

import copy

from tests.unit.simulator.shapes import differences, example


def test_an_example_is_shaped_like_itself() -> None:
    approved = example("inquiry.approved")
    assert differences(approved, copy.deepcopy(approved)) == []


def test_missing_and_added_keys_and_changed_types_are_found() -> None:
    approved = example("inquiry.approved")
    broken = copy.deepcopy(approved)
    attributes = broken["data"]["attributes"]["payload"]["data"]["attributes"]
    del attributes["status"]
    attributes["reference_id"] = attributes.pop("reference-id")
    attributes["tags"] = "none"
    attributes["fields"]["name_first"] = "Testa"
    found = "\n".join(differences(approved, broken))
    assert "/attributes/status: missing" in found
    assert "/attributes/reference-id: missing" in found
    assert "/attributes/reference_id: not in the example" in found
    assert "/attributes/tags: string instead of array" in found
    assert "/fields/name_first: not a field" in found
