"""The next waves of a lane, made ready while the one before is committed: what is asked and what is written overlap."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic

from issuer.claims.preflight import Ready
from issuer.errors import ClaimwrightError

WAVES = 2  # so many at most, or a node that is busy with a block leaves nothing to commit
READY_SECONDS = 5.0  # how long ago a preflight may have been; a claim's own time of issue is the preflight's

# Makes so many claims ready at most, others than those of the waves that are on their way.
Make = Callable[[int, Sequence[Ready]], Awaitable[Ready | None]]


class Ahead:
    """Nothing of it is stored or sent, signatures neither: what is dropped leaves nothing behind."""

    def __init__(self, make: Make, *, clock: Callable[[], float] = monotonic) -> None:
        self._make = make
        self._clock = clock
        self._limit = 0  # of the newest call, however long making goes on
        self._leaving: Ready | None = None  # taken, and not committed yet for all that is known here
        self._made: deque[Ready] = deque()
        self._making: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    async def next(self, limit: int) -> Ready | None:
        """The next wave, made before or now; others are made behind it if more was waiting.

        To be called when the wave before is committed. Raises what making raises.
        """
        self._leaving, self._limit = None, limit
        ready = await self._made_before() or await self._make(limit, ())
        self._leaving = ready
        last = self._made[-1] if self._made else ready
        if last is not None and last.more and (self._making is None or self._making.done()):
            self._making = asyncio.create_task(self._make_more())
        return ready

    async def drop(self) -> None:
        """Forget what was made: the wave before it did not leave."""
        if self._making is not None:
            self._making.cancel()
            await asyncio.gather(self._making, return_exceptions=True)  # what it met on its way out is nobody's news
        self._making = self._leaving = None
        self._made.clear()

    async def _made_before(self) -> Ready | None:
        while True:
            while self._made:
                ready = self._made.popleft()
                if self._clock() - ready.at < READY_SECONDS:
                    return ready
            if self._making is None:
                return None
            self._news.clear()
            if not self._making.done():
                await self._news.wait()
            if self._making.done():
                making, self._making = self._making, None
                await making

    async def _make_more(self) -> None:
        """What fails here fails again in the open when it is made anew."""
        try:
            with contextlib.suppress(ClaimwrightError):
                while len(self._made) < WAVES:
                    beside = [wave for wave in (self._leaving, *self._made) if wave is not None]
                    ready = await self._make(self._limit, beside)
                    if ready is None:
                        return
                    self._made.append(ready)
                    self._news.set()
                    if not ready.more:
                        return
        finally:
            self._news.set()
