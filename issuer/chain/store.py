"""Every query of the chain room. Nothing here commits, and every write to a lane carries its fencing token."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from issuer.chain.rules import TxStatus
from issuer.chain.tables import Attempt, Chain, Lane, Transaction, TransactionClaim
from issuer.db import for_update, store_time
from issuer.errors import LaneLost, WrongChain
from issuer.ids import new_id


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """The right to sign on a lane, until somebody else's token is higher."""

    lane_id: str
    owner: str
    token: int


async def remember_chain(session: AsyncSession, chain_id: int, genesis_hash: str, now: datetime) -> None:
    """Record a chain the first time; later raise `WrongChain` if the genesis is another (invariant I14)."""
    known = await session.get(Chain, chain_id)
    if known is None:
        session.add(Chain(chain_id=chain_id, genesis_hash=genesis_hash, recorded_at=now))
    elif known.genesis_hash != genesis_hash:
        raise WrongChain(f"chain {chain_id} has another genesis block than the one this database was used with")


async def lane_of(session: AsyncSession, chain_id: int, sender: str) -> Lane | None:
    lane: Lane | None = await session.scalar(sa.select(Lane).where(Lane.chain_id == chain_id, Lane.sender == sender))
    return lane


async def lanes(session: AsyncSession) -> list[Lane]:
    return list(await session.scalars(sa.select(Lane).order_by(Lane.id)))


async def make_lane(session: AsyncSession, chain_id: int, sender: str, next_nonce: int) -> Lane:
    lane = Lane(id=new_id("lane"), chain_id=chain_id, sender=sender, next_nonce=next_nonce, token=0)
    session.add(lane)
    await session.flush()
    return lane


async def acquire(
    session: AsyncSession, lane_id: str, owner: str, ttl: timedelta, *, alone: bool = False
) -> Lease | None:
    """Take a lane that is free or whose lease ran out. None: somebody else holds it.

    `alone`: the caller is the only daemon there can be (SQLite's role lock), so a lease left over is a dead one's.
    """
    now = await store_time(session)
    free = sa.true() if alone else sa.or_(Lane.leased_until.is_(None), Lane.leased_until < now)
    token = await session.scalar(
        sa.update(Lane)
        .where(Lane.id == lane_id, free)
        .values(owner=owner, leased_until=now + ttl, token=Lane.token + 1)
        .returning(Lane.token)
    )
    return None if token is None else Lease(lane_id=lane_id, owner=owner, token=token)


async def renew(session: AsyncSession, lease: Lease, ttl: timedelta) -> None:
    """Raises `LaneLost` if the lane has a newer token."""
    now = await store_time(session)
    await _fenced(session, lease, leased_until=now + ttl)


async def release(session: AsyncSession, lease: Lease) -> None:
    await _fenced(session, lease, leased_until=None, owner=None)


async def hold(session: AsyncSession, lease: Lease, reason: str | None) -> None:
    """Say why nothing new is signed here, or that it is again."""
    await _fenced(session, lease, held_because=reason)


async def take_nonces(session: AsyncSession, lease: Lease, nonce: int, count: int) -> None:
    """Use up exactly `count` nonces from this one, if it is the next and the lease still stands. Raises `LaneLost`."""
    now = await store_time(session)
    taken = await session.scalar(
        sa.update(Lane)
        .where(
            Lane.id == lease.lane_id,
            Lane.token == lease.token,
            Lane.next_nonce == nonce,
            Lane.leased_until >= now,
            Lane.paused_by.is_(None),
        )
        .values(next_nonce=nonce + count)
        .returning(Lane.next_nonce)
    )
    if taken is None:
        raise LaneLost("the lane's lease, nonce or pause changed; nothing was sent")


async def _fenced(session: AsyncSession, lease: Lease, **values: object) -> None:
    changed = await session.scalar(
        sa.update(Lane).where(Lane.id == lease.lane_id, Lane.token == lease.token).values(**values).returning(Lane.id)
    )
    if changed is None:
        raise LaneLost("another process holds the lane")


async def transactions(session: AsyncSession, lane_id: str, *statuses: TxStatus) -> list[Transaction]:
    """Lowest nonce first."""
    statement = (
        sa.select(Transaction)
        .where(Transaction.lane_id == lane_id, Transaction.status.in_(statuses))
        .order_by(Transaction.nonce)
    )
    return list(await session.scalars(statement))


class InFlight(msgspec.Struct, frozen=True, kw_only=True):
    """What of a lane is signed and not mined: how many transactions, their gas limits together, when the newest was."""

    count: int
    gas: int
    newest_at: datetime | None


async def in_flight(session: AsyncSession, lane_id: str) -> InFlight:
    """Without reading the transactions themselves, which are large."""
    statement = sa.select(
        sa.func.count(), sa.func.coalesce(sa.func.sum(Transaction.gas_limit), 0), sa.func.max(Transaction.created_at)
    ).where(Transaction.lane_id == lane_id, Transaction.status == TxStatus.SIGNED)
    count, gas, newest_at = (await session.execute(statement)).one()
    return InFlight(count=count, gas=int(gas), newest_at=newest_at)


class Open(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction that is not final, with the hashes of all its attempts: any may be mined (invariant I7)."""

    id: str
    status: TxStatus
    hashes: list[str]


async def open_transactions(session: AsyncSession, chain_id: int) -> list[Open]:
    """Those of a chain, lowest nonce first, without what they carry."""
    statement = (
        sa.select(Transaction.id, Transaction.status, Attempt.hash)
        .join(Attempt, Attempt.transaction_id == Transaction.id)
        .where(Transaction.chain_id == chain_id, Transaction.status.in_((TxStatus.SIGNED, TxStatus.MINED)))
        .order_by(Transaction.nonce, Attempt.id)
    )
    found: dict[str, Open] = {}
    for transaction_id, status, attempt_hash in await session.execute(statement):
        known = found.setdefault(transaction_id, Open(id=transaction_id, status=TxStatus(status), hashes=[]))
        known.hashes.append(attempt_hash)
    return list(found.values())


async def locked(session: AsyncSession, transaction_ids: Sequence[str]) -> list[Transaction]:
    """The rows but for their calldata, locked, lowest nonce first."""
    statement = sa.select(Transaction).where(Transaction.id.in_(transaction_ids)).order_by(Transaction.nonce)
    light = statement.options(defer(Transaction.calldata, raiseload=True))
    return list(await session.scalars(for_update(light, session).execution_options(populate_existing=True)))


async def attempts(session: AsyncSession, transaction_ids: Sequence[str]) -> dict[str, list[Attempt]]:
    """All attempts of each transaction, oldest first: any of them may be the one that is mined (invariant I7)."""
    found: dict[str, list[Attempt]] = {transaction_id: [] for transaction_id in transaction_ids}
    statement = sa.select(Attempt).where(Attempt.transaction_id.in_(transaction_ids)).order_by(Attempt.id)
    for attempt in await session.scalars(statement):
        found[attempt.transaction_id].append(attempt)
    return found


async def carried(session: AsyncSession, transaction_ids: Sequence[str]) -> list[TransactionClaim]:
    """The claims of these transactions that are not settled yet."""
    statement = (
        sa.select(TransactionClaim)
        .where(TransactionClaim.transaction_id.in_(transaction_ids), TransactionClaim.resolved_at.is_(None))
        .order_by(TransactionClaim.transaction_id, TransactionClaim.claim_id)
    )
    return list(await session.scalars(statement))
