"""Secrets do not print; sealed values open only for their purpose, row and key."""

import os

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from issuer.errors import SettingsError
from issuer.secrets import KeyRing, Secret


def ring(*versions: int) -> KeyRing:
    return KeyRing({version: os.urandom(32) for version in versions})


def test_a_secret_prints_as_stars_everywhere() -> None:
    secret = Secret("hunter2-hunter2")
    texts = [str(secret), repr(secret), f"{secret}", f"{secret:>20}", f"{secret!r}", repr([secret]), str({"k": secret})]
    assert all("hunter2" not in text for text in texts)
    assert secret.reveal() == "hunter2-hunter2"


@given(st.binary(max_size=200), st.text(max_size=20))
def test_a_sealed_value_opens_for_its_purpose_and_row(plain: bytes, row: str) -> None:
    keys = ring(1)
    assert keys.open("salt", keys.seal("salt", plain, row=row), row=row) == plain


def test_a_sealed_value_moved_to_another_row_or_purpose_does_not_open() -> None:
    keys = ring(1)
    sealed = keys.seal("salt", b"value", row="clm_1")
    for purpose, row in (("salt", "clm_2"), ("contact", "clm_1")):
        with pytest.raises(InvalidTag):
            keys.open(purpose, sealed, row=row)


def test_old_keys_open_and_new_keys_seal() -> None:
    old = ring(1)
    sealed = old.seal("salt", b"value", row="r")
    both = KeyRing({**old._keys, 2: os.urandom(32)})
    assert both.open("salt", sealed, row="r") == b"value"
    assert both.seal("salt", b"value", row="r").startswith("2:")


def test_a_mac_holds_for_its_message_key_and_purpose_only() -> None:
    keys = ring(1)
    mac = keys.mac("decision", b"message")
    assert keys.verify("decision", b"message", mac)
    assert not keys.verify("decision", b"another", mac)
    assert not keys.verify("other", b"message", mac)
    assert not ring(1).verify("decision", b"message", mac)
    for broken in ("", "1", "9:00", "x:00", mac[:-1], mac + "0"):
        assert not keys.verify("decision", b"message", broken)


@pytest.mark.parametrize("text", ["", "1:abc", "1:" + "00" * 32, "1:" + "ab" * 31, "1:" + "ab" * 32, "x:" + "12" * 32])
def test_weak_or_malformed_keys_are_refused_by_name(text: str) -> None:
    with pytest.raises(SettingsError) as raised:
        KeyRing.parse("CLAIMWRIGHT_DATA_KEYS", Secret(text))
    assert raised.value.name == "CLAIMWRIGHT_DATA_KEYS"
    assert text.partition(":")[2] not in str(raised.value) or not text.partition(":")[2]
