"""How jobs are run, without any store."""

import asyncio

import pytest

from issuer.queue.handling import Handling, backoff
from tests.waiting import until


def test_the_pauses_double_five_times_and_then_the_job_is_dropped() -> None:
    assert [backoff(attempts) for attempts in range(7)] == [0.2, 0.4, 0.8, 1.6, 3.2, None, None]


class Gate:
    """A handler that waits at each call until it is let through."""

    def __init__(self) -> None:
        self.calls = 0
        self.open = asyncio.Event()

    async def __call__(self, _key: str) -> None:
        self.calls += 1
        await self.open.wait()


async def test_all_that_wait_for_one_name_share_the_next_run() -> None:
    gate = Gate()
    handling = Handling({"lane": gate}, 8, asyncio.Event())
    first = asyncio.create_task(handling.run("lane", "1", 0))
    await until(lambda: gate.calls == 1)
    rest = [asyncio.create_task(handling.run("lane", "1", 0)) for _ in range(5)]
    other = asyncio.create_task(handling.run("lane", "2", 0))
    await until(lambda: gate.calls == 2)  # the other name does not wait
    gate.open.set()
    assert await asyncio.gather(first, other, *rest) == [None] * 7
    assert gate.calls == 3


async def test_a_job_that_waits_when_the_process_stops_is_not_begun() -> None:
    gate, stop = Gate(), asyncio.Event()
    handling = Handling({"lane": gate}, 1, stop)
    first = asyncio.create_task(handling.run("lane", "1", 0))
    await until(lambda: gate.calls == 1)
    second = asyncio.create_task(handling.run("lane", "2", 0))
    third = asyncio.create_task(handling.run("lane", "2", 0))  # shares the second's run, and its fate
    await asyncio.sleep(0)
    stop.set()
    gate.open.set()
    assert await first is None
    for task in (second, third):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert gate.calls == 1


async def test_after_a_run_was_cut_its_name_can_run_again() -> None:
    gate = Gate()
    handling = Handling({"lane": gate}, 1, asyncio.Event())
    first = asyncio.create_task(handling.run("lane", "1", 0))
    await until(lambda: gate.calls == 1)
    handling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    gate.open.set()
    assert await handling.run("lane", "1", 0) is None
    assert gate.calls == 2
