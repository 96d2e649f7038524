"""What is particular to the queue on PostgreSQL."""

import asyncio

import pytest
import sqlalchemy as sa

from issuer.db import Database
from issuer.queue.pgqueuer import PgQueuerQueue
from issuer.queue.port import INBOX
from tests.waiting import until

pytestmark = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)


@pytest.mark.failure("F13")
async def test_a_worker_whose_connection_is_cut_comes_back(db: Database) -> None:
    queue = PgQueuerQueue(db)
    seen: list[str] = []

    async def handler(key: str) -> None:
        seen.append(key)

    async def add(key: str) -> None:
        async with db.write() as session:
            await queue.enqueue(session, INBOX, [key])

    stop = asyncio.Event()
    task = asyncio.create_task(queue.run({INBOX: handler}, stop))
    await add("before")
    await until(lambda: "before" in seen)
    async with db.write() as session:
        cut = await session.scalars(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'claimwright-queue' AND datname = current_database()"
            )
        )
        assert list(cut) == [True]
    await add("after")
    await until(lambda: "after" in seen)
    stop.set()
    await task


async def test_the_log_of_jobs_long_gone_is_trimmed(db: Database) -> None:
    old = "INSERT INTO pgqueuer_log (job_id, status, priority, entrypoint, created)"
    async with db.write() as session:
        await session.execute(sa.text(f"{old} VALUES (1, 'successful', 0, 'inbox', now() - interval '2 hours')"))
        await session.execute(sa.text(f"{old} VALUES (2, 'successful', 0, 'inbox', now())"))
    stop = asyncio.Event()
    task = asyncio.create_task(PgQueuerQueue(db).run({}, stop))

    async def kept() -> list[int]:
        async with db.read() as session:
            return list(await session.scalars(sa.text("SELECT job_id FROM pgqueuer_log")))

    async with asyncio.timeout(10):
        while await kept() != [2]:  # noqa: ASYNC110 - it changes in the database
            await asyncio.sleep(0.01)
    stop.set()
    await task


async def test_what_a_failed_job_said_is_not_kept_in_the_database(db: Database) -> None:
    queue = PgQueuerQueue(db)
    calls = 0

    async def handler(_key: str) -> None:
        nonlocal calls
        calls += 1
        raise ValueError("5ecre7-value")

    async with db.write() as session:
        await queue.enqueue(session, INBOX, ["a"])
    stop = asyncio.Event()
    task = asyncio.create_task(queue.run({INBOX: handler}, stop))
    await until(lambda: calls == 1)
    stop.set()
    await task
    async with db.read() as session:
        rows = (await session.execute(sa.text("SELECT to_json(pgqueuer_log)::text FROM pgqueuer_log"))).scalars().all()
    assert rows
    assert not any("5ecre7-value" in row for row in rows)
