"""Our bytes are eth_account's bytes."""

import pytest
import rlp as reference
from eth_account import Account
from eth_utils.address import to_checksum_address
from hypothesis import example, given
from hypothesis import strategies as st

from issuer.chain.eip1559 import UnsignedTransaction, rlp, signed_bytes, signing_message, transaction_hash
from issuer.chain.signer import CURVE_ORDER, LocalSigner, checked_sign

WORD = st.integers(0, 2**64)
FEES = st.tuples(WORD, WORD).map(sorted)
KEYS = st.integers(1, CURVE_ORDER - 1).map(lambda number: number.to_bytes(32, "big"))


@given(
    key=KEYS,
    chain_id=st.integers(1, 2**53),
    nonce=st.integers(0, 2**53),
    fees=FEES,
    gas_limit=st.integers(21_000, 2**40),
    to=st.none() | st.binary(min_size=20, max_size=20),
    value=st.integers(0, 2**96),
    data=st.binary(max_size=300),
)
async def test_signed_bytes_and_hash_are_those_of_eth_account(key, chain_id, nonce, fees, gas_limit, to, value, data):
    tip, max_fee = fees
    recipient = None if to is None else to_checksum_address(to)
    unsigned = UnsignedTransaction(
        chain_id=chain_id, nonce=nonce, tip=tip, max_fee=max_fee,
        gas_limit=gas_limit, to=recipient, data=data, value=value,
    )  # fmt: skip
    theirs = Account.sign_transaction(
        {
            "type": 2, "chainId": chain_id, "nonce": nonce, "maxPriorityFeePerGas": tip, "maxFeePerGas": max_fee,
            "gas": gas_limit, "value": value, "data": data, **({} if recipient is None else {"to": recipient}),
        },
        key,
    )  # fmt: skip

    signature = await checked_sign(LocalSigner(key), signing_message(unsigned))
    raw = signed_bytes(unsigned, r=signature.r, s=signature.s, y_parity=signature.y_parity)

    assert raw == bytes(theirs.raw_transaction)
    assert transaction_hash(raw) == "0x" + bytes(theirs.hash).hex()


ITEMS = st.recursive(st.binary(max_size=80) | st.integers(0, 2**256), lambda inner: st.lists(inner, max_size=6))


@given(ITEMS)
@example([b"x" * 55])
@example([b"x" * 56])
@example([b"\x7f", b"\x80", b"", 0, 127, 128, []])
@example(b"x" * 70_000)
def test_rlp_is_that_of_the_library(item):
    assert rlp(item) == reference.encode(item)


@pytest.mark.parametrize("to", ["0x", "0x" + "11" * 19, "0x" + "11" * 21])
def test_a_recipient_of_another_length_is_refused(to):
    unsigned = UnsignedTransaction(chain_id=1, nonce=0, tip=1, max_fee=1, gas_limit=21_000, to=to, data=b"")
    with pytest.raises(ValueError, match="20 bytes"):
        signing_message(unsigned)
