"""`claimwright claim` on both stores: one claim, or many after they were counted."""

import asyncio
import json
from typing import Any

import pytest

from issuer import cli
from issuer.cases.rules import CaseStatus
from issuer.claims import store as claims
from issuer.claims.rules import ClaimStatus
from issuer.claims.tables import Claim
from issuer.db import Database
from tests import factories

WORD = "0x01" + "00" * 31


@pytest.fixture(autouse=True)
def environment(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", db.url.render_as_string(hide_password=False))


async def add(db: Database, of: dict[str, Any] | None = None, **more: Any) -> str:
    """A claim of an approved case, `of` which more may be said; its id."""
    async with db.write() as session:
        subject = factories.subject()
        session.add(subject)
        await session.flush()
        case = factories.case(subject.id, status=CaseStatus.APPROVED, **(of or {}))
        session.add(case)
        await session.flush()
        decision = factories.decision(case.id)
        session.add(decision)
        await session.flush()
        identity = "0x" + case.id[-40:].upper().rjust(40, "0")
        claim = factories.claim(case.id, decision.id, **{"identity": identity} | more)
        session.add(claim)
        return str(claim.id)


async def claimwright(*argv: str) -> int:
    """In a thread: the command runs an event loop of its own."""
    return await asyncio.to_thread(cli.run, ["claim", *argv])


async def get(db: Database, claim_id: str) -> Claim:
    async with db.read() as session:
        found = await claims.get(session, claim_id)
    assert found is not None
    return found


async def test_many_are_counted_before_they_are_revoked(db: Database, capsys: pytest.CaptureFixture[str]) -> None:
    waiting = [await add(db) for _ in range(3)]
    standing = await add(db, status=ClaimStatus.CONFIRMED, word=WORD, epoch=0)
    elsewhere = await add(db, chain_id=1)
    over = await add(db, status=ClaimStatus.SUPERSEDED)
    choice = ("revoke", "--reason", "test", "--chain", "31337", "--level", "basic", "--before", "2026-11-21", "--json")
    assert await claimwright(*choice) == 0
    assert json.loads(capsys.readouterr().out) == {"would_be_revoked": 4, "go_on_with": "--expect 4"}
    assert await claimwright(*choice, "--expect", "3") == 1
    assert "4 claims would be revoked, not 3" in capsys.readouterr().err
    assert (await get(db, standing)).status == ClaimStatus.CONFIRMED

    assert await claimwright(*choice, "--expect", "4", "--batch", "2", "--pause", "0") == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == {"revoked": 4}
    assert told.err.splitlines() == ["2 revoked", "4 revoked"]
    assert [(await get(db, one)).status for one in waiting] == [ClaimStatus.CANCELLED] * 3
    assert (await get(db, standing)).status == ClaimStatus.REVOKING
    assert (await get(db, elsewhere)).status == ClaimStatus.QUEUED
    assert (await get(db, over)).status == ClaimStatus.SUPERSEDED


async def test_who_is_affected_is_shown_before_anything_is_revoked(
    db: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    signer = "0x52908400098527886E0F7030069857D2E4169EE7"
    spring = await add(db, {"tag": "spring", "reference": "order-1"})
    signed = await add(db, {"tag": "autumn"}, status=ClaimStatus.CONFIRMED, word=WORD, epoch=0, signer=signer)
    over = await add(db, {"tag": "spring"}, status=ClaimStatus.SUPERSEDED)

    async def affected(*choice: str) -> list[str]:
        capsys.readouterr()
        assert await claimwright("affected", *choice, "--json") == 0
        return [row["id"] for row in json.loads(capsys.readouterr().out)]

    assert await affected("--tag", "spring") == [spring]
    assert over not in await affected("--level", "basic")
    assert await affected("--signed-by", signer) == [signed]
    assert await affected("--tag", "spring", "--signed-by", signer) == []
    assert await claimwright("affected") == 1
    assert "which ones" in capsys.readouterr().err
    assert await claimwright("affected", "--signed-by", signer.lower()) == 1
    assert await claimwright("revoke", "--reason", "test", "--tag", "spring", "--expect", "1", "--json") == 0
    assert (await get(db, spring)).status == ClaimStatus.CANCELLED
    assert (await get(db, signed)).status == ClaimStatus.CONFIRMED


async def test_a_time_that_nothing_is_before_names_nothing(db: Database, capsys: pytest.CaptureFixture[str]) -> None:
    await add(db)
    assert await claimwright("revoke", "--reason", "test", "--before", "2026-01-01T00:00:00Z", "--json") == 0
    assert json.loads(capsys.readouterr().out)["would_be_revoked"] == 0


@pytest.mark.parametrize("argv", [(), ("clm_1", "--level", "basic"), ("--before", "soon")])
async def test_what_to_revoke_is_said_once_and_plainly(
    argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert await claimwright("revoke", "--reason", "test", *argv) in (1, 2)
    assert len(capsys.readouterr().err.splitlines()) == 1


async def test_one_is_renewed_on_demand(db: Database, capsys: pytest.CaptureFixture[str]) -> None:
    standing = await add(db, status=ClaimStatus.CONFIRMED, word=WORD, epoch=0)
    assert await claimwright("renew", standing, "--json") == 0
    assert (await get(db, standing)).renew_at is not None
    removed = await add(db, status=ClaimStatus.REMOVED, word=WORD, epoch=0)
    capsys.readouterr()
    assert await claimwright("renew", removed) == 1
    assert "its holder removed it" in capsys.readouterr().err


async def test_one_that_failed_is_tried_again(db: Database, capsys: pytest.CaptureFixture[str]) -> None:
    failed = await add(db, status=ClaimStatus.FAILED, failures=5)
    assert await claimwright("retry", failed, "--json") == 0
    found = await get(db, failed)
    assert (found.status, found.failures) == (ClaimStatus.QUEUED, 0)
    assert await claimwright("retry", failed) == 1
    assert await claimwright("retry", "clm_none") == 1


async def test_what_its_holder_may_send_is_shown(db: Database, capsys: pytest.CaptureFixture[str]) -> None:
    signed = {"word": WORD, "signature": "0x" + "11" * 64, "issuer": factories.WALLET}
    claim_id = await add(db, status=ClaimStatus.SIGNED, **signed)
    assert await claimwright("calldata", claim_id, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["to"] == (await get(db, claim_id)).identity
    assert WORD[2:] in shown["data"]
