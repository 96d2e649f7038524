"""The loop that drives one lane: claims go out, what is unmined is looked after, and a lease is kept for both."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from issuer.chain.lanes import LaneKeeper
from issuer.chain.upkeep import Upkeep
from issuer.claims.work import ClaimWorker
from issuer.errors import ClaimwrightError
from issuer.loops import LONGEST_PAUSE_SECONDS, attempt, wait

IDLE_SECONDS = 1.0  # between looks at the lease: how late a spare process takes over, beside the lease's end
UNRUNG_SECONDS = 5.0  # between looks at the tables when nobody rings: a ring can be lost, and claims come due by time
BUSY_SECONDS = 0.25  # the same, while something is unmined and others gather behind it
APART_SECONDS = 0.02  # from pump to pump while claims gather: each of a hundred approvals a second rings


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
        self._holds = False
        self._unrung_until = 0.0
        self._pumped_at = 0.0

    def wake(self) -> None:
        self._work.set()

    async def run(self, until_right: Callable[[], Awaitable[None]]) -> None:
        """Pump whenever there is something to sign, until `stop`; then let the lane go."""
        await until_right()
        pause = 0.0
        try:
            while not self._stop.is_set():
                await wait(pause, self._work, self._stop)
                if self._busy:
                    await asyncio.sleep(max(0.0, self._pumped_at + APART_SECONDS - asyncio.get_running_loop().time()))
                rung = self._work.is_set()
                self._work.clear()
                fine = await attempt(self.pump if rung else self.look, "pump", self.lane.chain_id)
                usual = BUSY_SECONDS if self._busy else IDLE_SECONDS
                pause = usual if fine else min(max(pause, BUSY_SECONDS) * 2, LONGEST_PAUSE_SECONDS)
        finally:
            try:
                with contextlib.suppress(ClaimwrightError):
                    await self._claims.aclose()
            finally:
                with contextlib.suppress(ClaimwrightError):
                    await self.lane.release()

    async def look(self) -> None:
        """Keep the lane or take it; `pump` if it was just taken, if something is on its way, or if it is time."""
        held, self._holds = self._holds, await self.lane.ensure()
        if self._holds and (not held or self._busy or asyncio.get_running_loop().time() >= self._unrung_until):
            await self.pump()

    async def pump(self) -> None:
        self._holds = await self.lane.ensure()
        if not self._holds:
            return
        self._unrung_until = asyncio.get_running_loop().time() + UNRUNG_SECONDS
        in_flight = await self.lane.in_flight()
        self._busy = in_flight.count > 0
        if self._busy:
            self._sent.set()
        await self._upkeep.tend(now=in_flight.wanted > 0)
        # A long backlog outlives the lease that it was begun with, and may not outlive the process's end.
        while not self._stop.is_set() and await self.lane.ensure() and await self._claims.pump():
            self._busy = True
            self._sent.set()
        self._pumped_at = asyncio.get_running_loop().time()
