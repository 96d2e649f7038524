"""`claimwright subject` on both stores: everything of one person at once, holds, attempts."""

import asyncio
import json
from typing import Any

import pytest

from issuer import cli
from issuer.cases import store as cases
from issuer.cases.rules import CaseStatus
from issuer.cases.tables import SubjectWallet
from issuer.claims import store as claims
from issuer.claims.rules import ClaimStatus
from issuer.db import Database
from issuer.ids import new_id
from tests import factories
from tests.factories import NOW, WALLET

OTHER = "0x52908400098527886E0F7030069857D2E4169EE7"


@pytest.fixture
def claimwright(db: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("DATABASE_URL", db.url.render_as_string(hide_password=False))

    async def run(*argv: str) -> Any:
        capsys.readouterr()
        code = await asyncio.to_thread(cli.run, ["subject", *argv])
        out = capsys.readouterr()
        return json.loads(out.out) if code == 0 else out.err

    return run


async def verified(db: Database, wallet: str, identity: str) -> str:
    """A person with one wallet and a claim that stands; the case."""
    async with db.write() as session:
        subject = factories.subject()
        session.add(subject)
        await session.flush()
        session.add(SubjectWallet(id=new_id("wal"), subject_id=subject.id, wallet=wallet, created_at=NOW))
        case = factories.case(subject.id, status=CaseStatus.APPROVED, wallet=wallet)
        session.add(case)
        await session.flush()
        decision = factories.decision(case.id)
        session.add(decision)
        await session.flush()
        word = "0x01" + "00" * 31
        session.add(
            factories.claim(
                case.id, decision.id, identity=identity, wallet=wallet, status=ClaimStatus.CONFIRMED, word=word, epoch=0
            )
        )
    return str(case.id)


async def test_a_revocation_reaches_every_wallet_of_the_person(db: Database, claimwright: Any) -> None:
    mine, linked = await verified(db, WALLET, "0x" + "11" * 20), await verified(db, OTHER, "0x" + "22" * 20)
    async with db.write() as session:
        await cases.link_wallet(session, "default", WALLET, OTHER, NOW)
    exported = await claimwright("export", OTHER)
    assert {one["wallet"] for one in exported["wallets"]} == {WALLET, OTHER}
    assert {one["id"] for one in exported["cases"]} == {mine, linked}
    assert await claimwright("revoke", OTHER, "--reason", "sanctions", "--json") == {"claims_taken_back": 2}
    async with db.read() as session:
        for case_id in (mine, linked):
            assert (await cases.get(session, case_id, "default")).status == CaseStatus.REVOKED
            (claim,) = (await claims.of_cases(session, [case_id]))[case_id]
            assert (claim.status, claim.revoke_reason) == (ClaimStatus.REVOKING, "sanctions")
    assert await claimwright("revoke", OTHER, "--reason", "sanctions", "--json") == {"claims_taken_back": 0}


async def test_a_hold_a_release_and_a_reset(db: Database, claimwright: Any) -> None:
    await verified(db, WALLET, "0x" + "11" * 20)
    assert "no legal hold" in await claimwright("release", WALLET)
    held = await claimwright("hold", WALLET, "--reason", "case 4711 of the court", "--json")
    assert (held["hold_reason"], held["held_at"] is not None) == ("case 4711 of the court", True)
    assert (await claimwright("release", WALLET, "--json"))["held_at"] is None
    assert (await claimwright("reset", WALLET, "--json"))["reset_at"] is not None
    exported = await claimwright("export", WALLET)
    assert [one["wallet"] for one in exported["wallets"]] == [WALLET]
    assert "nothing is known" in await claimwright("export", OTHER)
