"""The loop that drives one lane: claims go out, what is unmined is looked after, and a lease is kept for both."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from issuer.chain.lanes import LaneKeeper
from issuer.chain.upkeep import Upkeep
from issuer.claims.work import ClaimWorker
from issuer.errors import ClaimwrightError
from issuer.loops import LONGEST_PAUSE_SECONDS, attempt, wait

IDLE_SECONDS = 1.0  # between looks when nobody rings: how late a spare process takes over, beside the lease's end
BUSY_SECONDS = 0.25  # the same, while something is unmined and others gather behind it


class LaneLoop:
    """`sent` is set whenever there is something for the watcher to look for."""

    def __init__(
        self, lane: LaneKeeper, upkeep: Upkeep, claims: ClaimWorker, *, sent: asyncio.Event, stop: asyncio.Event
    ) -> None:
        self.lane = lane
        self._upkeep = upkeep
        self._claims = claims
        self._sent = sent
        self._stop = stop
        self._work = asyncio.Event()
        self._busy = False

    def wake(self) -> None:
        self._work.set()

    async def run(self, until_right: Callable[[], Awaitable[None]]) -> None:
        """Pump whenever there is something to sign, until `stop`; then let the lane go."""
        await until_right()
        pause = 0.0
        try:
            while not self._stop.is_set():
                await wait(pause, self._work, self._stop)
                self._work.clear()
                fine = await attempt(self.pump, "pump", self.lane.chain_id)
                usual = BUSY_SECONDS if self._busy else IDLE_SECONDS
                pause = usual if fine else min(max(pause, BUSY_SECONDS) * 2, LONGEST_PAUSE_SECONDS)
        finally:
            with contextlib.suppress(ClaimwrightError):
                await self.lane.release()

    async def pump(self) -> None:
        if not await self.lane.ensure():
            return
        in_flight = await self.lane.in_flight()
        self._busy = in_flight.count > 0
        if self._busy:
            self._sent.set()
        await self._upkeep.tend(now=in_flight.wanted > 0)
        # A long backlog outlives the lease that it was begun with, and may not outlive the process's end.
        while not self._stop.is_set() and await self.lane.ensure() and await self._claims.pump():
            self._busy = True
            self._sent.set()
