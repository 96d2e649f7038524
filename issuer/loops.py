"""What the daemon's loops have in common: a step that fails is named in the log and ends no loop."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import structlog

from issuer.errors import ClaimwrightError, LaneHeld

log = structlog.get_logger(__name__)

LONGEST_PAUSE_SECONDS = 5.0
HOUSEKEEPING_AFTER_SECONDS = 1.0  # of the start, when what waits to be signed goes first
GRACE_SECONDS = 4.0  # for a step that is running when the process is to stop; a cut one is found again in the tables

Step = Callable[[], Awaitable[object]]


async def attempt(step: Step, name: str, chain_id: int | None = None) -> bool:
    """Run a step. False, and a line in the log, when it failed."""
    about = {} if chain_id is None else {"chain_id": chain_id}
    try:
        await step()
    except LaneHeld as error:
        log.warning("lane_held", reason=error.message, **about)
        return False
    except ClaimwrightError as error:
        log.warning("step_failed", step=name, error_code=error.code, reason=error.message, **about)
        return False
    except Exception:
        log.exception("step_broke", step=name, **about)  # a bug: named, loud, and it does not stop the other loops
        return False
    return True


async def every(
    seconds: float, step: Step, name: str, stop: asyncio.Event, chain_id: int | None = None, *, after: float = 0.0
) -> None:
    """Run a step, wait, repeat until `stop`; wait longer after a failure. It begins `after` so many seconds."""
    pause = seconds
    if after:
        await wait(after, stop)
    while not stop.is_set():
        fine = await attempt(step, name, chain_id)
        pause = seconds if fine else min(pause * 2, LONGEST_PAUSE_SECONDS)
        await wait(pause, stop)


keeping_house = partial(every, after=HOUSEKEEPING_AFTER_SECONDS)


async def until_stopped(loops: Sequence[Coroutine[Any, Any, None]], stop: asyncio.Event) -> None:
    """Run all until `stop`, give them time to end what they are in, and cut the rest. One that breaks ends all."""
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(loop) for loop in loops]
        await stop.wait()
        await asyncio.wait(running, timeout=GRACE_SECONDS)
        for task in running:
            task.cancel()


async def wait(seconds: float, *events: asyncio.Event) -> None:
    """Return when one of the events is set or the time is up."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waits:
            one.cancel()
