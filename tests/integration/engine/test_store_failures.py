"""What the database does to us: cut connections, unknown commits, a lost queue, a full disk, a clock that is wrong."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from issuer import crashpoint
from issuer import db as store_module
from issuer.cases.rules import CaseStatus
from issuer.chain.lanes import LaneKeeper
from issuer.chain.tables import Attempt, Lane, Transaction
from issuer.claims.rules import ClaimStatus
from issuer.claims.tables import Claim
from issuer.db import Database
from issuer.errors import LaneHeld, StoreBusy
from issuer.inbox.tables import InboxEvent
from issuer.providers.protocol import Outcome
from issuer.queue.port import INBOX
from tests.e2e.rig import until
from tests.integration.engine.conftest import CHAIN_ID, Engine
from tests.integration.engine.test_wire_failures import approved, resend
from tests.oracle import Oracle
from tests.pg_proxy import PgProxy
from tests.stores import run_async

sqlite_only = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
postgresql_only = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
CUT = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()"""


@pytest.fixture
def at_point(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[], object]], None]:
    """Do something, once, where the daemon could be killed."""

    def arrange(point: str, act: Callable[[], object]) -> None:
        left = [act]

        def reached(name: str) -> None:
            if name == point and left:
                left.pop()()

        monkeypatch.setattr(crashpoint, "reached", reached)

    return arrange


@pytest.mark.failure("F13")
@postgresql_only
@pytest.mark.parametrize("point", ["issue.before_commit", "issue.committed"])
async def test_a_connection_cut_around_the_commit_doubles_nothing(
    engine: Engine, oracle: Oracle, at_point: Callable[..., None], store_url: str, point: str
) -> None:
    wallet = await approved(engine)
    at_point(point, lambda: run_async(execute(store_url, CUT)))
    try:
        await engine.pump()
    except StoreBusy:
        assert point == "issue.before_commit"
        assert await engine.rows(Transaction) == [], "it never happened, and its nonce is free"
    await engine.settle()
    assert await engine.is_verified(wallet)
    assert len(await engine.rows(Attempt)) == 1
    assert await oracle.problems() == []


@pytest.mark.failure("F13")
@postgresql_only
async def test_a_commit_whose_answer_is_lost_is_looked_up_and_not_made_again(
    engine: Engine, oracle: Oracle, at_point: Callable[..., None], store_url: str
) -> None:
    wallet = await approved(engine)
    before = await engine.sent()
    async with PgProxy(store_url) as proxy:
        direct, engine.db = engine.db, Database(proxy.url)
        engine.restart(engine.profile)
        at_point("issue.before_commit", lambda: setattr(proxy, "lose_commit", True))
        with pytest.raises(StoreBusy):
            await engine.pump()
        assert proxy.lost == 1
        (attempt,) = await engine.rows(Attempt)
        assert await engine.sent() == before, "committed, and not sent"
        await engine.pump()
        await resend(engine)
        await engine.settle()
        await engine.lane.release()
        assert [row.id for row in await engine.rows(Attempt)] == [attempt.id]
        await engine.db.aclose()
        engine.db = direct
    assert await engine.is_verified(wallet)
    assert await oracle.problems() == []


async def execute(store_url: str, statement: str) -> None:
    db = Database(store_url)
    try:
        async with db.engine.connect() as connection:
            await connection.execute(sa.text(statement))
    finally:
        await db.aclose()


@pytest.mark.failure("F18")
async def test_an_emptied_queue_is_filled_again_from_the_tables(engine: Engine, oracle: Oracle) -> None:
    cases = [await engine.open_case() for _ in range(3)]
    for case in cases:
        engine.persona.says(case, Outcome.APPROVED)
        event_id = await engine.receive(case)
        async with engine.db.write() as session:
            await engine.queue.enqueue(session, INBOX, [event_id])
    async with engine.db.write() as session:
        await session.execute(sa.text("DELETE FROM jobs" if engine.db.is_sqlite else "DELETE FROM pgqueuer"))
        await session.execute(sa.update(InboxEvent).values(received_at=datetime.now(UTC) - timedelta(minutes=1)))
    await engine.cases.sweep()
    stop = asyncio.Event()
    running = asyncio.create_task(engine.queue.run({INBOX: engine.cases.handle_event}, stop))

    async def all_approved() -> bool | None:
        moved = [(await engine.case(case)).status for case in cases]
        return True if moved == [CaseStatus.APPROVED] * len(cases) else None

    await until(all_approved, 30)
    stop.set()
    await running
    await engine.settle()
    assert await oracle.problems() == []


