"""Our hash and our addresses are those that everybody else's tools make."""

import pytest
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak as reference
from hypothesis import given
from hypothesis import strategies as st

from issuer.addresses import eip55, is_address, is_checksummed
from issuer.hashes import keccak


@given(st.binary(max_size=300))
def test_the_hash_is_keccak(data: bytes) -> None:
    assert keccak(data) == reference(data)


@given(st.binary(min_size=20, max_size=20))
def test_an_address_has_everybodys_checksum(raw: bytes) -> None:
    expected = to_checksum_address(raw)
    assert [eip55(raw), eip55("0x" + raw.hex()), eip55("0x" + raw.hex().upper()), eip55(expected)] == [expected] * 4


@pytest.mark.parametrize(
    "wrong", ["", "0x", "11" * 20, "0X" + "11" * 20, "0x" + "g" * 40, "0x" + "１" * 40, "0x" + "1" * 41, bytes(19)]
)
def test_what_is_no_address_is_refused(wrong: str | bytes) -> None:
    with pytest.raises(ValueError, match="not an address"):
        eip55(wrong)
    assert isinstance(wrong, bytes) or not (is_address(wrong) or is_checksummed(wrong))


@given(st.binary(min_size=20, max_size=20))
def test_only_one_way_of_writing_an_address_is_its_checksum(raw: bytes) -> None:
    text = eip55(raw)
    assert is_checksummed(text)
    others = {"0x" + raw.hex(), "0x" + raw.hex().upper(), "0x" + text[2:].swapcase()} - {text}
    assert all(is_address(other) and not is_checksummed(other) for other in others)
