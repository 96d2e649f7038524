"""Every query on stops. Nothing here commits.

`standing(..., committing=True)` and `stop` exclude each other on PostgreSQL, as all writers do on SQLite: once a stop
is committed, no transaction that looked before it can still issue.
"""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from issuer.errors import Conflict, NotFound
from issuer.ids import new_id
from issuer.stops.tables import Lift, Stop

_LOCK = 0x434C5354  # an advisory lock of our own on PostgreSQL: "CLST"


async def stop(session: AsyncSession, *, chain_id: int | None, reason: str, actor: str, at: datetime) -> Stop:
    """From the commit on, nothing is issued on this chain, or on any. `reason`: up to 200 characters."""
    await _lock(session, "pg_advisory_xact_lock")
    row = Stop(id=new_id("stop"), chain_id=chain_id, reason=reason, actor=actor, at=at)
    session.add(row)
    return row


async def lift(session: AsyncSession, stop_id: str, *, reason: str, actor: str, at: datetime) -> Lift:
    """Raises `NotFound`, `Conflict` if it was lifted before."""
    if await session.get(Stop, stop_id) is None:
        raise NotFound("no such stop; `claimwright stop list` shows them")
    before = await session.get(Lift, stop_id)
    if before is not None:
        raise Conflict(f"was lifted before, by {before.actor}")
    row = Lift(stop_id=stop_id, reason=reason, actor=actor, at=at)
    session.add(row)
    return row


async def standing(
    session: AsyncSession, chain_ids: Sequence[int] | None = None, *, committing: bool = False
) -> list[Stop]:
    """What stops issuing on any of these chains (None: on any at all), oldest first.

    `committing`: asked in the transaction that issues, which a stop then waits for, or goes before.
    """
    if committing:
        await _lock(session, "pg_advisory_xact_lock_shared")
    lifted = sa.exists().where(Lift.stop_id == Stop.id)
    statement = sa.select(Stop).where(~lifted).order_by(Stop.id)
    if chain_ids is not None:
        statement = statement.where(sa.or_(Stop.chain_id.is_(None), Stop.chain_id.in_(chain_ids)))
    return list(await session.scalars(statement))


async def newest(session: AsyncSession, limit: int) -> list[tuple[Stop, Lift | None]]:
    """Newest first, each with what lifted it."""
    statement = sa.select(Stop, Lift).outerjoin(Lift, Lift.stop_id == Stop.id).order_by(Stop.id.desc()).limit(limit)
    return [(row, lifted) for row, lifted in await session.execute(statement)]


async def _lock(session: AsyncSession, function: str) -> None:
    """A statement of its own: what comes after it sees what was committed while it waited."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(sa.text(f"SELECT {function}({_LOCK})"))
