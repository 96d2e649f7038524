"""What each step asks of the store is answered from an index, so that a claim costs no more among a million."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.ledger import CHAIN_ID, Ledger
from issuer import bulk
from issuer.cases import evidence
from issuer.chain import store as chain_store
from issuer.chain.rules import TxStatus
from issuer.chain.tables import Transaction
from issuer.claims import store, waiting
from issuer.claims.tables import Claim
from issuer.db import Database
from tests.factories import IDENTITY

STORED = 3000
LARGE = ("claims", "cases", "decisions", "history", "transactions", "transaction_claims", "attempts")


@pytest.fixture
async def full(db: Database, store_url: str, tmp_path: Path) -> Database:
    ledger = Ledger(store_url, SimpleNamespace(contracts={"ClaimIssuer": IDENTITY}), tmp_path)  # type: ignore[arg-type]
    await ledger.fill(STORED)
    await ledger.db.aclose()
    if not db.is_sqlite:  # which keeps no statistics unless asked, and nobody asks
        async with db.write() as session:
            await session.execute(sa.text("ANALYZE"))
    return db


class Asked(list[tuple[str, object]]):
    """The statements that a session sends."""

    def listen(self, db: Database) -> None:
        @event.listens_for(db.engine.sync_engine, "before_cursor_execute")
        def _(_connection: object, _cursor: object, statement: str, parameters: object, *_more: object) -> None:
            if statement.lstrip().startswith(("SELECT", "UPDATE")):
                self.append((statement, parameters))


async def _plan(db: Database, statement: str, parameters: object) -> list[str]:
    explain = "EXPLAIN QUERY PLAN " if db.is_sqlite else "EXPLAIN "
    async with db.engine.connect() as connection:
        if not db.is_sqlite:
            # As on an SSD: of rows given as JSON a hundred are expected, too many for so small a table.
            await connection.exec_driver_sql("SET LOCAL random_page_cost = 1.1")
        rows = await connection.exec_driver_sql(explain + statement, parameters)  # type: ignore[arg-type]
        return [str(row[-1]) for row in rows]


def whole_tables(lines: list[str]) -> list[str]:
    """The lines of a plan that read a large table from end to end."""
    sqlite = [line for line in lines if line.startswith("SCAN ") and line.split()[1] in LARGE]
    sqlite = [line for line in sqlite if "USING" not in line]
    postgresql = [line for line in lines if "Seq Scan on" in line and line.split("Seq Scan on ")[1].split()[0] in LARGE]
    return sqlite + postgresql


Ask = Callable[[AsyncSession, list[Claim], str, str], Awaitable[object]]
NOW = datetime.now(UTC)
QUESTIONS: dict[str, Ask] = {
    "ready": lambda session, *_: waiting.ready(session, CHAIN_ID, now=NOW, limit=512),
    "ready_beside": lambda session, *_: waiting.ready(session, CHAIN_ID, now=NOW, limit=512, without=["clm_1"] * 512),
    "due_for_renewal": lambda session, *_: store.due_for_renewal(session, CHAIN_ID, now=NOW, limit=200),
    "to_revoke": lambda session, *_: store.to_revoke(session, CHAIN_ID, now=NOW, limit=200),
    "locked": lambda session, claims, *_: store.locked(session, [claim.id for claim in claims]),
    "locked_to_settle": lambda session, claims, *_: store.locked_to_settle(session, [claim.id for claim in claims]),
    "lock_unchanged": lambda session, claims, *_: store.lock_unchanged(session, claims),
    "write_changed": lambda session, claims, *_: bulk.update_all(
        session, Claim, [{"id": claim.id, "updated_at": NOW} for claim in claims]
    ),
    "locked_backing": lambda session, claims, *_: evidence.locked_backing(session, [claim.case_id for claim in claims]),
    "alive_for": lambda session, claims, *_: store.alive_for(session, claims),
    "standing_for": lambda session, claims, *_: store.standing_for(session, claims),
    "waiting_for": lambda session, claims, *_: store.waiting_for(session, claims[0].identity, "7", CHAIN_ID),
    "was_ever_signed": lambda session, claims, *_: store.was_ever_signed(session, claims[0].identity, "7", CHAIN_ID),
    "taken_by_person": lambda session, claims, *_: store.taken_by_person(session, [claim.case_id for claim in claims]),
    "newest_decisions": lambda session, claims, *_: store.newest_decisions(
        session, [claim.case_id for claim in claims]
    ),
    "in_flight": lambda session, _, lane, __: chain_store.in_flight(session, lane),
    "open_transactions": lambda session, *_: chain_store.open_transactions(session, CHAIN_ID),
    "transactions": lambda session, _, lane, __: chain_store.transactions(session, lane, TxStatus.SIGNED),
    "attempts": lambda session, _, __, transaction: chain_store.attempts(session, [transaction]),
    "carried": lambda session, _, __, transaction: chain_store.carried(session, [transaction]),
    "resolve": lambda session, _, __, transaction: chain_store.resolve(session, [transaction], NOW),
    "locked_transactions": lambda session, _, __, transaction: chain_store.locked(session, [transaction]),
}


async def test_no_step_reads_a_large_table_from_end_to_end(full: Database) -> None:
    async with full.read() as session:
        claims = list(await session.scalars(sa.select(Claim).order_by(Claim.id).limit(5)))
        transaction = await session.scalar(sa.select(Transaction).limit(1))
    assert transaction is not None
    found = {}
    for name, ask in QUESTIONS.items():
        asked = Asked()
        asked.listen(full)
        async with full.write() as session:
            await ask(session, claims, transaction.lane_id, transaction.id)
        assert asked, f"{name} asked nothing"
        for statement, parameters in asked:
            lines = whole_tables(await _plan(full, statement, parameters))
            if lines:
                found[name] = lines
    assert found == {}


async def test_renewals_are_found_by_an_index_of_those_that_can_be_renewed(full: Database) -> None:
    asked = Asked()
    asked.listen(full)
    async with full.read() as session:
        await QUESTIONS["due_for_renewal"](session, [], "", "")
    lines = [line for statement, parameters in asked for line in await _plan(full, statement, parameters)]
    assert any("ix_claims_renewal" in line for line in lines), lines


async def test_a_scan_would_be_seen(full: Database) -> None:
    assert whole_tables(await _plan(full, "SELECT * FROM claims WHERE signature = 'x'", ())) != []
