"""The queue on SQLite: one process runs jobs, any process of the host adds them.

New work is noticed by `PRAGMA data_version`, a number that changes for a connection when another one commits
(https://www.sqlite.org/pragma.html#pragma_data_version). Reading it costs microseconds and takes no lock.
"""

import asyncio
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from issuer.clock import now
from issuer.db import EPOCH, MICROSECOND, Database
from issuer.errors import SettingsError, StoreBusy
from issuer.queue.handling import GRACE, Handling
from issuer.queue.port import Handler
from issuer.queue.tables import Job

log = structlog.get_logger(__name__)

# Seconds between two looks at the data version: while there is news, and when there was none for a while.
POLL, POLL_IDLE, IDLE_AFTER = 0.02, 0.045, 2.0
IN_HAND = 256  # jobs that are claimed at once; the rest stays in the table
BUSY_PAUSE = 0.2


class EmbeddedQueue:
    """Jobs in the table `jobs`. Exactly one process may `run` it; `issuer.rolelock` sees to that."""

    def __init__(self, db: Database, *, concurrency: int = 8) -> None:
        if not db.url.database or db.url.database == ":memory:":
            raise SettingsError("DATABASE_URL", "must name a file: other processes add jobs to it")
        self._db = db
        self._concurrency = concurrency

    async def enqueue(self, session: AsyncSession, topic: str, keys: Sequence[str]) -> None:
        if keys:
            due = now()
            rows = [{"topic": topic, "key": key, "due_at": due} for key in dict.fromkeys(keys)]
            await session.execute(sa.insert(Job), rows)

    async def waiting(self, session: AsyncSession) -> Mapping[str, int]:
        rows = await session.execute(sa.select(Job.topic, sa.func.count()).group_by(Job.topic))
        return {topic: int(jobs) for topic, jobs in rows}

    async def run(self, handlers: Mapping[str, Handler], stop: asyncio.Event) -> None:
        work = _Work(self._db, handlers, Handling(handlers, self._concurrency, stop))
        watch = _Watch(str(self._db.url.database), list(handlers))
        settling = asyncio.create_task(work.settle_forever())
        try:
            await work.free_all()
            while not stop.is_set():
                seen, due = watch.version(), watch.next_due()
                free = IN_HAND - len(work.in_hand)
                if free and due is not None and due <= now():
                    await work.take(free)
                elif free:
                    await _until_news(watch, seen, due, stop)
                else:
                    await asyncio.sleep(POLL)  # until one of ours has ended and is written off
            await work.finish(GRACE)
        finally:
            await work.cancel()
            settling.cancel()
            await asyncio.wait({settling})
            watch.close()
        try:
            await work.settle()
        except StoreBusy as error:  # those jobs run once more, at the next start
            log.warning("queue_not_settled", reason=error.message)

    async def aclose(self) -> None:
        """Nothing is open between runs."""


async def _until_news(watch: "_Watch", seen: int, due: datetime | None, stop: asyncio.Event) -> None:
    """Return when someone committed, `due` has come, or the process is to stop."""
    clock = asyncio.get_running_loop().time
    idle_at = clock() + IDLE_AFTER
    # No event could tell us: what we wait for happens in other processes.
    while not stop.is_set() and watch.version() == seen and (due is None or now() < due):  # noqa: ASYNC110
        await asyncio.sleep(POLL if clock() < idle_at else POLL_IDLE)


class _Watch:
    """A connection that only looks. Its calls return at once, so they need no thread."""

    def __init__(self, path: str, topics: list[str]) -> None:
        self._connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        self._connection.execute("PRAGMA query_only=ON")
        self._topics = topics
        marks = ", ".join("?" * len(topics))
        self._next_due = f"SELECT min(due_at) FROM jobs WHERE claimed_at IS NULL AND topic IN ({marks})"  # noqa: S608
        self._last = 0

    def version(self) -> int:
        """Different from the last answer if anyone has committed since."""
        try:
            (self._last,) = self._connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.OperationalError:  # locked for a moment, by a recovery for instance
            self._last -= 1
        return self._last

    def next_due(self) -> datetime | None:
        """When the first free job is due; None if there is none."""
        try:
            (due,) = self._connection.execute(self._next_due, self._topics).fetchone()
        except sqlite3.OperationalError:
            return now()
        return None if due is None else EPOCH + due * MICROSECOND

    def close(self) -> None:
        self._connection.close()


