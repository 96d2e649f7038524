"""Addresses as everybody writes them: EIP-55, hex whose capitals are a checksum."""

import re
from functools import lru_cache

from issuer.hashes import keccak

_ADDRESS = re.compile("0x[0-9a-fA-F]{40}")
ERASED = "erased"  # what stands where an address stood


@lru_cache(maxsize=2**14)  # one claim's way meets the same address several times, and each checksum is a hash
def eip55(address: str | bytes) -> str:
    """Of 0x and 40 hex digits in any case, or of 20 bytes. Raises `ValueError` for anything else. Source: EIP-55."""
    text = "0x" + address.hex() if isinstance(address, bytes) else address
    if not _ADDRESS.fullmatch(text):
        raise ValueError("not an address")
    digits = text[2:].lower()
    checksum = keccak(digits.encode()).hex()
    pairs = zip(digits, checksum, strict=False)  # a hash is longer than an address
    return "0x" + "".join([digit.upper() if nibble > "7" else digit for digit, nibble in pairs])


def is_address(text: str) -> bool:
    """In whatever case."""
    return _ADDRESS.fullmatch(text) is not None


def is_checksummed(text: str) -> bool:
    """With the capitals that EIP-55 gives it."""
    return is_address(text) and eip55(text) == text


@lru_cache(maxsize=64)  # our own keys, over and over: each of their signatures is recovered
def of_public_key(point: bytes) -> str:
    """Of the 64 bytes x | y: the last 20 of their keccak256 (Ethereum yellow paper, appendix F)."""
    return eip55(keccak(point)[12:])
