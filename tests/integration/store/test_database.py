"""How `Database` reads, writes, refuses and waits, on both stores."""

import asyncio
import sqlite3
import traceback
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from issuer.access.tables import ApiKey
from issuer.cases.tables import Subject, SubjectWallet
from issuer.chain.tables import Lane
from issuer.clock import now
from issuer.db import Database, for_update, normalise_url
from issuer.errors import NotFound, StoreBusy
from tests.ports import free_port

sqlite_only = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
postgresql_only = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)

SECRET = "5ecre7-value"


def api_key(name: str, hash_: str | None = None) -> ApiKey:
    return ApiKey(id=f"key_{name}", name=name, hash=hash_ or name, scopes=["cases:read"], created_at=now())


async def names(db: Database) -> list[str]:
    async with db.read() as session:
        return list(await session.scalars(sa.select(ApiKey.name).order_by(ApiKey.name)))


async def test_a_write_commits_at_the_end_of_its_block(db: Database) -> None:
    async with db.write() as session:
        session.add(api_key("one"))
        assert await names(db) == []
    assert await names(db) == ["one"]


async def test_an_error_in_a_write_undoes_all_of_it(db: Database) -> None:
    async def add_and_fail() -> None:
        async with db.write() as session:
            session.add(api_key("one"))
            await session.flush()
            raise NotFound("half-way")

    with pytest.raises(NotFound):
        await add_and_fail()
    assert await names(db) == []


async def test_a_cancelled_write_undoes_all_of_it_and_lets_the_next_one_in(db: Database) -> None:
    inside = asyncio.Event()

    async def add_and_hang() -> None:
        async with db.write() as session:
            session.add(api_key("one"))
            await session.flush()
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(add_and_hang())
    await inside.wait()
    task.cancel()
    await asyncio.wait({task})
    async with db.write() as session:
        session.add(api_key("two"))
    assert await names(db) == ["two"]


async def test_what_a_read_changes_is_gone(db: Database) -> None:
    async with db.read() as session:
        session.add(api_key("one"))
        await session.flush()
    assert await names(db) == []


async def test_concurrent_writers_lose_no_update(db: Database, store_url: str) -> None:
    lane = Lane(id="lane_1", chain_id=31337, sender="0x", next_nonce=0)
    async with db.write() as session:
        session.add(lane)
    other = Database(store_url)

    async def count(database: Database) -> None:
        for _ in range(5):
            async with database.write() as session:
                row = (await session.scalars(for_update(sa.select(Lane), session))).one()
                row.next_nonce += 1

    await asyncio.gather(*(count(database) for database in (db, other) for _ in range(4)))
    await other.aclose()
    async with db.read() as session:
        assert await session.scalar(sa.select(Lane.next_nonce)) == 40


async def test_a_lock_that_does_not_come_is_store_busy(db: Database, store_url: str) -> None:
    async def want() -> None:
        async with db.write() as session:
            if not db.is_sqlite:
                await session.execute(sa.text("SET LOCAL lock_timeout = '50ms'"))
            await session.execute(sa.update(Lane).values(next_nonce=2))

    holder = Database(store_url)
    async with holder.write() as session:
        session.add(Lane(id="lane_1", chain_id=31337, sender="0x", next_nonce=0))
    async with holder.write() as session:
        await session.execute(sa.update(Lane).values(next_nonce=1))
        if db.is_sqlite:
            sa.event.listen(db.engine.sync_engine, "connect", _be_impatient)
        with pytest.raises(StoreBusy) as refused:
            await want()
    assert refused.value.transient
    await want()  # and goes through when the lock is free
    await holder.aclose()


