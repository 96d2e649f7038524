"""The queue on PostgreSQL, for any number of processes: PgQueuer (https://pgqueuer.readthedocs.io).

A worker that dies stops beating; its jobs go to another one after `HEARTBEAT`. A worker that was only paused may run
a job a second time, which the port allows.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it ships without types
import sqlalchemy as sa
import structlog
from pgqueuer.adapters.persistence.qb import QueryQueueBuilder
from pgqueuer.db import AsyncpgDriver
from pgqueuer.errors import FailingListenerError, RetryRequested
from pgqueuer.models import Job
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries
from sqlalchemy.ext.asyncio import AsyncSession

from issuer.db import Database
from issuer.errors import StoreBusy
from issuer.queue.handling import GRACE, Handling
from issuer.queue.port import Handler

log = structlog.get_logger(__name__)

HEARTBEAT = timedelta(seconds=6)
POLL = timedelta(seconds=2)  # when no notification comes: the jobs of the dead, and those whose back-off ended
LOG_KEPT = timedelta(hours=1)
TRIM_EVERY = 300.0
LONGEST_PAUSE = 5.0
PUT_BACK = 5.0  # seconds for cut jobs to be written back
_LOST = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what a query says of a connection that was cut in the middle of another
    FailingListenerError,
)


class PgQueuerQueue:
    def __init__(self, db: Database, *, concurrency: int = 8, heartbeat: timedelta = HEARTBEAT) -> None:
        self._db = db
        self._concurrency = concurrency
        self._heartbeat = heartbeat
        self._queries = QueryQueueBuilder()
        self._insert = self._queries.build_enqueue_query()

    async def enqueue(self, session: AsyncSession, topic: str, keys: Sequence[str]) -> None:
        # PgQueuer's own statement, but through SQLAlchemy's cursor: its driver begins a transaction only there, and
        # straight on the asyncpg connection the first statement of a session would commit by itself.
        names = list(dict.fromkeys(keys))
        if names:
            count = len(names)
            values: tuple[list[Any], ...] = (
                [0] * count,
                [topic] * count,
                [name.encode() for name in names],
                [timedelta()] * count,
                [None] * count,
                ["null"] * count,
            )
            connection = await session.connection()
            await connection.exec_driver_sql(self._insert, values)

    async def waiting(self, session: AsyncSession) -> Mapping[str, int]:
        count = f"SELECT entrypoint, count(*) FROM {self._queries.qualified.queue_table} GROUP BY entrypoint"  # noqa: S608
        return {topic: int(jobs) for topic, jobs in await session.execute(sa.text(count))}

    async def run(self, handlers: Mapping[str, Handler], stop: asyncio.Event) -> None:
        pause = 0.2
        handling = Handling(handlers, self._concurrency, stop)
        while not stop.is_set():
            try:
                connection = await self._connect()
                try:
                    pause = 0.2
                    await self._work(connection, handlers, handling, stop)
                finally:
                    await _close(connection)
            except _LOST as error:
                log.warning("queue_connection_lost", reason=type(error).__name__)
                await _wait(stop, pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    async def aclose(self) -> None:
        """Nothing is open between runs."""

    async def _connect(self) -> Any:  # noqa: ANN401 - asyncpg ships without types
        _, options = self._db.engine.dialect.create_connect_args(self._db.url)
        return await asyncpg.connect(**options, timeout=5, server_settings={"application_name": "claimwright-queue"})

    async def _work(
        self,
        connection: Any,  # noqa: ANN401
        handlers: Mapping[str, Handler],
        handling: Handling,
        stop: asyncio.Event,
    ) -> None:
        manager = QueueManager(Queries(AsyncpgDriver(connection)))
        for topic in handlers:
            manager.entrypoint(topic, accepts_context=False, on_failure="delete")(_entrypoint(handling))
        running = asyncio.create_task(
            manager.run(
                dequeue_timeout=POLL,
                batch_size=self._concurrency,
                # More than we run at once, so that many jobs for one name, which share a run, do not keep others out.
                max_concurrent_tasks=4 * self._concurrency,
                heartbeat_timeout=self._heartbeat,
                shutdown_on_listener_failure=True,
                log_aggregation_interval=timedelta(0),
            )
        )
        stopping = asyncio.create_task(stop.wait())
        trimming = asyncio.create_task(self._trim_forever())
        try:
            await asyncio.wait({running, stopping, trimming}, return_when=asyncio.FIRST_COMPLETED)
            manager.shutdown.set()
            await asyncio.wait({running}, timeout=GRACE)
        finally:
            stopping.cancel()
            trimming.cancel()
            # The manager ends by itself once its jobs have: cancelled in the middle of a query, it would spoil the
            # connection over which those jobs are put back.
            manager.shutdown.set()
            handling.cancel()
            await asyncio.wait({running}, timeout=PUT_BACK)
            running.cancel()
            await asyncio.wait({running, stopping, trimming})
        for task in (running, trimming):
            if not task.cancelled():
                task.result()

    async def _trim_forever(self) -> None:
        """PgQueuer's log of every job would grow for ever; it is there for a person who looks just now."""
        trim = sa.text(f"DELETE FROM {self._queries.qualified.queue_table_log} WHERE created < now() - :kept")  # noqa: S608
        while True:
            try:
                async with self._db.write() as session:
                    await session.execute(trim.bindparams(sa.bindparam("kept", LOG_KEPT, sa.Interval())))
            except StoreBusy as error:
                log.warning("queue_log_not_trimmed", reason=error.message)
            await asyncio.sleep(TRIM_EVERY)


def _entrypoint(handling: Handling) -> Callable[[Job], Awaitable[None]]:
    async def run(job: Job) -> None:
        try:
            delay = await handling.run(job.entrypoint, (job.payload or b"").decode(), job.attempts)
        except asyncio.CancelledError:
            delay = 0.0  # the process stops: PgQueuer would delete the job, the next process shall have it
        if delay is not None:
            raise RetryRequested(timedelta(seconds=delay), reason="run again") from None

    return run


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return


async def _close(connection: Any) -> None:  # noqa: ANN401
    try:
        await connection.close(timeout=5)
    except (*_LOST, TimeoutError):
        connection.terminate()
