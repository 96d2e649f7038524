"""Lists, timelines and the review queue among a million cases: how long does a page take?

    benchmarks/run lists [--store postgresql] [--cases 1000000] --json

The store is filled by SQL: subjects, cases in every state, three moves and one claim for each case. Then each page is
asked for over HTTP, one after the other, at places all over the store. Milliseconds from the request to the last byte
of the answer; `over_20_ms` names the pages whose 95th percentile is above that. Beside each stands the same page of an
empty store, measured in the same run: what the way through the API costs by itself.
"""

import argparse
import asyncio
import json
import random
import statistics
import time
from datetime import UTC, datetime

import httpx
import sqlalchemy as sa

from benchmarks.servers import granian
from issuer.access.store import create_key
from issuer.db import Database
from tests.factories import api_environment
from tests.stores import fresh_store

ASKED = 60
GOAL_MS = 20.0
STATUSES = ("created", "submitted", "approved", "approved", "approved", "approved", "approved", "declined", "expired")
MOVES = 3
REVIEWED = 5_000  # of all cases wait for a person; a queue is short, or nobody would look at it


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.set_defaults(store="postgresql")


def main(args: argparse.Namespace) -> int:
    pages: dict[str, dict[str, float]] = {}
    for name, count in (("empty", 1), ("full", args.cases)):
        with fresh_store(args.store) as url:
            key, seconds = asyncio.run(_fill(url, count))
            with granian(
                "api.app:create_app", api_environment(url, CLAIMWRIGHT_LOG_LEVEL="error"), probe="/health/ready"
            ) as port:
                for page, measured in asyncio.run(_ask(port, key, count)).items():
                    pages.setdefault(page, {})[name] = measured["p50"]
                    pages[page] |= {"p95": measured["p95"]} if name == "full" else {}
    over = [page for page, measured in pages.items() if measured["p95"] > GOAL_MS]
    if not args.json:
        for page, measured in pages.items():
            print(f"{page:24}" + "".join(f"{name:>8} {value:8.2f} ms" for name, value in measured.items()))
    result = {"store": args.store, "cases": args.cases, "filled_s": round(seconds), "ms": pages, "over_20_ms": over}
    print(json.dumps({"benchmark": "lists"} | result))
    return 0


async def _fill(url: str, count: int) -> tuple[str, float]:
    """An API key, and how many seconds it took."""
    began = time.perf_counter()
    db = Database(url)
    try:
        async with db.write() as session:
            _, key = await create_key(session, "benchmark", ["*"], datetime.now(UTC))
        async with db.engine.begin() as connection:
            if not db.is_sqlite:
                await connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            for statement in _rows(count, sqlite=db.is_sqlite):
                await connection.exec_driver_sql(statement)
        async with db.engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            if not db.is_sqlite:
                await connection.exec_driver_sql("SET statement_timeout = 0")
            await connection.execute(sa.text("ANALYZE"))
    finally:
        await db.aclose()
    return key.reveal(), time.perf_counter() - began


