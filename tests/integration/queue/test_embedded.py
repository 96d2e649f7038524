"""What is particular to the queue on SQLite."""

import asyncio
import sqlite3

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from issuer.clock import now
from issuer.db import Database
from issuer.errors import SettingsError
from issuer.queue.embedded import EmbeddedQueue, _Outcomes, _Work
from issuer.queue.port import INBOX
from issuer.queue.tables import Job
from tests.waiting import until

pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


async def test_what_a_dead_process_had_claimed_is_run(db: Database) -> None:
    async with db.write() as session:
        session.add(Job(topic=INBOX, key="claimed", due_at=now(), claimed_at=now()))
    seen: list[str] = []

    async def handler(key: str) -> None:
        seen.append(key)

    stop = asyncio.Event()
    task = asyncio.create_task(EmbeddedQueue(db).run({INBOX: handler}, stop))
    await until(lambda: seen == ["claimed"])
    stop.set()
    await task


@pytest.mark.failure("F21")
async def test_a_database_that_is_held_for_a_while_costs_time_and_no_job(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("issuer.db.BUSY_TIMEOUT_MS", 20)
    queue = EmbeddedQueue(db)
    async with db.write() as session:
        await queue.enqueue(session, INBOX, ["a"])
    assert db.url.database is not None
    holder = sqlite3.connect(db.url.database, isolation_level=None)

    async def handler(_key: str) -> None:
        holder.execute("BEGIN IMMEDIATE")

    stop = asyncio.Event()
    with capture_logs() as logs:
        task = asyncio.create_task(queue.run({INBOX: handler}, stop))
        await until(lambda: any(line["event"] == "queue_not_settled" for line in logs))
        holder.execute("ROLLBACK")
        holder.close()
        stop.set()
        await task
    async with db.read() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(Job)) == 0


async def test_a_database_in_memory_is_refused(store_url: str) -> None:
    db = Database("sqlite://")
    with pytest.raises(SettingsError, match="DATABASE_URL"):
        EmbeddedQueue(db)
    await db.aclose()


async def test_full_hands_are_refilled_though_the_commit_was_seen_before_they_were_empty(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = _Work._write

    async def slow_to_forget(work: _Work, outcomes: _Outcomes) -> None:
        await write(work, outcomes)
        await asyncio.sleep(0.05)

    monkeypatch.setattr(_Work, "_write", slow_to_forget)
    monkeypatch.setattr("issuer.queue.embedded.IN_HAND", 2)
    queue = EmbeddedQueue(db)
    seen: list[str] = []

    async def handler(key: str) -> None:
        seen.append(key)

    async with db.write() as session:
        await queue.enqueue(session, INBOX, ["a", "b", "c", "d"])
    stop = asyncio.Event()
    task = asyncio.create_task(queue.run({INBOX: handler}, stop))
    await until(lambda: sorted(seen) == ["a", "b", "c", "d"], seconds=5)
    stop.set()
    await task
