"""A clock that tests can jump, stop and speed up, and the timers that hang on it."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

Job = Callable[[], Awaitable[None]]


class Timer:
    """A promise to run a job; `cancel` takes it back."""

    __slots__ = ("cancelled", "due", "job")

    def __init__(self, due: float, job: Job) -> None:
        self.due = due
        self.job = job
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """Simulated Unix time: ``base + elapsed * speed``. Speed 0 stops it."""

    def __init__(self) -> None:
        self._queue: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._changed = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._advancing = asyncio.Lock()
        self.reset()

    def reset(self) -> None:
        """Back to real time at speed 1, with no timer left."""
        self._queue.clear()
        self._base, self._since, self.speed = time.time(), time.monotonic(), 1.0
        self._changed.set()

    def now(self) -> float:
        """Simulated seconds since 1970."""
        return self._base + (time.monotonic() - self._since) * self.speed

    def at(self, due: float, job: Job) -> Timer:
        """Run the job once the clock has reached `due`."""
        timer = Timer(due, job)
        heapq.heappush(self._queue, (due, next(self._order), timer))
        self._changed.set()
        return timer

    def after(self, seconds: float, job: Job) -> Timer:
        return self.at(self.now() + seconds, job)

    def start(self, job: Job) -> None:
        """Run the job now, beside everything else."""

        async def run() -> None:
            await job()

        task = asyncio.get_running_loop().create_task(run())
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def set_speed(self, speed: float) -> None:
        if not 0 <= speed <= 1_000_000:
            raise ValueError("speed must be between 0 and 1000000")
        self._base, self._since, self.speed = self.now(), time.monotonic(), speed
        self._changed.set()

    async def advance_to(self, target: float) -> None:
        """Move forward to `target`, running every timer on the way at its own time.

        Each job is awaited before the clock moves on, so when this returns everything that
        was due has happened, in order. Moving backwards only changes the reading.
        """
        async with self._advancing:
            speed, self.speed = self.speed, 0.0
            self._base, self._since = self._base_at(speed), time.monotonic()
            try:
                await self.settle()
                while (timer := self._pop(target)) is not None:
                    self._base = max(self._base, timer.due)
                    await timer.job()
                    await self.settle()
                self._base = target
            finally:
                self._since, self.speed = time.monotonic(), speed
                self._changed.set()

    def _base_at(self, speed: float) -> float:
        return self._base + (time.monotonic() - self._since) * speed

    async def settle(self) -> None:
        """Wait until nothing started is still running."""
        while pending := [task for task in self._running if task is not asyncio.current_task()]:
            await asyncio.wait(pending)

    def _pop(self, until: float) -> Timer | None:
        while self._queue and self._queue[0][0] <= until:
            timer = heapq.heappop(self._queue)[2]
            if not timer.cancelled:
                return timer
        return None

    async def run(self) -> None:
        """The timer loop, for as long as the process lives."""
        while True:
            self._changed.clear()
            if not self._advancing.locked():
                while (timer := self._pop(self.now())) is not None:
                    self.start(timer.job)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), self._wait_time())

    def _wait_time(self) -> float | None:
        if not self._queue or self.speed == 0 or self._advancing.locked():
            return None
        # Capped: a day's wait would otherwise be one very long sleep across a suspended laptop.
        return min(max(self._queue[0][0] - self.now(), 0.0) / self.speed, 60.0)
