"""Our own encoding of the hot shapes is eth_abi's, byte for byte."""

from typing import Any

import pytest
from eth_abi.abi import decode, encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from issuer.chain import abi, contracts, encoding
from issuer.chain.abi import Function
from issuer.chain.contracts import Authorization, ClaimInput, Hosted, Onboarding

ADDRESSES = st.binary(min_size=20, max_size=20).map(to_checksum_address)
UINTS = st.integers(0, 2**256 - 1)
WORDS = st.binary(min_size=32, max_size=32)
BLOBS = st.binary(max_size=100)
CLAIMS = st.builds(ClaimInput, topic=UINTS, scheme=UINTS, signature=BLOBS, data=BLOBS, uri=st.text(max_size=40))
ONBOARDINGS = st.builds(Onboarding, wallet=ADDRESSES, claims=st.lists(CLAIMS, max_size=3).map(tuple))
VALUES = {"address": ADDRESSES, "uint256": UINTS, "bytes32": WORDS, "bool": st.booleans()}
READ = VALUES | {"uint32": st.integers(0, 2**32 - 1), "uint16": st.integers(0, 2**16 - 1)}
READABLE = ["bytes", *sorted(READ)] + [f"{kind}[]" for kind in sorted(READ)]
WRITTEN = READ | {"bytes": BLOBS}


@given(st.data())
def test_words_and_bytes_behind_them_as_arguments(data: st.DataObject) -> None:
    words = data.draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=4))
    kinds = (*words, *["bytes"] * data.draw(st.integers(0, 2)))
    values = [data.draw(WRITTEN[kind]) for kind in kinds]
    function = Function("Anything", "ask", kinds)
    assert function.calldata(*values) == keccak(text=f"ask({','.join(kinds)})")[:4] + encode(kinds, values)


@given(st.lists(ONBOARDINGS, max_size=4))
def test_onboard(items: list[Onboarding]) -> None:
    values = [(item.wallet, [claim.values() for claim in item.claims]) for item in items]
    assert contracts.onboard(items) == abi.ONBOARD.selector + encode(abi.ONBOARD.inputs, [values])


@given(UINTS, st.lists(st.builds(Hosted, wallet=ADDRESSES, word=WORDS), max_size=4), UINTS, UINTS, BLOBS)
def test_onboard_hosted(topic: int, items: list[Hosted], nonce: int, deadline: int, signature: bytes) -> None:
    pairs = [(item.wallet, item.word) for item in items]
    leave = Authorization(nonce=nonce, deadline=deadline, signature=signature)
    whole = encode(abi.ONBOARD_HOSTED.inputs, [topic, pairs, (nonce, deadline, signature)])
    assert contracts.onboard_hosted(topic, items, leave) == abi.ONBOARD_HOSTED.selector + whole
    assert contracts.hosted_items(items) == keccak(encode(["(address,bytes32)[]"], [pairs]))


@pytest.mark.parametrize("value", ["0x", "0x12", "0x" + "ab" * 19, "0x" + "ab" * 21, "0x" + "ab " * 20 + "a", "nobody"])
def test_what_is_no_address_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"address|hex"):
        encoding.address(value)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(OverflowError):
        encoding.uint(2**256)
    with pytest.raises(OverflowError):
        encoding.uint(-1)
    with pytest.raises(ValueError, match="32 bytes"):
        encoding.bytes32(b"\x01" * 31)


def _as_we_write_it(kind: str, value: Any) -> Any:
    """Theirs, with addresses in EIP-55."""
    if kind.endswith("[]"):
        return tuple(_as_we_write_it(kind[:-2], item) for item in value)
    return to_checksum_address(value) if kind == "address" else value


@given(st.data(), st.binary(max_size=64))
def test_words_and_lists_of_words_are_read_as_they_were_written(data: st.DataObject, behind: bytes) -> None:
    kinds = data.draw(st.lists(st.sampled_from(READABLE), max_size=4))
    values = [
        data.draw(st.lists(READ[kind[:-2]], max_size=4).map(tuple) if kind.endswith("[]") else WRITTEN[kind])
        for kind in kinds
    ]
    assert encoding.decode(kinds, encode(kinds, values) + behind) == tuple(values)


SMALL = st.integers(0, 200).map(encoding.uint)


@given(
    st.lists(st.sampled_from(READABLE), min_size=1, max_size=3),
    st.lists(SMALL | WORDS, max_size=12),
    st.binary(max_size=9),
)
def test_what_we_read_out_of_anything_eth_abi_reads_too(kinds: list[str], words: list[bytes], rest: bytes) -> None:
    answer = b"".join(words) + rest
    try:
        ours = encoding.decode(kinds, answer)
    except ValueError:
        return  # it may be stricter, and a node may say anything
    theirs = decode(kinds, answer)
    assert ours == tuple(_as_we_write_it(kind, value) for kind, value in zip(kinds, theirs, strict=True))


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("uint256", b""),
        ("uint256", bytes(31)),
        ("bool", encoding.uint(2)),
        ("uint16", encoding.uint(1 << 16)),
        ("address", encoding.uint(1 << 160)),
        ("uint256[]", encoding.uint(32)),
        ("uint256[]", encoding.uint(32) + encoding.uint(2) + encoding.uint(1)),
        ("uint256[]", encoding.uint(32) + encoding.uint(2**255)),
        ("uint256[]", encoding.uint(2**255) + encoding.uint(0)),
        ("uint256[]", encoding.uint(0)),
        ("bytes", encoding.uint(0) + encoding.uint(0)),
        ("bytes", encoding.uint(32) + encoding.uint(1)),
        ("bytes", encoding.uint(32) + encoding.uint(1) + b"\x01" * 32),
        ("bytes", encoding.uint(32) + encoding.uint(33) + bytes(32)),
        ("bytes", encoding.uint(32) + encoding.uint(2**255) + bytes(32)),
    ],
)
def test_what_is_no_such_answer_is_an_error(kind: str, answer: bytes) -> None:
    with pytest.raises(ValueError, match=r"bits|short|longer|front"):
        encoding.decode([kind], answer)
