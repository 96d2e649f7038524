"""What every queue promises, run on both stores."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from issuer.access.tables import ApiKey
from issuer.clock import now
from issuer.db import Database
from issuer.errors import NodeUnavailable, NotFound
from issuer.queue.open import open_queue
from issuer.queue.port import INBOX, LANE, Handler, Queue
from tests.integration.queue.program import queue_of
from tests.waiting import until

ROOT = Path(__file__).parents[3]
PROGRAM = [sys.executable, "-m", "tests.integration.queue.program"]


@pytest.fixture
async def queue(db: Database) -> AsyncIterator[Queue]:
    queue = open_queue(db, concurrency=4)
    yield queue
    await queue.aclose()


class Seen:
    """A handler that remembers the keys it was called with."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    async def __call__(self, key: str) -> None:
        self.keys.append(key)


@asynccontextmanager
async def running(queue: Queue, handlers: Mapping[str, Handler]) -> AsyncIterator[asyncio.Task[None]]:
    stop = asyncio.Event()
    task = asyncio.create_task(queue.run(handlers, stop))
    try:
        yield task
    finally:
        stop.set()
        await task


async def add(db: Database, queue: Queue, topic: str, keys: Sequence[str]) -> None:
    async with db.write() as session:
        await queue.enqueue(session, topic, keys)


async def left(db: Database) -> int:
    table = "jobs" if db.is_sqlite else "pgqueuer"
    async with db.read() as session:
        return int(await session.scalar(sa.text(f"SELECT count(*) FROM {table}")) or 0)


async def empty(db: Database) -> None:
    async with asyncio.timeout(15):
        while await left(db):  # noqa: ASYNC110 - it changes in the database
            await asyncio.sleep(0.01)


async def test_a_job_exists_exactly_if_its_transaction_commits(db: Database, queue: Queue) -> None:
    async def add_and_fail() -> None:
        async with db.write() as session:
            await queue.enqueue(session, INBOX, ["never"])
            raise NotFound("and so nothing is committed")

    with pytest.raises(NotFound):
        await add_and_fail()
    assert await left(db) == 0
    async with db.write() as session:
        row = ApiKey(id="key_1", name="n", hash="h", scopes=[], created_at=now())
        session.add(row)
        await queue.enqueue(session, INBOX, ["committed"])
    seen = Seen()
    async with running(queue, {INBOX: seen}):
        await empty(db)
    assert seen.keys == ["committed"]


async def test_no_keys_is_no_job(db: Database, queue: Queue) -> None:
    await add(db, queue, INBOX, [])
    assert await left(db) == 0


async def test_every_job_runs_at_the_handler_of_its_topic(db: Database, queue: Queue) -> None:
    inbox, lane = Seen(), Seen()
    async with running(queue, {INBOX: inbox, LANE: lane}):
        await add(db, queue, INBOX, ["a", "b"])
        await add(db, queue, LANE, ["1"])
        await empty(db)
    assert (sorted(inbox.keys), lane.keys) == (["a", "b"], ["1"])


async def test_a_job_without_a_handler_here_is_left_for_others(db: Database, queue: Queue) -> None:
    seen = Seen()
    await add(db, queue, LANE, ["not-ours"])
    await add(db, queue, INBOX, ["ours"])
    async with running(queue, {INBOX: seen}):
        await until(lambda: seen.keys == ["ours"])
    assert await left(db) == 1


async def test_handlers_run_together_but_never_more_than_the_concurrency(db: Database, queue: Queue) -> None:
    now_running, most, done = 0, 0, 0
    together = asyncio.Event()

    async def handler(_key: str) -> None:
        nonlocal now_running, most, done
        now_running += 1
        most = max(most, now_running)
        if now_running == 4:
            together.set()
        await together.wait()
        await asyncio.sleep(0.01)  # long enough for a fifth to begin, if it could
        now_running -= 1
        done += 1

    await add(db, queue, INBOX, [str(number) for number in range(20)])
    async with running(queue, {INBOX: handler}):
        await until(lambda: done == 20)
    assert most == 4


async def test_a_transient_error_is_tried_again_after_a_growing_pause(db: Database, queue: Queue) -> None:
    times: list[float] = []

    async def handler(_key: str) -> None:
        times.append(time.monotonic())
        if len(times) < 4:
            raise NodeUnavailable("down")

    await add(db, queue, LANE, ["1"])
    async with running(queue, {LANE: handler}):
        await until(lambda: len(times) == 4)
        await empty(db)
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert all(pause >= least for pause, least in zip(pauses, (0.2, 0.4, 0.8), strict=True)), pauses