@pytest.mark.failure("F19")
async def test_a_job_that_two_processes_run_at_once_has_one_effect(engine: Engine, oracle: Oracle) -> None:
    case = await engine.open_case()
    engine.persona.says(case, Outcome.APPROVED)
    event_id = await engine.receive(case)
    first = engine.cases
    engine.restart(engine.profile)
    await asyncio.gather(*(worker.handle_event(event_id) for worker in (first, engine.cases) * 5))
    await engine.settle()
    assert [claim.status for claim in await engine.claims_of(case)] == [ClaimStatus.CONFIRMED]
    assert await oracle.problems() == []


@pytest.mark.failure("F21")
@sqlite_only
async def test_a_full_disk_signs_nothing_and_is_survived(engine: Engine, oracle: Oracle) -> None:
    wallet = await approved(engine)
    assert await engine.lane.ensure()
    with full_disk(engine.db):
        await engine.db.engine.dispose()
        with pytest.raises(StoreBusy):
            await fill(engine)
        with pytest.raises(StoreBusy):
            await engine.pump()
        sent = await engine.sent()
    await engine.db.engine.dispose()
    assert await engine.sent() == sent
    for kept in await engine.rows(InboxEvent):
        await engine.cases.handle_event(kept.id)
    await engine.settle()
    assert await engine.is_verified(wallet)
    assert await oracle.problems() == []


async def fill(engine: Engine) -> None:
    for _ in range(50):  # the last free page may still take some rows
        await approved(engine)


@contextmanager
def full_disk(db: Database) -> Iterator[None]:
    """No page more than there are, for connections that are made inside the block."""

    def limit(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA max_page_count=1")  # SQLite takes the present size where that is more

    event.listen(db.engine.sync_engine, "connect", limit)
    try:
        yield
    finally:
        event.remove(db.engine.sync_engine, "connect", limit)


@pytest.mark.failure("F21")
@sqlite_only
async def test_a_locked_database_signs_nothing_and_is_survived(
    engine: Engine, oracle: Oracle, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet = await approved(engine)
    assert await engine.lane.ensure()
    monkeypatch.setattr(store_module, "BUSY_TIMEOUT_MS", 200)
    await engine.db.engine.dispose()
    other = Database(store_url)
    async with other.write():
        with pytest.raises(StoreBusy):
            await engine.pump()
    await other.aclose()
    assert await engine.rows(Transaction) == []
    await engine.settle()
    assert await engine.is_verified(wallet)
    assert await oracle.problems() == []


@pytest.mark.failure("F23")
@postgresql_only
@pytest.mark.parametrize("wrong", [timedelta(days=1), timedelta(days=-1)], ids=["fast", "slow"])
async def test_a_lease_is_measured_by_the_databases_clock_alone(engine: Engine, wrong: timedelta) -> None:
    """A host whose clock is wrong by a day takes no live lease, and its own is no longer or shorter for it."""
    assert await engine.lane.ensure()
    other = LaneKeeper(
        engine.db,
        engine.gateway,
        engine.keys.sender,
        chain_id=CHAIN_ID,
        profile=engine.profile,
        clock=lambda: datetime.now(UTC) + wrong,
    )
    assert not await other.ensure()
    await engine.lane.release()
    assert await other.ensure()
    async with engine.db.read() as session:
        left = (await session.scalar(sa.select(Lane.leased_until))) - await store_module.store_time(session)
    assert timedelta(0) < left <= timedelta(seconds=10)


@pytest.mark.failure("F16")
async def test_a_sender_that_signs_wrongly_sends_nothing(engine: Engine) -> None:
    await approved(engine)
    honest = engine.keys
    wrong = SimpleNamespace(address=honest.sender.address, sign_digest=honest.claim_signer.sign_digest)
    engine.keys = SimpleNamespace(sender=wrong, claim_signer=honest.claim_signer)  # type: ignore[assignment]
    engine.restart(engine.profile)
    before = await engine.sent()
    with pytest.raises(LaneHeld, match="another key"):
        await engine.pump()
    assert await engine.sent() == before
    assert await engine.rows(Transaction) == []
    assert [claim.status for claim in await engine.rows(Claim)] == [ClaimStatus.QUEUED]