def _be_impatient(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA busy_timeout=50")


@sqlite_only
async def test_a_writer_that_waits_too_long_for_its_turn_is_store_busy(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("issuer.db.BUSY_TIMEOUT_MS", 30)

    async def want() -> None:
        async with db.write():
            pass

    async with db.write():
        with pytest.raises(StoreBusy):
            await want()
    await want()


@pytest.mark.failure("F13")
@postgresql_only
async def test_a_cut_connection_is_store_busy_and_the_next_one_works(db: Database, store_url: str) -> None:
    other = Database(store_url)

    async def be_cut() -> None:
        async with db.write() as session:
            pid = await session.scalar(sa.text("SELECT pg_backend_pid()"))
            async with other.write() as killer:
                await killer.execute(sa.select(sa.func.pg_terminate_backend(pid)))
            await session.execute(sa.text("SELECT 1"))

    with pytest.raises(StoreBusy):
        await be_cut()
    assert await names(db) == []
    await other.aclose()


async def test_a_server_that_is_not_there_is_store_busy() -> None:
    db = Database(f"postgresql://postgres@127.0.0.1:{free_port()}/nothing")
    with pytest.raises(StoreBusy):
        await names(db)
    await db.aclose()


async def test_a_missing_table_is_not_something_to_wait_for(unmigrated_url: str) -> None:
    db = Database(unmigrated_url)
    with pytest.raises(DBAPIError):
        await names(db)
    await db.aclose()


@pytest.mark.parametrize("broken", ["unique", "not null", "foreign key"])
async def test_no_value_stands_in_the_text_of_an_error(db: Database, broken: str) -> None:
    async with db.write() as session:
        session.add(api_key("one", SECRET))

    async def break_it() -> None:
        async with db.write() as session:
            if broken == "unique":
                session.add(api_key("two", SECRET))
            elif broken == "not null":
                await session.execute(sa.insert(ApiKey).values(id="key_2", name=SECRET, scopes=[], created_at=now()))
            else:
                wallet = SubjectWallet(id="w", subject_id=SECRET, wallet="0x", created_at=now())
                session.add(wallet)

    with pytest.raises(IntegrityError) as refused:
        await break_it()
    error: SQLAlchemyError = refused.value
    assert SECRET not in str(error)
    assert SECRET not in repr(error)
    assert SECRET not in "".join(traceback.format_exception(error.orig))


async def test_a_row_must_not_point_at_nothing(db: Database) -> None:
    async def orphan() -> None:
        async with db.write() as session:
            session.add(SubjectWallet(id="w", subject_id="nobody", wallet="0x", created_at=now()))

    with pytest.raises(IntegrityError):
        await orphan()


@sqlite_only
async def test_every_sqlite_connection_is_set_for_safety(db: Database) -> None:
    async def pragma(name: str) -> object:
        async with db.read() as session:
            return await session.scalar(sa.text(f"PRAGMA {name}"))

    found = {name: await pragma(name) for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")}
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}


@given(times=st.lists(st.datetimes(timezones=st.just(UTC)), max_size=8))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_an_instant_comes_back_as_it_was_and_in_order(db: Database, times: list[datetime]) -> None:
    async with db.read() as session:  # rolled back, so that each example finds an empty table
        rows = [Subject(id=str(number), created_at=time) for number, time in enumerate(times)]
        session.add_all(rows)
        await session.flush()
        stored = await session.scalars(sa.select(Subject.created_at).order_by(Subject.created_at))
        assert list(stored) == sorted(times)


async def test_an_instant_of_another_zone_is_the_same_instant_in_utc(db: Database) -> None:
    local = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    async with db.write() as session:
        session.add(Subject(id="s", created_at=local))
    async with db.read() as session:
        stored = await session.scalar(sa.select(Subject.created_at))
    assert stored is not None
    assert (stored, stored.tzinfo) == (local, UTC)


def test_customary_urls_get_their_drivers() -> None:
    assert normalise_url("sqlite:///a.sqlite3").drivername == "sqlite+aiosqlite"
    assert normalise_url("postgres://u@h/d").drivername == "postgresql+asyncpg"
    assert normalise_url("postgresql://u@h/d?sslmode=require").query == {"ssl": "require"}
