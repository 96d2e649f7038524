"""Which keys a role has: files that open for their owner alone, remote keys, and plain ones for a local chain."""

import json
import os
import stat

import pytest

from issuer.chain.keystore import new_keystore
from issuer.chain.signer import LocalSigner
from issuer.chain.signers import load_signer, load_signers, refuse_shared_keys
from issuer.errors import Conflict, InvalidInput, SettingsError
from issuer.secrets import KeySource, Secret

KEY = bytes(range(1, 33))
PASSWORD = Secret("a long enough phrase")
LOCAL, LIVE = 31337, 1
CHEAP = 2  # scrypt's smallest cost: these files protect nothing


def load_all(*, chain_ids=(LOCAL,), **changes):
    values = {"keystore": None, "password": None, "key": None, "remote": None, **changes}
    return load_signers(KeySource(prefix="CLAIMWRIGHT_SENDER", **values), chain_ids=chain_ids)


def load(**changes):
    (signer,) = load_all(**changes)
    return signer


def test_a_keystore_is_written_for_its_owner_alone_and_opens(tmp_path):
    path = tmp_path / "sender.json"
    address = new_keystore(path, PASSWORD, scrypt_n=CHEAP)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    assert load(keystore=str(path), password=PASSWORD, chain_ids=[LIVE]).address == address


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
        ({"key": Secret(KEY.hex()), "chain_ids": [LOCAL, LIVE]}, "CLAIMWRIGHT_SENDER_KEY"),
        ({"key": Secret(KEY.hex()), "chain_ids": [11155111]}, "CLAIMWRIGHT_SENDER_KEY"),
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


def test_one_key_for_two_roles_is_refused():
    one, other, third = (LocalSigner(bytes([number]) * 32) for number in (7, 8, 9))
    with pytest.raises(SettingsError, match="two roles; use different keys"):
        refuse_shared_keys([one, other], [third, other])
    refuse_shared_keys([one, other], [third], [])


def test_a_role_may_have_many_keys_in_the_order_given(tmp_path):
    paths = [tmp_path / name for name in ("one", "other")]
    addresses = [new_keystore(path, PASSWORD, scrypt_n=CHEAP) for path in paths]
    listed = ",".join(map(str, paths))
    assert [one.address for one in load_all(keystore=listed, password=PASSWORD)] == addresses
    source = KeySource(prefix="CLAIMWRIGHT_SENDER", keystore=listed, password=PASSWORD, key=None, remote=None)
    with pytest.raises(SettingsError, match="several keys"):
        load_signer(source, chain_ids=[LOCAL])


def test_each_keystore_may_have_a_password_of_its_own(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    addresses = [
        new_keystore(one, PASSWORD, scrypt_n=CHEAP),
        new_keystore(other, Secret("one of its own"), scrypt_n=CHEAP),
    ]
    password = Secret(f"{PASSWORD.reveal()}\none of its own\n")
    assert [each.address for each in load_all(keystore=f"{one}, {other}", password=password)] == addresses
    with pytest.raises(SettingsError, match="CLAIMWRIGHT_SENDER_PASSWORD: has 2 lines for 1 keystores"):
        load_all(keystore=str(one), password=password)


def test_a_key_given_twice_is_refused():
    with pytest.raises(SettingsError, match="names one key twice"):
        load_all(key=Secret(f"{KEY.hex()} 0x{KEY.hex()}"))


def test_an_optional_role_may_have_no_key():
    nothing = KeySource(prefix="CLAIMWRIGHT_REVOKER", keystore=None, password=None, key=None, remote=None)
    assert load_signers(nothing, chain_ids=[LIVE], optional=True) == ()


@pytest.mark.parametrize("text", ["", "vault:x", "aws-kms:", "aws-kms:alias/claims", "aws-kms:/0x" + "11" * 20, "x"])
def test_a_remote_key_without_kind_place_or_address_is_refused_unquoted(text):
    with pytest.raises(SettingsError) as failure:
        load_all(remote=Secret(text))
    assert failure.value.name == "CLAIMWRIGHT_SENDER_REMOTE" if text else "CLAIMWRIGHT_SENDER_KEYSTORE"
    assert "claims" not in str(failure.value)
