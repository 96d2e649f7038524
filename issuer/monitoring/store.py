"""The one set of queries behind the gauges and the readiness detail. Nothing here writes.

Each looks at what is open, through an index, so a scrape costs the same with a thousand settled claims or ten million.
Several processes that are scraped give the same figures: they are the database's, not a process's.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from issuer.cases.store import checks_of_day
from issuer.chain.rules import Hold, TxStatus
from issuer.chain.tables import Lane, Transaction
from issuer.claims.rules import ClaimStatus
from issuer.claims.tables import Claim
from issuer.db import store_time
from issuer.inbox.tables import InboxEvent
from issuer.queue.port import INBOX, Queue
from issuer.reconcile.rules import Code
from issuer.reconcile.store import open_counts
from issuer.stops.store import standing

# Settled states are not counted: their number only grows, and no one is waiting in them.
OPEN = (ClaimStatus.QUEUED, ClaimStatus.SIGNED, ClaimStatus.MINED, ClaimStatus.REVOKING, ClaimStatus.FAILED)
MOVING = (ClaimStatus.QUEUED, ClaimStatus.REVOKING)  # what the daemon is to do something about
PAUSED = "paused"
OTHER = "other"
HOLDS = (PAUSED, *Hold, OTHER)
MANY_TRIES = 5


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """How many, and for how long the oldest (seconds; 0 if there is none)."""

    count: int = 0
    oldest: float = 0.0


class LaneFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`nonces` by kind: allocated (the next one here), chain (the next by what we saw mined), finalized.

    `inflight` counts transactions that are signed and not mined, `stall` the seconds since the oldest was signed.
    `held` is one of `HOLDS`, `held_because` the same in a sentence, which names nonces and amounts.
    """

    id: str
    chain_id: int
    sender: str
    nonces: Mapping[str, int]
    inflight: int
    stall: float
    leased: bool
    held: str | None
    held_because: str | None


class StopFacts(msgspec.Struct, frozen=True, kw_only=True):
    """An emergency stop that stands. `chain_id` None: on every chain."""

    id: str
    chain_id: int | None
    reason: str
    at: datetime


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """`revocation_lag` by chain: how long the oldest claim that is to be revoked still counts on chain.

    `checks` opened today, by provider and environment; they are counted while there is a budget.
    """

    claims: Mapping[tuple[int, ClaimStatus], Waiting]
    revocation_lag: Mapping[int, float]
    lanes: Sequence[LaneFacts]
    jobs: Mapping[str, int]
    inbox: Waiting
    findings: Mapping[tuple[int, str], int]
    held: Mapping[str, int]
    checks: Mapping[tuple[str, str], int]
    stops: Sequence[StopFacts]


async def facts(session: AsyncSession, queue: Queue, chain_ids: Sequence[int]) -> Facts:
    """How things stand on these chains now."""
    now = await store_time(session)
    claims = await _claims(session, chain_ids, now)
    inbox, stubborn = await _inbox(session, now)
    failed = sum(waiting.count for (_, state), waiting in claims.items() if state == ClaimStatus.FAILED)
    return Facts(
        claims=claims,
        revocation_lag={chain_id: await _revocation_lag(session, chain_id, now) for chain_id in chain_ids},
        lanes=[await _lane(session, lane, now) for lane in await _lanes(session, chain_ids)],
        jobs={INBOX: 0, **await queue.waiting(session)},
        inbox=inbox,
        findings={
            **{(chain_id, str(code)): 0 for chain_id in chain_ids for code in Code},
            **await open_counts(session),
        },
        checks=await checks_of_day(session, now),
        held={"inbox": stubborn, "claim": failed},
        stops=[
            StopFacts(id=one.id, chain_id=one.chain_id, reason=one.reason, at=one.at)
            for one in await standing(session, chain_ids)
        ],
    )


async def inbox_waiting(session: AsyncSession) -> Waiting:
    """Provider events that nothing final came of yet. The API's own role may ask this."""
    waiting, _ = await _inbox(session, await store_time(session))
    return waiting


async def _claims(
    session: AsyncSession, chain_ids: Sequence[int], now: datetime
) -> dict[tuple[int, ClaimStatus], Waiting]:
    rows = await session.execute(
        sa.select(Claim.chain_id, Claim.status, sa.func.count(), sa.func.min(Claim.updated_at))
        .where(Claim.chain_id.in_(chain_ids), Claim.status.in_(OPEN))
        .group_by(Claim.chain_id, Claim.status)
    )
    found = {
        (chain_id, ClaimStatus(status)): Waiting(count=count, oldest=_age(oldest, now))
        for chain_id, status, count, oldest in rows
    }
    return {(chain_id, state): found.get((chain_id, state), Waiting()) for chain_id in chain_ids for state in OPEN}


async def _revocation_lag(session: AsyncSession, chain_id: int, now: datetime) -> float:
    """Not the age of the state: that ends with finality, the harm with the block."""
    oldest = await session.scalar(
        sa.select(sa.func.min(Claim.updated_at)).where(
            Claim.chain_id == chain_id, Claim.status == ClaimStatus.REVOKING, Claim.revoked_tx_hash.is_(None)
        )
    )
    return _age(oldest, now)


async def _lanes(session: AsyncSession, chain_ids: Sequence[int]) -> list[Lane]:
    return list(await session.scalars(sa.select(Lane).where(Lane.chain_id.in_(chain_ids)).order_by(Lane.id)))


async def _lane(session: AsyncSession, lane: Lane, now: datetime) -> LaneFacts:
    inflight, oldest = (
        await session.execute(
            sa.select(sa.func.count(), sa.func.min(Transaction.created_at)).where(
                Transaction.lane_id == lane.id,
                Transaction.chain_id == lane.chain_id,
                Transaction.status == TxStatus.SIGNED,
            )
        )
    ).one()
    return LaneFacts(
        id=lane.id,
        chain_id=lane.chain_id,
        sender=lane.sender,
        nonces={
            "allocated": lane.next_nonce,
            "chain": await _next_after(session, lane, Transaction.status != TxStatus.SIGNED),
            "finalized": await _next_after(session, lane, Transaction.status == TxStatus.FINAL),
        },
        inflight=inflight,
        stall=_age(oldest, now),
        leased=lane.leased_until is not None and lane.leased_until >= now,
        held=PAUSED if lane.paused_by is not None else lane.hold or (lane.held_because and OTHER),
        held_because=lane.held_because if lane.paused_by is None else f"paused by {lane.paused_by}",
    )


async def _next_after(session: AsyncSession, lane: Lane, status: sa.ColumnElement[bool]) -> int:
    """The nonce after the highest one that got so far; 0 without one. Only the newest few have not."""
    highest = await session.scalar(
        sa.select(Transaction.nonce)
        .where(Transaction.lane_id == lane.id, status)
        .order_by(Transaction.nonce.desc())
        .limit(1)
    )
    return 0 if highest is None else highest + 1


async def _inbox(session: AsyncSession, now: datetime) -> tuple[Waiting, int]:
    count, oldest, stubborn = (
        await session.execute(
            sa.select(
                sa.func.count(),
                sa.func.min(InboxEvent.received_at),
                sa.func.coalesce(sa.func.sum(sa.case((InboxEvent.attempts >= MANY_TRIES, 1), else_=0)), 0),
            ).where(InboxEvent.handled_at.is_(None))
        )
    ).one()
    return Waiting(count=count, oldest=_age(oldest, now)), int(stubborn)


def _age(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max((now - since).total_seconds(), 0.0)
