from __future__ import annotations

import asyncio

import pytest

from scripts.persona_simulator.clock import Clock, Job


async def test_a_stopped_clock_moves_only_when_told_and_runs_what_was_due_in_order() -> None:
    clock, seen = Clock(), list[tuple[str, float]]()
    clock.set_speed(0)
    start = clock.now()

    def note(name: str) -> Job:
        async def job() -> None:
            seen.append((name, clock.now() - start))

        return job

    clock.at(start + 64, note("late"))
    clock.at(start + 3, note("early"))
    await clock.advance_to(start + 2)
    assert seen == []
    await clock.advance_to(start + 100)
    assert seen == [("early", 3.0), ("late", 64.0)]
    assert clock.now() == start + 100


async def test_a_timer_set_while_moving_is_run_on_the_same_way() -> None:
    clock, seen = Clock(), list[float]()
    clock.set_speed(0)
    start = clock.now()

    async def again() -> None:
        seen.append(clock.now() - start)
        clock.after(10, again)

    clock.after(10, again)
    await clock.advance_to(start + 35)
    assert seen == [10.0, 20.0, 30.0]


async def test_a_cancelled_timer_does_not_run() -> None:
    clock, ran = Clock(), asyncio.Event()

    async def job() -> None:
        ran.set()

    clock.after(5, job).cancel()
    await clock.advance_to(clock.now() + 10)
    assert not ran.is_set()


async def test_a_fast_clock_reaches_far_timers_soon() -> None:
    clock, ran = Clock(), asyncio.Event()

    async def job() -> None:
        ran.set()

    loop = asyncio.create_task(clock.run())
    try:
        clock.after(86_400, job)
        clock.set_speed(1_000_000)
        await asyncio.wait_for(ran.wait(), 5)
    finally:
        loop.cancel()
    with pytest.raises(ValueError, match="speed"):
        clock.set_speed(-1)


async def test_advancing_waits_for_what_is_already_running() -> None:
    clock, order = Clock(), list[str]()
    release = asyncio.Event()

    async def slow() -> None:
        await release.wait()
        order.append("running")

    async def due() -> None:
        order.append("due")

    clock.start(slow)
    clock.after(1, due)
    moving = asyncio.create_task(clock.advance_to(clock.now() + 5))
    release.set()
    await moving
    assert order == ["running", "due"]
