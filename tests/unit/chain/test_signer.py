"""Nothing that a signer returns is believed, and no key is ever shown."""

import asyncio
import json
import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.chain.signer import (
    CURVE_ORDER,
    LocalSigner,
    Signature,
    checked_sign,
    load_signer,
    new_keystore,
    refuse_one_key,
)
from issuer.errors import Conflict, InvalidInput, SettingsError, SignerFailed
from issuer.secrets import Secret

KEY = bytes(range(1, 33))
DIGEST = bytes(range(32))
PASSWORD = Secret("a long enough phrase")
LOCAL, LIVE = 31337, 1
CHEAP = 2  # scrypt's smallest cost: these files protect nothing


class Faulty:
    """Answers for KEY's address with whatever a test wants."""

    address = LocalSigner(KEY).address

    def __init__(self, answer):
        self._answer = answer

    async def sign_digest(self, digest):
        return await self._answer(digest)


async def good(digest):
    return await LocalSigner(KEY).sign_digest(digest)


@given(st.binary(min_size=32, max_size=32))
async def test_a_local_signature_is_canonical_and_recovers(digest):
    signature = await checked_sign(LocalSigner(KEY), digest)
    assert 0 < signature.s <= CURVE_ORDER // 2
    assert signature.y_parity in (0, 1)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
async def test_only_32_bytes_are_signed(length):
    with pytest.raises(SignerFailed, match="32 bytes"):
        await checked_sign(LocalSigner(KEY), bytes(length))


async def test_high_s_is_refused_though_it_recovers():
    low = await good(DIGEST)

    async def answer(_):
        return Signature(low.r, CURVE_ORDER - low.s, 1 - low.y_parity)

    with pytest.raises(SignerFailed, match="not canonical"):
        await checked_sign(Faulty(answer), DIGEST)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: Signature(0, s.s, s.y_parity),
        lambda s: Signature(s.r, 0, s.y_parity),
        lambda s: Signature(CURVE_ORDER, s.s, s.y_parity),
        lambda s: Signature(-1, s.s, s.y_parity),
        lambda s: Signature(s.r, s.s, 27 + s.y_parity),
        lambda s: Signature(s.r, s.s, 1 - s.y_parity),
        lambda s: Signature(s.r ^ 1, s.s, s.y_parity),
        lambda s: Signature(s.r, s.s ^ 1, s.y_parity),
    ],
)
async def test_a_changed_signature_is_refused(change):
    signature = await good(DIGEST)

    async def answer(_):
        return change(signature)

    with pytest.raises(SignerFailed):
        await checked_sign(Faulty(answer), DIGEST)


async def test_another_key_is_refused():
    with pytest.raises(SignerFailed, match="another key"):
        await checked_sign(Faulty(LocalSigner(bytes([7]) * 32).sign_digest), DIGEST)


async def test_a_signature_of_something_else_is_refused():
    async def answer(_):
        return await good(bytes(32))

    with pytest.raises(SignerFailed, match="something else"):
        await checked_sign(Faulty(answer), DIGEST)


async def test_a_slow_signer_is_given_up():
    async def answer(_):
        await asyncio.Event().wait()

    with pytest.raises(SignerFailed, match="TimeoutError"):
        await checked_sign(Faulty(answer), DIGEST, timeout_seconds=0.01)


async def test_a_failing_signer_is_told_by_its_class_alone():
    async def answer(_):
        raise RuntimeError(KEY.hex())

    with pytest.raises(SignerFailed) as failure:
        await checked_sign(Faulty(answer), DIGEST)
    assert "RuntimeError" in failure.value.message
    assert KEY.hex() not in failure.value.message
    assert failure.value.__context__ is None


def test_a_signer_shows_its_address_alone():
    shown = repr(LocalSigner(KEY)) + str(LocalSigner(KEY))
    assert LocalSigner(KEY).address in shown
    assert KEY.hex() not in shown


@pytest.mark.parametrize("key", [bytes(32), CURVE_ORDER.to_bytes(32, "big"), bytes(31), bytes([1]) * 33])
def test_what_is_no_key_is_refused(key):
    with pytest.raises(ValueError):  # noqa: PT011 - coincurve's own words
        LocalSigner(key)


def load(**changes):
    values = {"keystore": None, "password": None, "key": None, "chain_id": LOCAL, **changes}
    return load_signer("CLAIMWRIGHT_SENDER", **values)


def test_a_keystore_is_written_for_its_owner_alone_and_opens(tmp_path):
    path = tmp_path / "sender.json"
    address = new_keystore(path, PASSWORD, scrypt_n=CHEAP)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    assert load(keystore=str(path), password=PASSWORD, chain_id=LIVE).address == address