async def test_a_permanent_error_drops_the_job_and_says_so(db: Database, queue: Queue) -> None:
    seen = Seen()

    async def handler(key: str) -> None:
        await seen(key)
        raise ValueError("a broken handler")

    await add(db, queue, INBOX, ["bad"])
    with capture_logs() as logs:
        async with running(queue, {INBOX: handler}):
            await until(lambda: bool(seen.keys))
            await empty(db)
    assert seen.keys == ["bad"]
    assert [(line["event"], line["job_key"]) for line in logs if line["log_level"] == "error"] == [
        ("job_dropped", "bad")
    ]


async def test_a_job_added_while_its_name_runs_is_run_afterwards(db: Database, queue: Queue) -> None:
    began, go = asyncio.Event(), asyncio.Event()
    now_running, most, runs = 0, 0, 0

    async def handler(_key: str) -> None:
        nonlocal now_running, most, runs
        now_running += 1
        runs += 1
        most = max(most, now_running)
        began.set()
        await go.wait()
        now_running -= 1

    async with running(queue, {LANE: handler}):
        await add(db, queue, LANE, ["1"])
        await began.wait()
        await add(db, queue, LANE, ["1"])
        go.set()
        await empty(db)
    assert (runs, most) == (2, 1)


async def test_stopping_lets_running_handlers_finish_and_keeps_the_rest(db: Database, queue: Queue) -> None:
    began, go, finished = 0, asyncio.Event(), 0

    async def handler(_key: str) -> None:
        nonlocal began, finished
        began += 1
        await go.wait()
        finished += 1

    await add(db, queue, INBOX, [str(number) for number in range(12)])
    stop = asyncio.Event()
    task = asyncio.create_task(queue.run({INBOX: handler}, stop))
    await until(lambda: began == 4)
    stop.set()
    await asyncio.sleep(0)
    assert not task.done()
    go.set()
    await task
    assert (began, finished) == (4, 4)
    assert await left(db) == 8
    seen = Seen()
    async with running(queue, {INBOX: seen}):
        await empty(db)
    assert len(seen.keys) == 8


async def test_a_handler_that_does_not_finish_in_time_is_cut_and_its_job_kept(
    db: Database, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("embedded", "pgqueuer"):
        monkeypatch.setattr(f"issuer.queue.{module}.GRACE", 0.05)
    began = asyncio.Event()

    async def handler(_key: str) -> None:
        began.set()
        await asyncio.Event().wait()

    await add(db, queue, INBOX, ["slow"])
    async with running(queue, {INBOX: handler}):
        await began.wait()
    assert await left(db) == 1
    seen = Seen()
    async with running(queue, {INBOX: seen}):
        await empty(db)
    assert seen.keys == ["slow"]


async def test_cancelling_the_run_ends_it_at_once(db: Database, queue: Queue) -> None:
    began = asyncio.Event()

    async def handler(_key: str) -> None:
        began.set()
        await asyncio.Event().wait()

    await add(db, queue, INBOX, ["slow"])
    task = asyncio.create_task(queue.run({INBOX: handler}, asyncio.Event()))
    await began.wait()
    task.cancel()
    async with asyncio.timeout(5):
        await asyncio.wait({task})
    assert task.cancelled()
    assert await left(db) == 1


async def test_work_of_another_process_is_noticed(db: Database, queue: Queue, store_url: str) -> None:
    seen = Seen()
    async with running(queue, {INBOX: seen}):
        await add(db, queue, INBOX, ["warm"])
        await empty(db)
        other = await asyncio.create_subprocess_exec(*PROGRAM, "add", store_url, INBOX, "from-afar", cwd=ROOT)
        assert await other.wait() == 0
        await until(lambda: "from-afar" in seen.keys, seconds=2)


@pytest.mark.failure("F19")
async def test_the_jobs_of_a_killed_worker_are_run_by_the_next(db: Database, store_url: str, tmp_path: Path) -> None:
    queue = queue_of(db)
    keys = [str(number) for number in range(6)]
    await add(db, queue, INBOX, keys)
    begun = tmp_path / "begun"
    worker = await asyncio.create_subprocess_exec(*PROGRAM, "work", store_url, str(begun), "--hang", cwd=ROOT)
    try:
        await until(lambda: begun.exists() and len(begun.read_text().split()) == 4, seconds=30)
    finally:
        worker.kill()
        await worker.wait()
    seen = Seen()
    async with running(queue, {INBOX: seen}):
        await until(lambda: sorted(seen.keys) == keys, seconds=20)
        await empty(db)


async def test_two_thousand_jobs_are_drained(db: Database, queue: Queue) -> None:
    seen = Seen()
    keys = [str(number) for number in range(2_000)]
    await add(db, queue, INBOX, keys)
    async with running(queue, {INBOX: seen}):
        await until(lambda: len(seen.keys) >= 2_000, seconds=60)
        await empty(db)
    assert Counter(seen.keys) == Counter(keys)
