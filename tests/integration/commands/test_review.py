"""`claimwright operator` and `claimwright case`: a personal token, the queue, a ruling by two."""

import asyncio
import json
from typing import Any

import pytest

from issuer import cli
from issuer.access import operators
from issuer.cases.rules import CaseStatus
from issuer.db import Database
from issuer.reviews import store
from issuer.reviews.rules import RulingStatus
from tests import factories


@pytest.fixture(autouse=True)
def environment(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", db.url.render_as_string(hide_password=False))


@pytest.fixture
def claimwright(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    async def run(*argv: str, token: str | None = None) -> Any:
        """What a command printed as JSON, or its error line."""
        if token is None:
            monkeypatch.delenv(operators.TOKEN, raising=False)
        else:
            monkeypatch.setenv(operators.TOKEN, token)
        code = await asyncio.to_thread(cli.run, [*argv])
        out = capsys.readouterr()
        return json.loads(out.out) if code == 0 else out.err

    return run


async def add(db: Database, **more: Any) -> str:
    async with db.write() as session:
        subject = factories.subject()
        session.add(subject)
        await session.flush()
        case = factories.case(subject.id, **{"status": CaseStatus.IN_REVIEW} | more)
        session.add(case)
        return str(case.id)


async def test_a_case_from_the_queue_to_a_ruling_that_is_ready(db: Database, claimwright: Any) -> None:
    ada = await claimwright("operator", "new", "Ada", "--json")
    ben = await claimwright("operator", "new", "Ben", "--json")
    assert ada["token"].startswith(f"cwo_{ada['id']}_")
    case_id = await add(db)
    (waiting,) = await claimwright("case", "queue", "--json")
    assert (waiting["case"], waiting["seen"], waiting["ruling"]) == (case_id, "in_review@0", None)
    act = ("case", "approve", case_id, "--reason", "evidence_accepted", "--seen", waiting["seen"], "--json")
    proposed = await claimwright(*act, token=ada["token"])
    assert proposed["status"] == "proposed"
    assert "four eyes" in await claimwright("case", "second", proposed["id"], token=ada["token"])
    assert (await claimwright("case", "queue", "--json"))[0]["proposed_by"] == ada["id"]
    seconded = await claimwright("case", "second", proposed["id"], "--json", token=ben["token"])
    assert (seconded["status"], seconded["seconded_by"]) == ("ready", ben["id"])
    assert "only a proposed one" in await claimwright("case", "withdraw", proposed["id"])


async def test_what_can_go_wrong_is_one_line(db: Database, claimwright: Any) -> None:
    case_id = await add(db)
    assert operators.TOKEN in await claimwright("case", "decline", case_id, "--reason", "underage")
    assert "no operator token" in await claimwright("case", "decline", case_id, "--reason", "underage", token="x")
    ada = await claimwright("operator", "new", "Ada", "--json")
    assert "never used twice" in await claimwright("operator", "new", "Ada")
    wrong = await claimwright("case", "decline", case_id, "--reason", "ugly", token=ada["token"])
    assert "reason: must be one of" in wrong
    assert "watchlist_hit" in wrong
    assert ada["token"] not in wrong
    await claimwright("operator", "revoke", ada["id"], "--json")
    assert "revoked" in await claimwright("case", "decline", case_id, "--reason", "underage", token=ada["token"])
    (row,) = await claimwright("operator", "list", "--json")
    assert row["revoked_at"] is not None
    assert "token" not in row


async def test_a_decline_is_ready_at_once_and_a_proposal_can_be_withdrawn(db: Database, claimwright: Any) -> None:
    ada = await claimwright("operator", "new", "Ada", "--json")
    declined = await add(db)
    ready = await claimwright("case", "decline", declined, "--reason", "underage", "--json", token=ada["token"])
    assert ready["status"] == "ready"
    other = await add(db, wallet=factories.IDENTITY)
    act = ("case", "approve", other, "--reason", "evidence_accepted", "--json")
    proposed = await claimwright(*act, token=ada["token"])
    assert (await claimwright("case", "withdraw", proposed["id"], "--json"))["status"] == "withdrawn"
    async with db.read() as session:
        assert await store.to_do(session, limit=5) == [ready["id"]]
        assert (await store.of_case(session, other))[0].status == RulingStatus.WITHDRAWN