def test_two_keystores_hold_two_keys(tmp_path):
    one, other = (new_keystore(tmp_path / name, PASSWORD, scrypt_n=CHEAP) for name in ("one", "other"))
    assert one != other


def test_a_keystore_is_never_replaced(tmp_path):
    path = tmp_path / "sender.json"
    new_keystore(path, PASSWORD, scrypt_n=CHEAP)
    before = path.read_bytes()
    with pytest.raises(Conflict):
        new_keystore(path, PASSWORD, scrypt_n=CHEAP)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(InvalidInput, match=r"path: .* cannot be written: FileNotFoundError"):
        new_keystore(tmp_path / "none" / "sender.json", PASSWORD, scrypt_n=CHEAP)


def test_a_short_password_makes_no_keystore(tmp_path):
    with pytest.raises(SettingsError):
        new_keystore(tmp_path / "sender.json", Secret("short"), scrypt_n=CHEAP)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_keystore_that_others_may_open_is_refused(tmp_path, mode):
    path = tmp_path / "sender.json"
    new_keystore(path, PASSWORD, scrypt_n=CHEAP)
    path.chmod(mode)
    with pytest.raises(SettingsError, match="CLAIMWRIGHT_SENDER_KEYSTORE: may be read by others"):
        load(keystore=str(path), password=PASSWORD)


def test_a_wrong_password_is_one_line_that_names_the_variable(tmp_path):
    path = tmp_path / "sender.json"
    new_keystore(path, PASSWORD, scrypt_n=CHEAP)
    with pytest.raises(SettingsError) as failure:
        load(keystore=str(path), password=Secret("another long phrase"))
    assert str(failure.value) == "CLAIMWRIGHT_SENDER_PASSWORD: does not open CLAIMWRIGHT_SENDER_KEYSTORE"
    assert "another long phrase" not in str(failure.value)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"version": 3}', '{"version": 3, "crypto": []}', "\x00"])
def test_what_is_no_keystore_is_refused(tmp_path, content):
    path = tmp_path / "sender.json"
    path.touch(mode=0o600)
    path.write_text(content)
    with pytest.raises(SettingsError, match="CLAIMWRIGHT_SENDER_KEYSTORE: is not a keystore"):
        load(keystore=str(path), password=PASSWORD)


def test_a_keystore_that_names_another_address_is_refused(tmp_path):
    path = tmp_path / "sender.json"
    new_keystore(path, PASSWORD, scrypt_n=CHEAP)
    path.write_text(json.dumps({**json.loads(path.read_text()), "address": "00" * 20}))
    with pytest.raises(SettingsError, match="another address"):
        load(keystore=str(path), password=PASSWORD)


def test_a_missing_keystore_is_named(tmp_path):
    with pytest.raises(SettingsError, match="CLAIMWRIGHT_SENDER_KEYSTORE: cannot be read: FileNotFoundError"):
        load(keystore=os.fspath(tmp_path / "none"), password=PASSWORD)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "CLAIMWRIGHT_SENDER_KEYSTORE"),
        ({"keystore": "x", "password": PASSWORD, "key": Secret("00")}, "CLAIMWRIGHT_SENDER_KEY"),
        ({"keystore": "x"}, "CLAIMWRIGHT_SENDER_PASSWORD"),
        ({"key": Secret(KEY.hex()), "chain_id": LIVE}, "CLAIMWRIGHT_SENDER_KEY"),
        ({"key": Secret(KEY.hex()), "chain_id": 11155111}, "CLAIMWRIGHT_SENDER_KEY"),
        ({"key": Secret(KEY.hex()[2:])}, "CLAIMWRIGHT_SENDER_KEY"),
        ({"key": Secret("zz" * 32)}, "CLAIMWRIGHT_SENDER_KEY"),
        ({"key": Secret("00" * 32)}, "CLAIMWRIGHT_SENDER_KEY"),
    ],
)
def test_settings_that_name_no_single_allowed_key_are_refused(changes, name):
    with pytest.raises(SettingsError) as failure:
        load(**changes)
    assert failure.value.name == name
    assert KEY.hex() not in str(failure.value)


@pytest.mark.parametrize("prefix", ["", "0x"])
def test_a_plain_key_serves_a_local_chain(prefix):
    assert load(key=Secret(prefix + KEY.hex() + "\n")).address == LocalSigner(KEY).address


def test_one_key_for_both_roles_is_refused():
    with pytest.raises(SettingsError, match="two different keys"):
        refuse_one_key(LocalSigner(KEY), LocalSigner(KEY))
    refuse_one_key(LocalSigner(KEY), LocalSigner(bytes([7]) * 32))
