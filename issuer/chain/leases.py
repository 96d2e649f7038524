"""The right to act on a row until somebody else's token is higher: what a lane's owner and a chain's watcher hold.

A lease is measured by the database's clock, which all replicas share. Its token fences: a process that was paused past
its lease, and does not know it, carries an older token, and every write that names it changes nothing.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from issuer.chain.tables import Chain, Lane
from issuer.db import Database, store_time
from issuer.errors import LaneLost
from issuer.ids import new_id

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=5)
LEASE_ALONE = timedelta(seconds=60)  # where the role lock leaves nobody to take over: each renewal is a write to disk


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """`table` is `Lane` or `Chain`, `key` the row's primary key, `alone` as `acquire` has it."""

    table: type[Lane] | type[Chain]
    key: str | int
    owner: str
    token: int
    alone: bool = False

    def row(self) -> sa.ColumnElement[bool]:
        """The row, if the lease is still the newest."""
        return sa.and_(_key(self.table) == self.key, self.table.token == self.token)


async def free(session: AsyncSession, table: type[Lane] | type[Chain], key: str | int, *, alone: bool) -> bool:
    """Could it be taken now? `alone`: see `acquire`."""
    return bool(
        await session.scalar(sa.select(sa.exists().where(_key(table) == key, await _free(session, table, alone))))
    )


async def acquire(
    session: AsyncSession, table: type[Lane] | type[Chain], key: str | int, owner: str, *, alone: bool = False
) -> Lease | None:
    """Take what is free or whose lease ran out. None: somebody else holds it.

    `alone`: the caller is the only daemon there can be (SQLite's role lock), so a lease left over is a dead one's.
    """
    until = await store_time(session) + _length(alone)
    token = await session.scalar(
        sa.update(table)
        .where(_key(table) == key, await _free(session, table, alone))
        .values(owner=owner, leased_until=until, token=table.token + 1)
        .returning(table.token)
    )
    return None if token is None else Lease(table=table, key=key, owner=owner, token=token, alone=alone)


async def renew(session: AsyncSession, lease: Lease) -> None:
    """Raises `LaneLost` for a lease that ran out: whoever takes the row anew looks at the chain first."""
    now = await store_time(session)
    await fenced(session, lease, lease.table.leased_until >= now, leased_until=now + _length(lease.alone))


async def release(session: AsyncSession, lease: Lease) -> None:
    await fenced(session, lease, leased_until=None, owner=None)


async def fenced(session: AsyncSession, lease: Lease, *more: sa.ColumnElement[bool], **values: Any) -> None:  # noqa: ANN401
    """Change the leased row. Raises `LaneLost` when another process has taken it, or `more` does not hold."""
    changed = await session.scalar(
        sa.update(lease.table).where(lease.row(), *more).values(**values).returning(lease.table.token)
    )
    if changed is None:
        raise LaneLost("another process took over, or the lease ran out")


def _length(alone: bool) -> timedelta:
    return LEASE_ALONE if alone else LEASE


def _key(table: type[Lane] | type[Chain]) -> InstrumentedAttribute[Any]:
    return Lane.id if table is Lane else Chain.chain_id


async def _free(session: AsyncSession, table: type[Lane] | type[Chain], alone: bool) -> sa.ColumnElement[bool]:
    if alone:
        return sa.true()
    return sa.or_(table.leased_until.is_(None), table.leased_until < await store_time(session))


class LeaseKeeper:
    """Holds one lease for as long as it is asked to. `take` acquires it, or gives None while another process has it."""

    def __init__(self, db: Database, take: Callable[[str], Awaitable[Lease | None]]) -> None:
        self._db = db
        self._take = take
        self._owner = f"{socket.gethostname()[:32]}-{os.getpid()}-{new_id('own')[-8:]}"
        self._lease: Lease | None = None
        self._renew_at = 0.0

    async def ensure(self) -> bool:
        """Hold it: take it, or renew it well before it runs out. False while another process has it."""
        time = asyncio.get_running_loop().time()
        if self._lease is not None and time < self._renew_at:
            return True
        if self._lease is not None:
            try:
                async with self._db.write() as session:
                    await renew(session, self._lease)
            except LaneLost:
                log.warning("lease_lost", result=self._lease.table.__tablename__)
                self._lease = None  # taken again below if it is still free, with all that comes with it
        if self._lease is None:
            self._lease = await self._take(self._owner)
        self._renew_at = time + self._third()
        return self._lease is not None

    async def renew(self) -> None:
        """Keep what is held through a step that takes longer than a lease. What is lost shows at that step's write."""
        lease = self._lease
        time = asyncio.get_running_loop().time()
        if lease is None or time < self._renew_at:
            return
        with contextlib.suppress(LaneLost):
            async with self._db.write() as session:
                await renew(session, lease)
            if self._lease is lease:
                self._renew_at = time + self._third()

    def _third(self) -> float:
        return _length(self._lease is not None and self._lease.alone).total_seconds() / 3

    async def release(self) -> None:
        """Let the next process start at once."""
        if self._lease is not None:
            lease, self._lease = self._lease, None
            async with self._db.write() as session:
                await release(session, lease)

    @property
    def is_held(self) -> bool:
        return self._lease is not None

    def held(self) -> Lease:
        """Raises `LaneLost` when it is not."""
        if self._lease is None:
            raise LaneLost("the lease is not held")
        return self._lease