class _Claimed(NamedTuple):
    id: int
    topic: str
    key: str
    attempts: int


@dataclass
class _Outcomes:
    """What became of jobs and is not yet in the table."""

    done: list[int]
    again: list[tuple[int, float]]


class _Work:
    """The jobs in hand, and what must be written about those that ended."""

    def __init__(self, db: Database, handlers: Mapping[str, Handler], handling: Handling) -> None:
        self._db = db
        self._topics = list(handlers)
        self._handling = handling
        self._outcomes = _Outcomes([], [])
        self._news = asyncio.Event()
        self.in_hand: dict[int, asyncio.Task[None]] = {}

    async def free_all(self) -> None:
        """Nobody else runs jobs, so whatever is claimed belongs to a process that is gone."""
        while True:
            try:
                async with self._db.write() as session:
                    await session.execute(sa.update(Job).where(Job.claimed_at.is_not(None)).values(claimed_at=None))
                return
            except StoreBusy:
                await asyncio.sleep(BUSY_PAUSE)

    async def take(self, limit: int) -> None:
        """Claim jobs that are due, the longest waiting first, and start them."""
        time = now()
        due = (
            sa.select(Job.id)
            .where(Job.claimed_at.is_(None), Job.due_at <= time, Job.topic.in_(self._topics))
            .order_by(Job.due_at, Job.id)
            .limit(limit)
        )
        claim = (
            sa.update(Job)
            .where(Job.id.in_(due.scalar_subquery()))
            .values(claimed_at=time)
            .returning(Job.id, Job.topic, Job.key, Job.attempts)
        )
        try:
            async with self._db.write() as session:
                claimed = [_Claimed(*row) for row in await session.execute(claim)]
        except StoreBusy:
            await asyncio.sleep(BUSY_PAUSE)
            return
        for job in sorted(claimed):
            self.in_hand[job.id] = asyncio.create_task(self._run(job))

    async def _run(self, job: _Claimed) -> None:
        try:
            delay = await self._handling.run(job.topic, job.key, job.attempts)
        except asyncio.CancelledError:  # stays claimed, and is free again at the next start
            self.in_hand.pop(job.id, None)
            raise
        if delay is None:
            self._outcomes.done.append(job.id)
        else:
            self._outcomes.again.append((job.id, delay))
        self._news.set()

    async def settle_forever(self) -> None:
        while True:
            await self._news.wait()
            try:
                await self.settle()
            except StoreBusy as error:
                log.warning("queue_not_settled", reason=error.message)
                await asyncio.sleep(BUSY_PAUSE)

    async def settle(self) -> None:
        """Write what became of the jobs that ended, all in one transaction. Raises `StoreBusy`; then it is kept."""
        self._news.clear()
        outcomes, self._outcomes = self._outcomes, _Outcomes([], [])
        try:
            await self._write(outcomes)
        except BaseException:
            self._outcomes.done += outcomes.done
            self._outcomes.again += outcomes.again
            self._news.set()
            raise
        for job_id in (*outcomes.done, *(job_id for job_id, _ in outcomes.again)):
            self.in_hand.pop(job_id, None)

    async def _write(self, outcomes: _Outcomes) -> None:
        if not (outcomes.done or outcomes.again):
            return
        time = now()
        async with self._db.write() as session:
            if outcomes.done:
                await session.execute(sa.delete(Job).where(Job.id.in_(outcomes.done)))
            for job_id, delay in outcomes.again:
                later = {"claimed_at": None, "due_at": time + timedelta(seconds=delay), "attempts": Job.attempts + 1}
                await session.execute(sa.update(Job).where(Job.id == job_id).values(later))

    async def finish(self, grace: float) -> None:
        """Wait for running handlers; jobs that have not begun see that the process stops."""
        await _ended(self.in_hand.values(), grace)

    async def cancel(self) -> None:
        tasks = [task for task in self.in_hand.values() if not task.done()]
        for task in tasks:
            task.cancel()
        await _ended(tasks, None)


async def _ended(tasks: Iterable[asyncio.Task[None]], grace: float | None) -> None:
    waited = set(tasks)
    if waited:
        await asyncio.wait(waited, timeout=grace)
