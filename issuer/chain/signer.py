"""The port to a key, and the proof of what comes through it.

A signer is an address and one act. What it returns is never believed: `checked_sign` recovers the signer from the
signature before anything is stored (a remote signer may be slow, wrong or somebody else's).

Sources: EIP-2 (low s), SEC 1 section 4.1.6 (recovery).
"""

import asyncio
from collections.abc import Sequence
from time import perf_counter
from typing import Protocol, Self

import coincurve
import msgspec

from issuer import addresses, metrics
from issuer.chain.signing_process import SigningProcess
from issuer.errors import SignerFailed
from issuer.hashes import keccak

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
SIGN_SECONDS = 10.0
SIGNED_TOGETHER = 32
MANY = 64  # digests that are worth the way to another process


class Signature(msgspec.Struct, frozen=True):
    """Over secp256k1; `y_parity` 0 or 1."""

    r: int
    s: int
    y_parity: int

    @property
    def compact(self) -> bytes:
        """65 bytes, as libsecp256k1 has them: r, s, y parity."""
        return self.r.to_bytes(32, "big") + self.s.to_bytes(32, "big") + bytes([self.y_parity])

    @classmethod
    def of_compact(cls, compact: bytes) -> Self:
        return cls(r=int.from_bytes(compact[:32], "big"), s=int.from_bytes(compact[32:64], "big"), y_parity=compact[64])


class Signer(Protocol):
    """Holds one key, here or elsewhere."""

    @property
    def address(self) -> str:
        """EIP-55."""

    async def sign_digest(self, digest: bytes, message: bytes) -> Signature:
        """Sign 32 bytes as they are, with no prefix and no further hash.

        `message` is what they are the keccak256 of, for a signer that hashes by itself or judges what it signs.
        """

    async def aclose(self) -> None:
        """Let connections go."""


class LocalSigner:
    """A key in this process's memory. Shows its address, never its key."""

    def __init__(self, key: bytes) -> None:
        """Raises `ValueError` unless `key` is 32 bytes and a number on the curve."""
        self._key = coincurve.PrivateKey(key)
        self._address = address_of(self._key.public_key)
        self._beside = SigningProcess(key)

    @property
    def address(self) -> str:
        return self._address

    def __repr__(self) -> str:
        return f"LocalSigner({self._address})"

    async def aclose(self) -> None:
        await self._beside.aclose()

    async def sign_digest(self, digest: bytes, message: bytes) -> Signature:
        return self.sign(digest)

    async def sign_beside(self, digests: Sequence[bytes]) -> list[Signature] | None:
        """Signed and proved by another process, while this one goes on. None: there is none to do it."""
        began = perf_counter()
        made = await self._beside.sign_all(digests)
        if made is None:
            return None
        metrics.signed(type(self).__name__, len(made), perf_counter() - began)
        return [Signature.of_compact(compact) for compact in made]

    def sign(self, digest: bytes) -> Signature:
        """At once: nobody is asked."""
        # libsecp256k1: deterministic (RFC 6979), low s
        return Signature.of_compact(self._key.sign_recoverable(digest, hasher=None))


async def checked_sign(signer: Signer, message: bytes, *, timeout_seconds: float = SIGN_SECONDS) -> Signature:
    """Sign keccak256(message), then prove that it is this digest under this signer's key, with low s.

    `message` is all that is signed, prefixes included: a transaction's unsigned bytes (EIP-2718), or 0x1901, domain and
    struct hash (EIP-712). Raises `SignerFailed`.
    """
    with metrics.signature(type(signer).__name__):
        digest = keccak(message)
        return proved(signer, digest, await _asked(signer, digest, message, timeout_seconds))


async def checked_sign_all(signer: Signer, messages: Sequence[bytes]) -> list[Signature]:
    """`checked_sign` of each, in their order. A key elsewhere is asked for many at once: the ways take the time."""
    if isinstance(signer, LocalSigner):
        return await _sign_local(signer, [keccak(message) for message in messages])
    signatures: list[Signature] = []
    for start in range(0, len(messages), SIGNED_TOGETHER):
        several = messages[start : start + SIGNED_TOGETHER]
        signatures += await asyncio.gather(*(checked_sign(signer, message) for message in several))
    return signatures


async def _sign_local(signer: LocalSigner, digests: Sequence[bytes]) -> list[Signature]:
    """Without all that is for waiting, which takes as long as a fifth of a signature; many are made beside."""
    if len(digests) >= MANY and (made := await signer.sign_beside(digests)) is not None:
        return made
    signatures: list[Signature] = []
    for start in range(0, len(digests), SIGNED_TOGETHER):
        several = digests[start : start + SIGNED_TOGETHER]
        with metrics.signature(type(signer).__name__, len(several)):
            signatures += [proved(signer, digest, signer.sign(digest)) for digest in several]
        await asyncio.sleep(0)  # nothing above gave anybody else a turn
    return signatures


async def _asked(signer: Signer, digest: bytes, message: bytes, timeout_seconds: float) -> Signature:
    signature, failure = None, ""
    try:
        async with asyncio.timeout(timeout_seconds):
            signature = await signer.sign_digest(digest, message)
    except SignerFailed as error:
        failure = error.message
    except Exception as error:  # whatever else a signer raises is told by its class alone: a text may quote a key
        failure = type(error).__name__
    if signature is None:
        raise SignerFailed(f"the signer of {signer.address} gave no signature ({failure or 'nothing'})")
    return signature


def proved(signer: Signer, digest: bytes, signature: Signature) -> Signature:
    """It, if it is canonical and this signer's of this digest. Raises `SignerFailed`."""
    if not 0 < signature.r < CURVE_ORDER or not 0 < signature.s <= CURVE_ORDER // 2 or signature.y_parity not in (0, 1):
        raise SignerFailed(f"the signer of {signer.address} gave a signature that is not canonical")
    if recovered(digest, signature) != signer.address:
        raise SignerFailed(f"the signer of {signer.address} signed with another key or something else")
    return signature


def recovered(digest: bytes, signature: Signature) -> str | None:
    """The address (EIP-55) whose key made this signature of `digest`; None if no key can have."""
    try:
        return address_of(coincurve.PublicKey.from_signature_and_message(signature.compact, digest, hasher=None))
    except ValueError:
        return None  # no point of the curve has this r


def address_of(key: coincurve.PublicKey) -> str:
    """EIP-55: the last 20 bytes of the uncompressed key's keccak256."""
    return addresses.of_public_key(key.format(compressed=False)[1:])
