"""While a wave is committed the next are made, two at most; what fails, grows old or is dropped is made anew."""

import asyncio
from collections.abc import Sequence

import pytest

from issuer.claims.ahead import READY_SECONDS, WAVES, Ahead
from issuer.claims.preflight import Ready
from issuer.errors import NodeUnavailable

LIMIT = 10


class Backlog:
    """So many waves, each known by when it was made; what was asked of it is noted."""

    def __init__(self, waves: int) -> None:
        self.left = waves
        self.now = 0.0
        self.beside: list[list[float]] = []
        self.limits: list[int] = []
        self.failure: Exception | None = None
        self.hangs = asyncio.Event()
        self.hangs.set()
        self.cancelled = 0
        self.ahead = Ahead(self.make, clock=lambda: self.now)

    async def make(self, limit: int, beside: Sequence[Ready]) -> Ready | None:
        self.limits.append(limit)
        self.beside.append([wave.at for wave in beside])
        try:
            await self.hangs.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failure is not None:
            raise self.failure
        if self.left == 0:
            return None
        self.left -= 1
        self.now += 0.001
        return Ready(at=self.now, more=self.left > 0)

    async def next(self) -> float | None:
        """Take one, and let those behind it be made."""
        ready = await self.ahead.next(LIMIT)
        await settled()
        return None if ready is None else ready.at


async def settled() -> None:
    """Whatever can go on without a clock or another process has gone on."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_every_wave_but_the_first_is_made_behind_another_in_order() -> None:
    backlog = Backlog(9)
    taken = [await backlog.next() for _ in range(9)]
    assert taken == sorted(taken, key=lambda at: at or 0.0)
    assert len(set(taken)) == 9
    assert [beside == [] for beside in backlog.beside] == [True] + [False] * 8
    assert await backlog.next() is None


async def test_two_at_most_are_made_and_know_those_before_them() -> None:
    backlog = Backlog(9)
    first = await backlog.next()
    assert backlog.left == 9 - 1 - WAVES
    assert backlog.beside == [[], [first], [first, 0.002]]
    second = await backlog.next()
    assert second == 0.002
    assert backlog.beside[3] == [0.002, 0.003]


async def test_waves_that_are_made_ahead_keep_to_the_newest_limit() -> None:
    backlog = Backlog(9)
    for limit in (LIMIT, 2 * LIMIT, 3 * LIMIT):
        await backlog.ahead.next(limit)
        await settled()
    assert backlog.limits == [LIMIT] * 3 + [2 * LIMIT, 3 * LIMIT]


async def test_nothing_is_made_behind_the_last() -> None:
    backlog = Backlog(1)
    await backlog.next()
    assert backlog.beside == [[]]


async def test_a_wave_that_is_being_made_is_waited_for() -> None:
    backlog = Backlog(2)
    await backlog.ahead.next(LIMIT)
    backlog.hangs.clear()
    await settled()
    waiting = asyncio.create_task(backlog.ahead.next(LIMIT))
    await settled()
    assert not waiting.done()
    backlog.hangs.set()
    ready = await waiting
    assert ready is not None
    assert len(backlog.beside) == 2  # not made twice


async def test_what_was_made_long_ago_is_made_anew() -> None:
    backlog = Backlog(9)
    await backlog.next()
    backlog.now += READY_SECONDS - 0.01
    assert await backlog.next() == 0.002
    backlog.now += READY_SECONDS + 0.01
    made = len(backlog.beside)
    taken = await backlog.next()
    assert taken is not None
    assert taken > 2 * READY_SECONDS
    assert backlog.beside[made] == []


async def test_what_is_dropped_is_made_anew_and_what_is_being_made_ends() -> None:
    backlog = Backlog(9)
    await backlog.ahead.next(LIMIT)
    backlog.hangs.clear()
    await settled()
    await backlog.ahead.drop()
    assert backlog.cancelled == 1
    backlog.hangs.set()
    made = len(backlog.beside)
    await backlog.next()
    assert backlog.beside[made] == []
    await backlog.ahead.drop()
    assert await backlog.next() is not None
    await backlog.ahead.drop()


async def test_what_fails_behind_fails_again_in_the_open() -> None:
    backlog = Backlog(9)
    await backlog.ahead.next(LIMIT)
    backlog.failure = NodeUnavailable("no node answers")
    await settled()
    with pytest.raises(NodeUnavailable):
        await backlog.next()
    backlog.failure = None
    assert await backlog.next() is not None


async def test_a_bug_behind_is_not_hidden() -> None:
    backlog = Backlog(9)
    await backlog.ahead.next(LIMIT)
    backlog.failure = ZeroDivisionError()
    await settled()
    with pytest.raises(ZeroDivisionError):
        await backlog.next()
