"""From webhooks in any order to decided cases and confirmed claims: how many a second, and is every state right?

    benchmarks/run decisions [--store sqlite|postgresql] [--webhooks 10000] --json

The whole local stack with a real Persona simulator. A quarter as many cases as webhooks, each with four events; a tenth
of all deliveries come twice, a twentieth more are forged; all are shuffled and sent by 50 callers. The clock runs from
the first delivery until each event is handled and each claim is where it belongs. Then every case is held against
Persona's own word for it, and every claim against the chain. Reading alone: Persona asked once for each delivery, one
after the other, as a handler does that decides inside the webhook, and nothing kept, nothing signed, nothing sent.
"""

import argparse
import asyncio
import json
import random
import re
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import sqlalchemy as sa

from benchmarks.load import drive
from issuer.addresses import eip55
from issuer.cases.rules import CaseStatus
from issuer.cases.tables import Case, Subject
from issuer.chain import contracts
from issuer.chain.gateway import Gateway
from issuer.claims.rules import ClaimStatus
from issuer.claims.tables import Claim
from issuer.db import Database
from issuer.ids import new_id
from issuer.inbox.tables import InboxEvent
from issuer.secrets import Secret
from scripts.demo import contract_topic
from scripts.persona_simulator.launch import TEMPLATE_ID
from scripts.stack import Stack
from tests.factories import signature
from tests.stores import fresh_store

CALLERS = 50
DUPLICATES, FORGED = 0.10, 0.05
ALONE = 200
PATIENCE_SECONDS = 900.0
# Persona's last word, and what our case is then; the shares of cases that end so.
ENDS = {
    "approved": (CaseStatus.APPROVED, 0.6),
    "declined": (CaseStatus.DECLINED, 0.15),
    "needs_review": (CaseStatus.IN_REVIEW, 0.1),
    "failed": (CaseStatus.FAILED, 0.05),
    "expired": (CaseStatus.EXPIRED, 0.05),
    "completed": (CaseStatus.SUBMITTED, 0.05),
}
EVENTS = {"needs_review": "inquiry.marked-for-review"}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--webhooks", type=int, default=10_000)


def main(args: argparse.Namespace) -> int:
    with fresh_store(args.store) as url, tempfile.TemporaryDirectory(prefix="cw-decisions-") as folder:
        result = asyncio.run(measure(url, Path(folder), args.webhooks)) | {"store": args.store}
    if not args.json:
        for name, value in result.items():
            print(f"{name:28} {value}")
    print(json.dumps({"benchmark": "decisions"} | result))
    return 0 if not result["wrong"] else 1


