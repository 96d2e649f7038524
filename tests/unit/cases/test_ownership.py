"""What a wallet's owner signs, and what a signature of it proves."""

from datetime import UTC, datetime

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from hypothesis import given
from hypothesis import strategies as st

from issuer.cases import ownership
from issuer.cases.ownership import LIFE, Challenge

OWNER = Account.from_key("0x" + "11" * 32)
AT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
CHALLENGE = Challenge(
    domain="dapp.example:8443", wallet=OWNER.address, level="basic", chain_ids=(1, 137), nonce="ab" * 16, issued_at=AT
)


def signed(message: str, key=OWNER) -> str:
    return "0x" + key.sign_message(encode_defunct(text=message)).signature.hex()


def covers(message: str, signature: str, **changed: object) -> bool:
    asked = {"wallet": OWNER.address, "level": "basic", "chain_ids": [1]} | changed
    return ownership.covers(message, signature, **asked)


def test_the_message_is_what_wallets_know():
    assert CHALLENGE.message() == (
        "dapp.example:8443 wants you to sign in with your Ethereum account:\n"
        f"{OWNER.address}\n\n"
        'Check me at level "basic" and put the result on chain 1, 137.\n\n'
        "URI: https://dapp.example:8443\n"
        "Version: 1\n"
        "Chain ID: 1\n"
        f"Nonce: {'ab' * 16}\n"
        "Issued At: 2026-11-25T12:00:00Z\n"
        "Expiration Time: 2026-11-25T12:15:00Z"
    )


@given(
    domain=st.sampled_from(["a.example", "localhost:3000", "x-1.example"]),
    level=st.sampled_from(["basic", "full", "a_b-1"]),
    chain_ids=st.lists(st.integers(1, 2**53), min_size=1, max_size=4, unique=True).map(tuple),
    nonce=st.binary(min_size=16, max_size=16).map(bytes.hex),
    at=st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - the zone is beside them
)
def test_what_was_written_is_read(domain, level, chain_ids, nonce, at):
    made = Challenge(domain=domain, wallet=OWNER.address, level=level, chain_ids=chain_ids, nonce=nonce, issued_at=at)
    found = ownership.read(made.message())
    assert (found.wallet, found.level, found.chain_ids, found.nonce) == (OWNER.address, level, chain_ids, nonce)
    assert found.ends_at == at.replace(microsecond=0) + LIFE


def test_the_owner_covers_what_they_asked_for_and_no_more():
    message = CHALLENGE.message()
    signature = signed(message)
    assert covers(message, signature)
    assert covers(message, signature, chain_ids=[137, 1])
    assert not covers(message, signature, chain_ids=[1, 10])
    assert not covers(message, signature, level="full")
    assert not covers(message, signature, wallet=Account.from_key("0x" + "22" * 32).address)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + "\n",
        lambda text: text.replace("level", "Level"),
        lambda text: text.replace('"basic"', '"full"'),
        lambda text: text.replace("chain 1, 137", "chain 1, 137, 10"),
        lambda text: text.replace("https://dapp.example:8443", "https://evil.example"),
        lambda text: text.replace("2026-11-25T12:15:00Z", "2026-13-25T12:15:00Z"),
        lambda text: "",
        lambda text: "x" * 3000,
    ],
)
def test_a_message_of_another_kind_proves_nothing_however_well_signed(change):
    message = change(CHALLENGE.message())
    if ownership.read(message) is not None:  # of our kind, but about something else
        assert not covers(message, signed(message), chain_ids=[1, 137]) or '"basic"' in message
        assert not covers(message, signed(CHALLENGE.message()), chain_ids=[1, 137])
    else:
        assert not covers(message, signed(message))


def test_somebody_elses_signature_and_noise_are_not_the_owners():
    message = CHALLENGE.message()
    other = Account.from_key("0x" + "22" * 32)
    good = signed(message)
    for signature in (
        signed(message, other),
        "",
        "0x",
        good[:-2],
        good + "00",
        good[:-2] + "1d",
        "0x" + "00" * 65,
        "0x" + "ff" * 65,
        good.replace("0x", ""),
    ):
        assert not covers(message, signature)
    assert not ownership.covers(None, None, wallet=OWNER.address, level="basic", chain_ids=[1])


def test_some_wallets_write_the_parity_as_it_is():
    message = CHALLENGE.message()
    good = signed(message)
    assert covers(message, good[:-2] + f"{int(good[-2:], 16) - 27:02x}")


@pytest.mark.parametrize("text", ["dapp.example", "localhost", "localhost:3000", "a-b.example"])
def test_domains(text):
    assert ownership.is_domain(text)


@pytest.mark.parametrize(
    "text", ["", "Dapp.example", "https://dapp.example", "dapp.example/", "a b", "-a", "a" * 300, "a\n"]
)
def test_what_is_no_domain(text):
    assert not ownership.is_domain(text)
