"""Claim ids, claim words, digests, and how a claim moves. No I/O; the clock is an argument.

Sources: DESIGN of the claim word in docs/contracts.md; ERC-735 (claim id as in ONCHAINID 2.2.1); EIP-712; EIP-2098.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache

import msgspec

from issuer.chain import encoding
from issuer.chain.rules import is_live
from issuer.errors import IllegalMove
from issuer.hashes import keccak

WORD_LAYOUT = 1
COMMITMENT_BYTES = 21
SCHEME_ECDSA = 1
SIGNED, HOSTED = "signed", "hosted"  # the forms a claim can have on chain
AWAITING_HOLDER = "awaiting_holder"  # the detail of a signed claim that only its holder can send
REVERIFICATION_DUE = "reverification_due"  # the decision is too old for another claim: it takes a new check
MAX_FAILURES = 5
RENEW_LEAD = timedelta(days=30)
PRODUCTION = "production"

DOMAIN_TYPE = keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
CLAIM_TYPE = keccak(b"Claim(address identity,uint256 topic,bytes32 word)")
ONBOARD_TYPE = keccak(b"Onboard(uint256 topic,bytes32 items,uint256 nonce,uint256 deadline)")
DOMAIN_NAME = keccak(b"Claimwright")
DOMAIN_VERSION = keccak(b"1")


class ClaimStatus(StrEnum):
    QUEUED = "queued"
    SIGNED = "signed"
    MINED = "mined"
    CONFIRMED = "confirmed"
    REVOKING = "revoking"
    REVOKED = "revoked"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    REMOVED = "removed"
    FAILED = "failed"


S = ClaimStatus

MOVES: dict[ClaimStatus, frozenset[ClaimStatus]] = {
    # queued > revoking: a claim that was signed once and came back has its signature in public calldata.
    # queued > confirmed: this very claim is on chain already. queued > failed: its decision is not proved.
    S.QUEUED: frozenset({S.SIGNED, S.CANCELLED, S.REVOKING, S.CONFIRMED, S.FAILED}),
    # signed > superseded: it was offered to its holder, who had not sent it when a newer approval came.
    S.SIGNED: frozenset({S.MINED, S.QUEUED, S.FAILED, S.REVOKING, S.SUPERSEDED}),
    # mined > signed: a reorg took the block; the same bytes are sent again, so the claim is not free to be re-signed.
    S.MINED: frozenset({S.CONFIRMED, S.SIGNED, S.QUEUED, S.FAILED, S.REVOKING}),
    S.CONFIRMED: frozenset({S.REVOKING, S.SUPERSEDED, S.REMOVED}),
    S.REVOKING: frozenset({S.REVOKED}),
    S.FAILED: frozenset({S.QUEUED, S.CANCELLED, S.REVOKING}),
    S.REVOKED: frozenset({S.REVOKING}),  # a reorg deeper than our depth took the revocation
    S.CANCELLED: frozenset(),
    S.SUPERSEDED: frozenset(),
    # Its signature is still good: its holder may put it back, and a decline has to revoke it.
    S.REMOVED: frozenset({S.CONFIRMED, S.REVOKING}),
}

# Of each identity, topic and chain at most one claim waits (`queued`), one is on its way and one stands (`confirmed`).
ON_ITS_WAY = frozenset({S.SIGNED, S.MINED})
# On chain, or possibly so.
IN_FORCE = ON_ITS_WAY | {S.CONFIRMED, S.REVOKING}


# A person may ask for a new one of each; by itself only a standing claim is renewed.
RENEWABLE = frozenset({S.CONFIRMED, S.REVOKED})


def move(source: ClaimStatus, target: ClaimStatus) -> ClaimStatus:
    """The one way to a new status. Raises `IllegalMove`."""
    if target not in MOVES[source]:
        raise IllegalMove("claim", source, target)
    return target


def on_reversal(status: ClaimStatus, *, ever_signed: bool, followed: bool = False) -> ClaimStatus | None:
    """Where a claim goes when the approval behind it is taken back. None: it is already as dead as it can be.

    A claim that was signed once is never just cancelled: its holder may have read the signature from the mempool
    or from a failed transaction and could put the claim on chain without us. Only a revocation kills it. But one that
    is `followed` by the claim of a newer approval is left: a revocation would kill that one too, and what takes the
    newer one back takes this one with it.
    """
    if status in ON_ITS_WAY:
        return S.REVOKING
    if status is S.CONFIRMED:
        return S.SUPERSEDED if followed else S.REVOKING
    if status in (S.QUEUED, S.FAILED):
        return S.REVOKING if ever_signed and not followed else S.CANCELLED
    if status is S.REMOVED and not followed:
        return S.REVOKING
    return None


def on_failure(status: ClaimStatus, failures: int) -> ClaimStatus | None:
    """Where a claim goes when its transaction finally did not put it on chain. `failures` counts this one."""
    if status not in (S.SIGNED, S.MINED):
        return None
    return S.FAILED if failures >= MAX_FAILURES else S.QUEUED


def replaces(until: datetime | None, environment: str, older_until: datetime | None, older_environment: str) -> bool:
    """May a claim of another case take the place of one that stands? Never by a shorter or a weaker one.

    None is a claim without end; what a provider says in its sandbox is weaker than what it says in production.
    """
    if older_environment == PRODUCTION and environment != PRODUCTION:
        return False
    return until is None or (older_until is not None and until >= older_until)


class Firewall(msgspec.Struct, frozen=True, kw_only=True):
    """Which decisions may become claims where: what a sandbox said never on a live chain.

    What production said is about people, and belongs on no test network, unless `production_to_test` for a rehearsal.
    """

    production_to_test: bool = False

    def lets(self, environment: str, chain_id: int) -> bool:
        if is_live(chain_id):
            return environment == PRODUCTION
        return environment != PRODUCTION or self.production_to_test


def expires_at(issued_at: int, validity_seconds: int, supported_until: datetime | None) -> int:
    """When a claim of `issued_at` ends: with its own life, or with what its decision supports. Unix seconds."""
    ends = issued_at + validity_seconds
    return ends if supported_until is None else min(ends, int(supported_until.timestamp()))


def renew_at(until: datetime | None, validity_seconds: int) -> datetime | None:
    """When a claim is made anew: a month before its end, or for a short life in its last third. None: it has no end."""
    return None if until is None else until - min(RENEW_LEAD, timedelta(seconds=validity_seconds) / 3)


@lru_cache(maxsize=256)  # one for each issuer and topic, asked for each claim
def onchain_id(issuer: str, topic: int) -> bytes:
    """ERC-735 claim id, 32 bytes: keccak256(abi.encode(issuer, topic))."""
    return keccak(encoding.address(issuer) + encoding.uint(topic))


def commitment(*, salt: bytes, case_id: str, level: str, provider: str, environment: str) -> bytes:
    """The 21 bytes that tie a claim to its case without telling which; opened with `salt` (32 bytes)."""
    texts = [encoding.blob(text.encode()) for text in (case_id, level, provider, environment)]
    return keccak(encoding.dynamic_tuple([encoding.bytes32(salt)], texts))[:COMMITMENT_BYTES]


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """layout 1 | epoch 2 | issuedAt 4 | expiresAt 4 | commitment 21 bytes, big-endian. Times in Unix seconds."""

    epoch: int
    issued_at: int
    expires_at: int
    commitment: bytes

    def pack(self) -> bytes:
        """32 bytes. Raises `OverflowError` for a value that does not fit and `ValueError` for a wrong commitment."""
        if len(self.commitment) != COMMITMENT_BYTES:
            raise ValueError(f"a commitment has {COMMITMENT_BYTES} bytes")
        head = bytes([WORD_LAYOUT]) + self.epoch.to_bytes(2, "big")
        return head + self.issued_at.to_bytes(4, "big") + self.expires_at.to_bytes(4, "big") + self.commitment

    @classmethod
    def unpack(cls, word: bytes) -> "Word":
        """Raises `ValueError` for a wrong length or an unknown layout."""
        if len(word) != 32 or word[0] != WORD_LAYOUT:
            raise ValueError("not a claim word of layout 1")
        return cls(
            epoch=int.from_bytes(word[1:3], "big"),
            issued_at=int.from_bytes(word[3:7], "big"),
            expires_at=int.from_bytes(word[7:11], "big"),
            commitment=word[11:],
        )


def domain_separator(chain_id: int, claim_issuer: str) -> bytes:
    """EIP-712 domain {name "Claimwright", version "1", chainId, verifyingContract = the ClaimIssuer}."""
    head = DOMAIN_TYPE + DOMAIN_NAME + DOMAIN_VERSION
    return keccak(head + encoding.uint(chain_id) + encoding.address(claim_issuer))


def claim_message(*, domain: bytes, identity: str, topic: int, word: bytes) -> bytes:
    """EIP-712 message of `Claim(address identity,uint256 topic,bytes32 word)`: the claim signer signs its keccak256."""
    fields = encoding.address(identity) + encoding.uint(topic) + encoding.bytes32(word)
    return b"\x19\x01" + domain + keccak(CLAIM_TYPE + fields)


def batch_message(*, domain: bytes, topic: int, items: bytes, nonce: int, deadline: int) -> bytes:
    """EIP-712 message of `Onboard(…)`: a claim signer's leave to host a batch. `items` is the hash of the batch."""
    fields = encoding.uint(topic) + encoding.bytes32(items) + encoding.uint(nonce) + encoding.uint(deadline)
    return b"\x19\x01" + domain + keccak(ONBOARD_TYPE + fields)


def compact_signature(r: int, s: int, y_parity: int) -> bytes:
    """EIP-2098: 64 bytes r | yParity<<255 | s. `s` must be the low one."""
    return r.to_bytes(32, "big") + ((y_parity << 255) | s).to_bytes(32, "big")


def valid_until(word: Word) -> datetime | None:
    """`expires_at` 0 means no expiry."""
    return datetime.fromtimestamp(word.expires_at, UTC) if word.expires_at else None