def _rows(count: int, *, sqlite: bool) -> list[str]:
    """Statements that fill the tables; row n of each belongs to case n, and three cases to a wallet."""
    counted = f"WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < {count})"
    numbers = f"({counted} SELECT n FROM counted)" if sqlite else f"generate_series(1, {count}) AS n"
    hexed = "printf('%032x', n)" if sqlite else "lpad(to_hex(n), 32, '0')"
    wallet = "printf('0x%040d', n / 3)" if sqlite else "'0x' || lpad((n / 3)::text, 40, '0')"
    at = int(datetime.now(UTC).timestamp() * 1_000_000) - count
    status = "CASE " + " ".join(f"WHEN n % {len(STATUSES)} = {i} THEN '{word}'" for i, word in enumerate(STATUSES))
    status = f"CASE WHEN n % {max(1, count // REVIEWED)} = 0 THEN 'in_review' ELSE {status} ELSE 'created' END END"
    tables: dict[str, dict[str, str]] = {
        "subjects": {"id": f"'sub_' || {hexed}", "created_at": f"{at} + n"},
        "subject_wallets": {
            "id": f"'wal_' || {hexed}", "subject_id": f"'sub_' || {hexed}", "created_at": f"{at}",
            "wallet": "printf('0x%040d', n)" if sqlite else "'0x' || lpad(n::text, 40, '0')",
        },
        "cases": {
            "id": f"'case_' || {hexed}", "subject_id": f"'sub_' || {hexed}", "level": "'basic'", "wallet": wallet,
            "chain_ids": "'[31337]'", "reference": "'ref-' || n", "provider": "'persona'", "environment": "'sandbox'",
            "template": "'itmpl_1'", "check_ref": "'inq_' || n", "start_attempt": "0", "status": status,
            "reasons": "'[]'", "next_check_at": f"{at} + n", "created_at": f"{at} + n", "updated_at": f"{at} + n",
        },
        "decisions": {
            "id": f"'dec_' || {hexed}", "case_id": f"'case_' || {hexed}", "outcome": "'approved'",
            "provider_status": "'approved'", "decided_at": f"{at}", "read_at": f"{at}", "mac": "'1:00'",
        },
        "claims": {
            "id": f"'clm_' || {hexed}", "case_id": f"'case_' || {hexed}", "decision_id": f"'dec_' || {hexed}",
            "revision": "0", "wallet": wallet, "identity": f"'0x00000000' || {hexed}", "topic": "'1129054209'",
            "chain_id": "31337", "form": "'signed'", "onchain_id": "'0x00'", "status": "'revoked'",
            "validity_seconds": "1", "salt": "'1:00'", "next_try_at": f"{at}", "created_at": f"{at}",
            "updated_at": f"{at}",
        },
    }  # fmt: skip
    statements = [_insert(table, columns, numbers) for table, columns in tables.items()]
    for move in range(MOVES):
        columns = {
            "id": f"'his_{move}' || substr({hexed}, 2)", "case_id": f"'case_' || {hexed}", "at": f"{at} + n",
            "source": "'created'", "target": "'started'", "cause": "'provider'", "detail": "'{}'",
        }  # fmt: skip
        statements.append(_insert("history", columns, numbers))
    return statements


def _insert(table: str, columns: dict[str, str], numbers: str) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(columns.values())} FROM {numbers}"


async def _ask(port: int, key: str, count: int) -> dict[str, dict[str, float]]:
    dice = random.Random(7)
    headers = {"Authorization": f"Bearer {key}"}
    found: dict[str, dict[str, float]] = {}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False) as http:
        cursor = (await http.get("/v1/cases", params={"limit": 1})).json()["next_cursor"]

        def somewhere() -> int:
            return dice.randrange(1, count + 1)

        pages = {
            "newest cases": lambda: ("/v1/cases", {}),
            "cases, next page": lambda: ("/v1/cases", {"cursor": cursor} if cursor else {}),
            "cases by wallet": lambda: ("/v1/cases", {"wallet": f"0x{somewhere() // 3 or 1:040d}"}),
            "cases by reference": lambda: ("/v1/cases", {"reference": f"ref-{somewhere()}"}),
            "cases by status": lambda: ("/v1/cases", {"status": dice.choice(STATUSES)}),
            "cases by level": lambda: ("/v1/cases", {"level": "basic"}),
            "cases by a rare level": lambda: ("/v1/cases", {"level": "full"}),
            "one case": lambda: (f"/v1/cases/case_{somewhere():032x}", {}),
            "timeline": lambda: (f"/v1/cases/case_{somewhere():032x}/timeline", {}),
            "claims by wallet": lambda: ("/v1/claims", {"wallet": f"0x{somewhere() // 3 or 1:040d}"}),
            "newest claims": lambda: ("/v1/claims", {}),
            "claims by a rare status": lambda: ("/v1/claims", {"status": "failed"}),
            "claims by reference": lambda: ("/v1/claims", {"reference": f"ref-{somewhere()}"}),
            "claims by a rare level": lambda: ("/v1/claims", {"level": "full"}),
            "attempts of a person": lambda: (f"/v1/subjects/0x{somewhere() // 3 or 1:040d}/stats", {}),
            "where people are lost": lambda: ("/v1/reports/failures", {}),
            "status of a wallet": lambda: (f"/v1/subjects/0x{somewhere() // 3 or 1:040d}/status", {}),
            "review queue": lambda: ("/v1/reviews", {}),
        }
        for name, where in pages.items():
            took = []
            for _ in range(ASKED):
                path, params = where()
                began = time.perf_counter()
                answer = await http.get(path, params=params)
                took.append((time.perf_counter() - began) * 1000)
                answer.raise_for_status()
            took.sort()
            found[name] = {"p50": round(statistics.median(took), 2), "p95": round(took[int(ASKED * 0.95)], 2)}
    return found
