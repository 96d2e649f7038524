"""Addresses as everybody writes them: EIP-55, hex whose capitals are a checksum."""

from functools import lru_cache

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

ERASED = "erased"  # what stands where an address stood


@lru_cache(maxsize=2**14)  # one claim's way meets the same address several times, and each checksum is a hash
def eip55(address: str | bytes) -> str:
    """Of 0x and 40 hex digits in any case, or of 20 bytes. Raises `ValueError` for anything else."""
    return str(to_checksum_address(address))


@lru_cache(maxsize=64)  # our own keys, over and over: each of their signatures is recovered
def of_public_key(point: bytes) -> str:
    """Of the 64 bytes x | y: the last 20 of their keccak256 (Ethereum yellow paper, appendix F)."""
    return eip55(keccak(point)[12:])
