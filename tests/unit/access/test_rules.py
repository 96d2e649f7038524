"""The shape of an API key."""

from hashlib import sha256

import pytest

from issuer.access import rules
from issuer.errors import InvalidInput


def test_a_key_is_32_random_bytes_that_do_not_print() -> None:
    key = rules.new_key()
    assert rules.is_key(key.reveal())
    assert len(key.reveal()) == 47
    assert repr(key) == "***"
    assert key.reveal() != rules.new_key().reveal()
    assert rules.key_hash(key.reveal()) == sha256(key.reveal().encode()).hexdigest()


@pytest.mark.parametrize("text", ["", "cwk_", "cwk_" + "a" * 42, "cwk_" + "a" * 44, "cwk_" + "é" * 43, "x" * 47])
def test_other_texts_are_no_keys(text: str) -> None:
    assert not rules.is_key(text)


def test_admin_may_do_everything_and_others_what_is_named() -> None:
    assert rules.allows(frozenset({"*"}), "claims:revoke")
    assert rules.allows(frozenset({"cases:read"}), "cases:read")
    assert not rules.allows(frozenset({"cases:read"}), "cases:write")
    assert not rules.allows(frozenset(), "cases:read")


@pytest.mark.parametrize("scopes", [[], ["cases"], ["cases:read", "root"]])
def test_unknown_scopes_are_refused(scopes: list[str]) -> None:
    with pytest.raises(InvalidInput, match="scopes"):
        rules.checked_scopes(scopes)


@pytest.mark.parametrize("name", ["", "a" * 101, "a\nb"])
def test_names_are_short_and_printable(name: str) -> None:
    with pytest.raises(InvalidInput, match="name"):
        rules.checked_name(name)
