"""Recovering who signed, against libsecp256k1."""

import coincurve
import pytest
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from issuer.recovery import N, P, address_of


@given(key=st.integers(1, N - 1), digest=st.binary(min_size=32, max_size=32))
def test_it_finds_the_signer_that_libsecp256k1_had(key: int, digest: bytes) -> None:
    signer = coincurve.PrivateKey.from_int(key)
    signature = signer.sign_recoverable(digest, hasher=None)
    r, s, parity = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big"), signature[64]
    address = to_checksum_address(keccak(signer.public_key.format(compressed=False)[1:])[12:])
    assert address_of(digest, r=r, s=s, y_parity=parity) == address
    assert address_of(digest, r=r, s=N - s, y_parity=1 - parity) == address, "the same signature written the other way"
    assert address_of(digest, r=r, s=s, y_parity=1 - parity) != address


@given(
    r=st.integers(0, 2**256 - 1),
    s=st.integers(0, 2**256 - 1),
    parity=st.integers(0, 1),
    digest=st.binary(min_size=32, max_size=32),
)
def test_any_numbers_give_what_libsecp256k1_gives(r: int, s: int, parity: int, digest: bytes) -> None:
    raw = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([parity])
    try:
        key = coincurve.PublicKey.from_signature_and_message(raw, digest, hasher=None)
        expected = to_checksum_address(keccak(key.format(compressed=False)[1:])[12:])
    except Exception:
        expected = None
    assert address_of(digest, r=r, s=s, y_parity=parity) == expected


@pytest.mark.parametrize(("r", "s"), [(0, 1), (1, 0), (N, 1), (1, N), (P, 1), (-1, 1), (2**256, 1)])
def test_numbers_out_of_range_are_no_signature(r: int, s: int) -> None:
    assert address_of(bytes(32), r=r, s=s, y_parity=0) is None


def test_the_point_at_infinity_is_nobody() -> None:
    # R = G and z = s: then sR - zG is nothing, and nothing has no address.
    g = 0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798
    assert address_of((1).to_bytes(32, "big"), r=g, s=1, y_parity=0) is None
