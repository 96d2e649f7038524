"""The inbox's one writer per process: events by group commit, refusals when there is time."""

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from issuer import metrics
from issuer.db import Database
from issuer.errors import ClaimwrightError
from issuer.inbox import store
from issuer.inbox.groupcommit import GroupCommit
from issuer.log import get_logger
from issuer.providers.protocol import Event
from issuer.queue.port import INBOX, Queue

REFUSALS_PER_FLUSH = 100
SECONDS_BETWEEN_FLUSHES = 0.5


class InboxWriter:
    """`receive` returns after the commit; `refuse` never waits and keeps a bounded amount in memory.

    A flood of forgeries costs one small transaction each half second: its rows are the newest hundred of that time,
    its count is complete.
    """

    def __init__(self, db: Database, queue: Queue) -> None:
        self._db = db
        self._queue = queue
        self._events: GroupCommit[store.EventRow] = GroupCommit(self._write)
        self._refused: deque[store.Row] = deque(maxlen=REFUSALS_PER_FLUSH)
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._any_refused = asyncio.Event()
        self._refusals: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._events.start()
        self._refusals = asyncio.get_running_loop().create_task(self._write_refusals())

    async def receive(self, provider: str, environment: str, event: Event, *, body: bytes, at: datetime) -> None:
        """Keep one event, with a job for the daemon if it is new. Raises `StoreBusy` if the store cannot take it."""
        await self._events.put(store.row_of(provider, environment, event, body=body, at=at))

    def refuse(self, provider: str, environment: str, reason: str, *, body_hash: str, at: datetime) -> None:
        """`reason` is one of a closed list; nothing of the delivery but its hash is kept."""
        metrics.WEBHOOKS.labels(provider, reason).inc()
        self._counts[provider, environment, reason] += 1
        self._refused.append(
            {
                "tenant_id": "default",
                "at": at,
                "provider": provider,
                "environment": environment,
                "reason": reason,
                "body_hash": body_hash,
            }
        )
        self._any_refused.set()

    async def aclose(self) -> None:
        """Write what waits, then end."""
        await self._events.aclose()
        if self._refusals is not None:
            self._refusals.cancel()
            with suppress(asyncio.CancelledError):
                await self._refusals
        with suppress(ClaimwrightError):
            await self._flush_refusals()

    async def _write(self, rows: Sequence[store.EventRow]) -> None:
        async with self._db.write() as session:
            new = await store.add_events(session, rows)
            if new:
                await self._queue.enqueue(session, INBOX, new)
        fresh = set(new)
        for row in rows:
            result = "accepted" if row[store.ID] in fresh else "duplicate"
            metrics.WEBHOOKS.labels(row[store.PROVIDER], result).inc()

    async def _write_refusals(self) -> None:
        while True:
            await self._any_refused.wait()
            self._any_refused.clear()
            try:
                await self._flush_refusals()
            except Exception as error:  # refusals are best effort; the task must outlive any of them
                get_logger().warning("refusals_not_written", error=error)
            await asyncio.sleep(SECONDS_BETWEEN_FLUSHES)

    async def _flush_refusals(self) -> None:
        rows, counts = list(self._refused), self._counts.copy()
        if not counts:
            return
        self._refused.clear()
        self._counts.clear()
        try:
            async with self._db.write() as session:
                await store.add_refusals(session, rows, counts)
        except BaseException:
            self._counts.update(counts)  # the count stays complete; the rows of this round are given up
            raise
