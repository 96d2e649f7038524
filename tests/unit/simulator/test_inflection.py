from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.persona_simulator.inflection import field_key, inflect, inflect_field, inflect_keys, kebab, read_keys
from scripts.persona_simulator.people import FIELD_TYPES

WORD = st.from_regex(r"[a-z][a-z]{0,8}", fullmatch=True)
KEBAB = st.lists(WORD, min_size=1, max_size=4).map("-".join)


@given(KEBAB, st.sampled_from(["kebab", "camel", "snake"]))
def test_every_casing_is_read_back(key: str, style: str) -> None:
    assert kebab(inflect(key, style)) == key


@pytest.mark.parametrize("style", ["kebab", "camel", "snake"])
@pytest.mark.parametrize("key", FIELD_TYPES)
def test_field_keys_of_old_versions_are_read_back(key: str, style: str) -> None:
    assert field_key(inflect_field(key, style)) == key


def test_the_digit_quirk_is_in_fields_only() -> None:
    assert inflect_field("address_street_1", "camel") == "addressStreet-1"
    assert inflect("address-street-1", "camel") == "addressStreet1"
    assert field_key("addressStreet1") == "address_street_1"


def test_nested_keys_change_and_values_do_not() -> None:
    given_ = {"inquiry-template": {"data": [{"type": "inquiry-template", "is-on": True}]}}
    assert inflect_keys(given_, "snake") == {
        "inquiry_template": {"data": [{"type": "inquiry-template", "is_on": True}]}
    }


def test_fields_of_a_request_are_left_alone() -> None:
    body = {"data": {"attributes": {"inquiryTemplateId": "itmpl_1", "fields": {"nameFirst": 1}}}}
    assert read_keys(body) == {"data": {"attributes": {"inquiry-template-id": "itmpl_1", "fields": {"nameFirst": 1}}}}
