"""Every query of the chain room. Nothing here commits, and every write to a lane carries its fencing token."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from issuer.bulk import among
from issuer.chain.leases import Lease
from issuer.chain.rules import OPEN, TxStatus
from issuer.chain.tables import Attempt, Chain, Lane, Transaction, TransactionClaim
from issuer.chain.wire import Head
from issuer.db import for_update, store_time
from issuer.errors import LaneLost, WrongChain
from issuer.ids import new_id


async def remember_chain(session: AsyncSession, chain_id: int, genesis_hash: str, now: datetime) -> None:
    """Record a chain the first time; later raise `WrongChain` if the genesis is another (invariant I14)."""
    known = sa.select(Chain.genesis_hash).where(Chain.chain_id == chain_id)
    if await session.scalar(known) is None:
        await _add_once(session, Chain, chain_id=chain_id, genesis_hash=genesis_hash, recorded_at=now)
    if await session.scalar(known) != genesis_hash:
        raise WrongChain(f"chain {chain_id} has another genesis block than the one this database was used with")


async def note_head(session: AsyncSession, chain_id: int, head: Head, at: datetime) -> None:
    """The newest block that was looked at, so that another process, or the next, knows a slow node by it."""
    newest = {"head_number": head.number, "head_hash": head.hash, "head_at": at}
    await session.execute(sa.update(Chain).where(Chain.chain_id == chain_id).values(newest))


async def lane_of(session: AsyncSession, chain_id: int, sender: str) -> Lane | None:
    lane: Lane | None = await session.scalar(sa.select(Lane).where(Lane.chain_id == chain_id, Lane.sender == sender))
    return lane


async def lanes(session: AsyncSession) -> list[Lane]:
    return list(await session.scalars(sa.select(Lane).order_by(Lane.id)))


async def make_lane(session: AsyncSession, chain_id: int, sender: str, next_nonce: int) -> Lane:
    """The sender's lane, whichever of several daemons that start at once makes it."""
    await _add_once(session, Lane, id=new_id("lane"), chain_id=chain_id, sender=sender, next_nonce=next_nonce)
    lane = await lane_of(session, chain_id, sender)
    assert lane is not None  # ours or another's
    return lane


async def _add_once(session: AsyncSession, table: type[Chain] | type[Lane], **values: object) -> None:
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    await session.execute(insert(table).values(**values).on_conflict_do_nothing())


async def take_nonces(session: AsyncSession, lease: Lease, nonce: int, count: int) -> None:
    """Use up exactly `count` nonces from this one, if it is the next and the lease still stands. Raises `LaneLost`."""
    now = await store_time(session)
    taken = await session.scalar(
        sa.update(Lane)
        .where(lease.row(), Lane.next_nonce == nonce, Lane.leased_until >= now, Lane.paused_by.is_(None))
        .values(next_nonce=nonce + count)
        .returning(Lane.next_nonce)
    )
    if taken is None:
        raise LaneLost("the lane's lease, nonce or pause changed; nothing was sent")


_LIGHT = defer(Transaction.calldata, raiseload=True)  # by the hundred; asking for it is an error
_LIGHT_ATTEMPT = defer(Attempt.raw, raiseload=True)


async def transactions(session: AsyncSession, lane_id: str, *statuses: TxStatus) -> list[Transaction]:
    """The rows but for their calldata, lowest nonce first."""
    statement = (
        sa.select(Transaction)
        .where(Transaction.lane_id == lane_id, Transaction.status.in_(statuses))
        .order_by(Transaction.nonce)
        .options(_LIGHT)
    )
    return list(await session.scalars(statement))


async def spent_gwei(session: AsyncSession, lane_id: str, since: datetime) -> int:
    """What the lane's mined transactions cost that were signed since then."""
    paid = sa.select(sa.func.coalesce(sa.func.sum(Transaction.fee_gwei), 0))
    return int(await session.scalar(paid.where(Transaction.lane_id == lane_id, Transaction.created_at >= since)) or 0)


class InFlight(msgspec.Struct, frozen=True, kw_only=True):
    """What of a lane is signed and not mined: how many transactions, their gas limits together, when the newest was.

    `max_fee` is the highest that any of their attempts offers per gas, in wei; `wanted` counts those of which a person
    wants something.
    """

    count: int
    gas: int
    max_fee: int
    wanted: int
    newest_at: datetime | None

    @property
    def cost(self) -> int:
        """In wei, the most that all of them can still cost."""
        return self.gas * self.max_fee


