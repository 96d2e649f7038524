"""Group commit: many callers, few commits, and one bad item that fails alone."""

import asyncio
from collections.abc import Sequence

import pytest

from issuer.errors import StoreBusy
from issuer.inbox.groupcommit import GroupCommit


async def test_those_who_come_meanwhile_share_a_commit() -> None:
    batches: list[list[int]] = []
    begun, go = asyncio.Event(), asyncio.Event()

    async def write(items: Sequence[int]) -> None:
        batches.append(list(items))
        begun.set()
        await go.wait()

    writer = GroupCommit(write, most_per_commit=10)
    writer.start()
    callers = [asyncio.create_task(writer.put(number)) for number in range(26)]
    await begun.wait()
    assert not any(caller.done() for caller in callers)
    go.set()
    await asyncio.gather(*callers)
    await writer.aclose()
    assert sorted(number for batch in batches for number in batch) == list(range(26))
    assert len(batches) <= 4
    assert max(map(len, batches)) <= 10


async def test_a_bad_item_fails_alone() -> None:
    kept: list[int] = []

    async def write(items: Sequence[int]) -> None:
        if 13 in items:
            raise ValueError("thirteen")
        kept.extend(items)

    writer = GroupCommit(write)
    writer.start()
    results = await asyncio.gather(*(writer.put(number) for number in range(30)), return_exceptions=True)
    await writer.aclose()
    assert [type(result) for result in results if result is not None] == [ValueError]
    assert isinstance(results[13], ValueError)
    assert sorted(kept) == [number for number in range(30) if number != 13]


async def test_a_busy_store_fails_all_at_once_without_trying_each() -> None:
    tries = 0

    async def write(_items: Sequence[int]) -> None:
        nonlocal tries
        tries += 1
        raise StoreBusy("busy")

    writer = GroupCommit(write)
    writer.start()
    results = await asyncio.gather(*(writer.put(number) for number in range(30)), return_exceptions=True)
    await writer.aclose()
    assert all(isinstance(result, StoreBusy) for result in results)
    assert tries == 1


async def test_what_waits_is_bounded_and_a_caller_that_gives_up_harms_nobody() -> None:
    go = asyncio.Event()
    written: list[int] = []

    async def write(items: Sequence[int]) -> None:
        await go.wait()
        written.extend(items)

    writer = GroupCommit(write, most_per_commit=1, most_waiting=3)
    writer.start()
    callers = [asyncio.create_task(writer.put(number)) for number in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # the first is being written now, two wait
    callers.append(asyncio.create_task(writer.put(3)))
    await asyncio.sleep(0)
    with pytest.raises(StoreBusy):
        await writer.put(99)
    callers[1].cancel()
    go.set()
    results = await asyncio.gather(*callers, return_exceptions=True)
    await writer.aclose()
    assert [type(result) for result in results] == [type(None), asyncio.CancelledError, type(None), type(None)]
    assert 99 not in written
    with pytest.raises(StoreBusy):
        await writer.put(5)
