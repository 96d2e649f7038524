"""The one hash of the chain. In C (`safe-pysha3`), because each claim takes several."""

import sha3  # type: ignore[import-not-found,import-untyped,unused-ignore]  # it ships without types


def keccak(data: bytes) -> bytes:
    """Keccak-256, 32 bytes: the hash of the yellow paper, which is not the SHA-3 of FIPS 202."""
    digest: bytes = sha3.keccak_256(data).digest()
    return digest
