"""Many callers, one writer, one commit for all who came meanwhile.

A commit costs the same for one row as for hundreds, and on SQLite two writers only wait for each other. So each
caller hands over its item and sleeps; the writer takes what is there, writes it in one transaction, and wakes them.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from issuer.errors import ClaimwrightError, StoreBusy

T = TypeVar("T")

MOST_PER_COMMIT = 256
MOST_WAITING = 4096


class GroupCommit(Generic[T]):
    """`write` commits a batch or raises. Start it inside the event loop that will use it."""

    def __init__(
        self,
        write: Callable[[Sequence[T]], Awaitable[None]],
        *,
        most_per_commit: int = MOST_PER_COMMIT,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._write = write
        self._most = most_per_commit
        self._room = most_waiting
        self._waiting: deque[tuple[T, asyncio.Future[None]]] = deque()
        self._work = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def put(self, item: T) -> None:
        """Returns once the item is committed. Raises what its write raised, `StoreBusy` if too many wait already."""
        if self._closing or self._task is None or self._task.done() or len(self._waiting) >= self._room:
            raise StoreBusy("too many writes are waiting")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        self._work.set()
        await done

    async def aclose(self) -> None:
        """Write what waits, then end."""
        self._closing = True
        self._work.set()
        if self._task is not None:
            with suppress(asyncio.CancelledError):
                await self._task
        for _, done in self._waiting:
            _fail(done, StoreBusy("the writer has ended"))
        self._waiting.clear()

    async def _run(self) -> None:
        while True:
            while self._waiting:
                count = min(self._most, len(self._waiting))
                await self._commit([self._waiting.popleft() for _ in range(count)])
            if self._closing:
                return
            self._work.clear()
            await self._work.wait()

    async def _commit(self, batch: Sequence[tuple[T, asyncio.Future[None]]]) -> None:
        """One bad item must not fail the others: a batch that cannot be written is halved until it is found."""
        try:
            await self._write([item for item, _ in batch])
        except Exception as error:
            waiting_helps = isinstance(error, ClaimwrightError) and error.transient
            if len(batch) > 1 and not waiting_helps:
                middle = len(batch) // 2
                await self._commit(batch[:middle])
                await self._commit(batch[middle:])
                return
            for _, done in batch:
                _fail(done, error)
            return
        except BaseException:
            for _, done in batch:
                _fail(done, StoreBusy("the writer was stopped"))
            raise
        for _, done in batch:
            if not done.done():  # a caller that gave up has cancelled it
                done.set_result(None)


def _fail(done: asyncio.Future[None], error: BaseException) -> None:
    if not done.done():
        done.set_exception(error)
