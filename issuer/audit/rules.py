"""The chain's arithmetic: what an entry says, how entries are linked, how a head is signed. No I/O.

An entry holds the digest of a row and never the row, so nothing that may have to be erased stands in the chain. Change,
remove, move or add an entry, and the hashes behind it no longer fit; rewrite all of them, or cut some off at the end,
and the heads that were signed and kept elsewhere no longer fit.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from issuer.db import EPOCH, MICROSECOND
from issuer.errors import SettingsError
from issuer.secrets import Secret

KEY = "CLAIMWRIGHT_AUDIT_KEY"
GENESIS = "0" * 64
_ENTRY, _HEAD, _BUNDLE = b"claimwright audit entry 1\n", b"claimwright audit head 1\n", b"claimwright evidence 1\n"


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One entry. `digest` is of the row that `kind` and `ref` name; `previous` the hash of the entry before."""

    seq: int
    at: datetime
    kind: str
    ref: str
    digest: str
    previous: str

    @property
    def hash(self) -> str:
        """SHA-256 over all of it, 64 hex digits."""
        parts = {
            "seq": self.seq,
            "at": _microseconds(self.at),
            "kind": self.kind,
            "ref": self.ref,
            "digest": self.digest,
            "previous": self.previous,
        }
        return sha256(_ENTRY + msgspec.json.encode(parts, order="deterministic")).hexdigest()


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The chain up to `seq`, as a signer saw it. `signature`: Ed25519 (RFC 8032) in hex."""

    seq: int
    hash: str
    at: datetime
    signature: str


class AuditKey:
    """Signs heads and evidence. 32 bytes that no database role can read."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    @classmethod
    def parse(cls, text: Secret) -> "AuditKey":
        """64 hex digits. Raises `SettingsError`."""
        try:
            seed = bytes.fromhex(text.reveal().strip())
        except ValueError:
            seed = b""
        if len(seed) != 32 or len(set(seed)) < 8:
            raise SettingsError(KEY, "must be 64 random hex digits; make them with `openssl rand -hex 32`")
        return cls(seed)

    @property
    def public_key(self) -> str:
        return self._key.public_key().public_bytes_raw().hex()

    def sign_head(self, seq: int, head_hash: str, at: datetime) -> Head:
        return Head(seq=seq, hash=head_hash, at=at, signature=self._key.sign(_head(seq, head_hash, at)).hex())

    def sign_bundle(self, digest: str) -> str:
        return self._key.sign(_BUNDLE + digest.encode()).hex()

    def __repr__(self) -> str:
        return f"AuditKey({self.public_key})"


def is_signed_head(public_key: str, head: Head) -> bool:
    return _is_signed(public_key, _head(head.seq, head.hash, head.at), head.signature)


def is_signed_bundle(public_key: str, digest: str, signature: str) -> bool:
    return _is_signed(public_key, _BUNDLE + digest.encode(), signature)


def digest(content: Mapping[str, object]) -> str:
    """Of a row's content: SHA-256 over its canonical JSON, 64 hex digits. Times count in microseconds."""
    plain = {name: _microseconds(value) if isinstance(value, datetime) else value for name, value in content.items()}
    return sha256(msgspec.json.encode(plain, order="deterministic")).hexdigest()


def broken_links(links: Iterable[tuple[Link, str]], *, after: int = 0, previous: str = GENESIS) -> list[str]:
    """What is wrong with these entries, each with the hash that was stored for it, in the order of `seq`.

    They follow entry `after`, whose hash is `previous`.
    """
    wrong = []
    seq = after
    for link, stored in links:
        if link.seq != seq + 1:
            wrong.append(f"entry {seq + 1} is missing" if link.seq > seq else f"entry {link.seq} is out of order")
        elif link.previous != previous:
            wrong.append(f"entry {link.seq} does not follow the one before it")
        if link.hash != stored:
            wrong.append(f"entry {link.seq} is not what was hashed")
        seq, previous = link.seq, stored
    return wrong


def broken_heads(heads: Iterable[Head], hashes: Mapping[int, str], public_key: str, where: str) -> list[str]:
    """Heads that this key did not sign, or that the chain (`hashes` by seq) no longer leads to."""
    wrong = []
    for head in heads:
        if not is_signed_head(public_key, head):
            wrong.append(f"the head of {head.seq} {where} is not signed by the audit key")
        elif head.seq not in hashes:
            wrong.append(f"the chain ends before {head.seq}, whose head {where} was signed: its tail was cut off")
        elif hashes[head.seq] != head.hash:
            wrong.append(f"the chain at {head.seq} is not the one whose head {where} was signed: it was rewritten")
    return wrong


def _head(seq: int, head_hash: str, at: datetime) -> bytes:
    return _HEAD + msgspec.json.encode({"seq": seq, "hash": head_hash, "at": _microseconds(at)}, order="deterministic")


def _is_signed(public_key: str, message: bytes, signature: str) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(bytes.fromhex(signature), message)
    except (ValueError, InvalidSignature):
        return False
    return True


def _microseconds(at: datetime) -> int:
    return (at - EPOCH) // MICROSECOND
