"""Claims as plain data: the columns that one step asks for, of thousands of rows at once."""

from datetime import datetime
from typing import Protocol

import msgspec

from issuer.claims.rules import ClaimStatus

Key = tuple[str, str, int]  # identity, topic, chain id


class Keyed(Protocol):
    """Whatever has a key: plain data, or a row."""

    @property
    def identity(self) -> str: ...

    @property
    def topic(self) -> str: ...

    @property
    def chain_id(self) -> int: ...


class Queued(msgspec.Struct, frozen=True):
    """A claim as it is signed."""

    id: str
    case_id: str
    decision_id: str
    wallet: str
    identity: str
    topic: str
    chain_id: int
    foreign: bool
    form: str
    onchain_id: str
    status: ClaimStatus
    validity_seconds: int
    salt: str
    epoch: int | None
    word: str | None
    signature: str | None
    created_at: datetime


class Carried(msgspec.Struct):
    """A claim as its transaction carries it: what the transaction's fate is judged by, and what it changes."""

    id: str
    case_id: str
    identity: str
    topic: str
    chain_id: int
    onchain_id: str
    epoch: int | None
    status: ClaimStatus
    detail: str | None
    failures: int
    next_try_at: datetime
    tx_hash: str | None
    block_number: int | None
    revoked_tx_hash: str | None
    created_at: datetime
    updated_at: datetime


def key_of(claim: Keyed) -> Key:
    """Of the claims with one key, one at most waits, one is on its way and one stands."""
    return claim.identity, claim.topic, claim.chain_id