async def in_flight(session: AsyncSession, lane_id: str) -> InFlight:
    """Without reading the transactions themselves, which are large."""
    unmined = (Transaction.lane_id == lane_id, Transaction.status == TxStatus.SIGNED)
    statement = sa.select(
        sa.func.count(),
        sa.func.coalesce(sa.func.sum(Transaction.gas_limit), 0),
        sa.func.count(Transaction.wanted),
        sa.func.max(Transaction.created_at),
    ).where(*unmined)
    count, gas, wanted, newest_at = (await session.execute(statement)).one()
    fees = sa.select(sa.func.max(Attempt.max_fee_per_gas)).join(Transaction, Transaction.id == Attempt.transaction_id)
    max_fee = await session.scalar(fees.where(*unmined)) if count else 0
    return InFlight(count=count, gas=int(gas), max_fee=max_fee or 0, wanted=wanted, newest_at=newest_at)


class Open(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction that is not final, with the hashes of all its attempts: any may be mined (invariant I7).

    The block is the one that holds it by all that is known here.
    """

    id: str
    status: TxStatus
    block_number: int | None
    block_hash: str | None
    hashes: list[str]


async def open_transactions(session: AsyncSession, chain_id: int) -> list[Open]:
    """Those of a chain, lowest nonce first, without what they carry."""
    statement = (
        sa.select(Transaction.id, Transaction.status, Transaction.block_number, Transaction.block_hash, Attempt.hash)
        .join(Attempt, Attempt.transaction_id == Transaction.id)
        .where(Transaction.chain_id == chain_id, Transaction.status.in_(OPEN))
        .order_by(Transaction.nonce, Attempt.id)
    )
    found: dict[str, Open] = {}
    for transaction_id, status, number, block_hash, attempt_hash in await session.execute(statement):
        if transaction_id not in found:
            found[transaction_id] = Open(
                id=transaction_id, status=TxStatus(status), block_number=number, block_hash=block_hash, hashes=[]
            )
        found[transaction_id].hashes.append(attempt_hash)
    return list(found.values())


async def locked(session: AsyncSession, transaction_ids: Sequence[str]) -> list[Transaction]:
    """The rows but for their calldata, locked, lowest nonce first."""
    statement = sa.select(Transaction).where(among(Transaction.id, transaction_ids)).order_by(Transaction.nonce)
    light = for_update(statement.options(_LIGHT), session)
    return list(await session.scalars(light.execution_options(populate_existing=True)))


async def with_nonces(session: AsyncSession, lane_id: str, nonces: range) -> dict[int, Transaction]:
    """Those that there are, whatever became of them, without their calldata."""
    where = (Transaction.lane_id == lane_id, Transaction.nonce >= nonces.start, Transaction.nonce < nonces.stop)
    statement = sa.select(Transaction).where(*where).options(_LIGHT)
    return {row.nonce: row for row in await session.scalars(statement)}


async def attempts(session: AsyncSession, transaction_ids: Sequence[str]) -> dict[str, list[Attempt]]:
    """All attempts of each transaction, oldest first: any of them may be the one that is mined (invariant I7).

    Without their bytes, which `raw` has.
    """
    found: dict[str, list[Attempt]] = {transaction_id: [] for transaction_id in transaction_ids}
    statement = sa.select(Attempt).where(among(Attempt.transaction_id, transaction_ids)).order_by(Attempt.id)
    for attempt in await session.scalars(statement.options(_LIGHT_ATTEMPT)):
        found[attempt.transaction_id].append(attempt)
    return found


async def raw(session: AsyncSession, attempts: Sequence[Attempt]) -> list[bytes]:
    """What goes on the wire for each, in order."""
    statement = sa.select(Attempt.id, Attempt.raw).where(among(Attempt.id, [attempt.id for attempt in attempts]))
    found = {row.id: row.raw for row in await session.execute(statement)}
    return [found[attempt.id] for attempt in attempts]


async def calldata(session: AsyncSession, transaction_id: str) -> bytes:
    found = await session.scalar(sa.select(Transaction.calldata).where(Transaction.id == transaction_id))
    assert found is not None  # stored with it, and never deleted
    return found


async def carried(session: AsyncSession, transaction_ids: Sequence[str]) -> dict[str, list[str]]:
    """By transaction, the ids of its claims that are not settled yet."""
    statement = (
        sa.select(TransactionClaim.transaction_id, TransactionClaim.claim_id)
        .where(among(TransactionClaim.transaction_id, transaction_ids), TransactionClaim.resolved_at.is_(None))
        .order_by(TransactionClaim.transaction_id, TransactionClaim.claim_id)
    )
    found: dict[str, list[str]] = {}
    for transaction_id, claim_id in await session.execute(statement):
        found.setdefault(transaction_id, []).append(claim_id)
    return found


async def resolve(session: AsyncSession, transaction_ids: Sequence[str], at: datetime) -> None:
    """What these carry is settled: their claims may be carried again."""
    unresolved = (among(TransactionClaim.transaction_id, transaction_ids), TransactionClaim.resolved_at.is_(None))
    statement = sa.update(TransactionClaim).where(*unresolved).values(resolved_at=at)
    await session.execute(statement.execution_options(synchronize_session=False))  # none of these rows is loaded
