"""Wait on a condition, never on luck."""

import asyncio
import time
from collections.abc import Callable


async def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    """Return as soon as `condition()` is true; `TimeoutError` if it has not become so."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - conditions may lie outside this process
            await asyncio.sleep(0.005)


def block_until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    """`until` for tests without an event loop."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.005)