async def measure(database_url: str, folder: Path, webhooks: int, seed: int = 7) -> dict[str, Any]:
    """`wrong` names cases and claims that are not as they must be: empty, or the run has failed."""
    dice = random.Random(seed)
    quiet = {"CLAIMWRIGHT_SILENT_SECONDS": "3600"}
    stack = Stack(folder / "stack", database_url=database_url, block_time=1.0, settings=quiet)
    async with stack, httpx.AsyncClient(timeout=30, trust_env=False) as http:
        db, gateway = Database(stack.database_url), Gateway(Secret(stack.rpc_url))
        try:
            ends = _ends(webhooks // 4, dice)
            cases = await _open(db, stack, http, ends)
            true, forged = _deliveries(stack, cases, ends, dice)
            alone = await _reading_alone(stack, http, list(cases)[:ALONE])
            work = true + forged
            dice.shuffle(work)
            began = time.perf_counter()
            driven = await drive(int(stack.api_url.rpartition(":")[2]), list(work), CALLERS)
            acked = time.perf_counter() - began
            await _settled(db, len(ends) * 4, sum(end == "approved" for end in ends))
            seconds = time.perf_counter() - began
            wrong = await _wrong(db, gateway, stack, cases)
            reads = await _reads(stack, http)
        finally:
            await gateway.aclose()
            await db.aclose()
    if driven["accepted"] != len(true):
        wrong.append(f"{driven['accepted']:.0f} deliveries were answered 202, and {len(true)} are Persona's own")
    return {
        "webhooks": len(work),
        "duplicates": len(true) - len(ends) * 4,
        "forged": len(forged),
        "callers": CALLERS,
        "acknowledged_per_second": round(len(work) / acked),
        "webhooks_per_second": round(len(work) / seconds),
        "seconds": round(seconds, 2),
        "reads_per_event": round(reads / (len(ends) * 4), 3),
        "times_reading_alone": round(alone / ALONE * len(work) / seconds, 2),
        "wrong": wrong[:20],
    }


def _ends(count: int, dice: random.Random) -> list[str]:
    return dice.choices(list(ENDS), [share for _, share in ENDS.values()], k=count)


async def _open(db: Database, stack: Stack, http: httpx.AsyncClient, ends: list[str]) -> dict[str, str]:
    """Cases as the API opens them, and their inquiries as they will have ended; check > what it ended as."""
    now = datetime.now(UTC)
    cases: dict[str, str] = {}
    rows: list[Case] = []
    async with db.write() as session:
        for number, end in enumerate(ends):
            subject = Subject(id=new_id("sub"), created_at=now)
            session.add(subject)
            check = f"inq_decisions{number:08d}"
            cases[check] = end
            rows.append(
                Case(
                    id=new_id("case"), subject_id=subject.id, level="basic", wallet=_wallet(number),
                    chain_ids=[stack.chain_id], provider="persona", environment="sandbox", template=TEMPLATE_ID,
                    check_ref=check, status=CaseStatus.CREATED, reasons=[], created_at=now, updated_at=now,
                    next_check_at=now + timedelta(hours=1),
                )
            )  # fmt: skip
        await session.flush()
        session.add_all(rows)
    slots = asyncio.Semaphore(CALLERS)

    async def seed(case: Case) -> None:
        end = cases[str(case.check_ref)]
        body = {
            "id": case.check_ref, "status": end, "reference-id": case.subject_id, "template-id": TEMPLATE_ID,
            "decisioned-at": _iso(now) if end in ("approved", "declined") else None, "updated-at": _iso(now),
        }  # fmt: skip
        async with slots:
            headers = {"X-Simulator-Key": stack.persona_api_key}
            answer = await http.post(f"{stack.persona_url}/_sim/inquiries", json=body, headers=headers)
            answer.raise_for_status()

    await asyncio.gather(*map(seed, rows))
    return cases


def _deliveries(
    stack: Stack, cases: dict[str, str], ends: list[str], dice: random.Random
) -> tuple[list[bytes], list[bytes]]:
    """Whole HTTP requests: Persona's own, some of them twice, and those of somebody who has not the secret."""
    bodies = []
    for check, end in cases.items():
        names = ["inquiry.created", "inquiry.started", "inquiry.completed", EVENTS.get(end, f"inquiry.{end}")]
        bodies += [_body(f"evt_{check}_{place}", name, check) for place, name in enumerate(names)]
    true = [_request(body, signature(body, secret=stack.webhook_secret)) for body in bodies]
    true += dice.sample(true, round(len(true) * DUPLICATES))
    lies = dice.sample(bodies, round(len(bodies) * FORGED))
    forged = [_request(body, signature(body, secret="wbhsec_" + "0" * 36)) for body in lies]
    assert len(cases) == len(ends)
    return true, forged


def _body(key: str, name: str, check: str) -> bytes:
    inquiry = {"type": "inquiry", "id": check, "attributes": {"status": "pending"}}
    attributes = {"name": name, "created-at": _iso(datetime.now(UTC)), "payload": {"data": inquiry}}
    return msgspec.json.encode({"data": {"type": "event", "id": key, "attributes": attributes}})


def _request(body: bytes, signed: str) -> bytes:
    head = (
        "POST /webhooks/persona HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\npersona-signature: {signed}\r\n\r\n"
    )
    return head.encode() + body


async def _reading_alone(stack: Stack, http: httpx.AsyncClient, checks: list[str]) -> float:
    headers = {"Authorization": f"Bearer {stack.persona_api_key}"}
    began = time.perf_counter()
    for number in range(ALONE):
        check = checks[number % len(checks)]
        (await http.get(f"{stack.persona_url}/api/v1/inquiries/{check}", headers=headers)).raise_for_status()
    return time.perf_counter() - began


async def _settled(db: Database, events: int, approved: int) -> None:
    """Until each event is handled and each approval has its claim on chain."""
    deadline = time.perf_counter() + PATIENCE_SECONDS
    while time.perf_counter() < deadline:
        async with db.read() as session:
            handled = await session.scalar(sa.select(sa.func.count()).where(InboxEvent.handled_at.is_not(None)))
            confirmed = await session.scalar(sa.select(sa.func.count()).where(Claim.status == ClaimStatus.CONFIRMED))
        if (handled or 0) >= events and (confirmed or 0) >= approved:
            return
        await asyncio.sleep(0.1)


async def _wrong(db: Database, gateway: Gateway, stack: Stack, cases: dict[str, str]) -> list[str]:
    async with db.read() as session:
        rows = {str(row.check_ref): row for row in await session.scalars(sa.select(Case))}
        claims = Counter((row.case_id, str(row.status)) for row in await session.scalars(sa.select(Claim)))
        events = await session.scalar(sa.select(sa.func.count()).select_from(InboxEvent))
        unhandled = await session.scalar(sa.select(sa.func.count()).where(InboxEvent.handled_at.is_(None)))
    wrong = []
    if (events, unhandled) != (len(cases) * 4, 0):
        wrong.append(f"{events} events are kept and {unhandled} not handled, of {len(cases) * 4}")
    for check, end in cases.items():
        row, (status, _) = rows[check], ENDS[end]
        own = {key: count for key, count in claims.items() if key[0] == row.id} if row.status != status else {}
        if row.status != status:
            wrong.append(f"{check} is {row.status}, and Persona says {end} {own}")
        wanted = {(row.id, "confirmed"): 1} if end == "approved" else {}
        if claims.get((row.id, "confirmed"), 0) != len(wanted):
            wrong.append(f"{check} ended {end} and has {claims.get((row.id, 'confirmed'), 0)} claims")
    if sum(claims.values()) != sum(end == "approved" for end in cases.values()):
        wrong.append(f"{sum(claims.values())} claims stand for {sum(end == 'approved' for end in cases.values())}")
    registry, topic = stack.contracts["ClaimIssuerRegistry"], contract_topic()
    checks = list(rows)
    for start in range(0, len(checks), 200):
        page = checks[start : start + 200]
        answers = await gateway.call([contracts.is_verified(registry, rows[check].wallet, topic) for check in page])
        for check, answer in zip(page, answers, strict=True):
            if contracts.decode_bool(answer) != (cases[check] == "approved"):
                wrong.append(f"the chain is wrong about {check}")
    return wrong


async def _reads(stack: Stack, http: httpx.AsyncClient) -> float:
    """How often the daemon has asked Persona about a check, by its own count."""
    text = (await http.get(f"{stack.private_urls['daemon']}/metrics")).text
    return sum(float(count) for count in re.findall(r"provider_requests_total\{[^}]*fetch a check[^}]*\} (\S+)", text))


def _wallet(number: int) -> str:
    return eip55(f"0x{0xDEC1 << 64 | number + 1:040x}")


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
