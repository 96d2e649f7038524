"""A claim is made anew before it ends, in one transaction that leaves no gap, and only while its approval stands."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from issuer.cases import people
from issuer.cases.tables import Decision
from issuer.chain import rules as chain_rules
from issuer.claims import renewal
from issuer.claims.queueing import Issuance
from issuer.claims.rules import ClaimStatus
from issuer.claims.tables import Claim
from issuer.clock import now
from issuer.db import Database
from issuer.errors import Conflict
from issuer.providers.protocol import Outcome
from tests.integration.engine.conftest import CHAIN_ID, Engine, rpc
from tests.integration.engine.test_issue_and_revoke import confirmed

S = ClaimStatus


def renewals(engine: Engine, *, days: int = 0) -> renewal.Renewals:
    """`days` ahead of now."""
    issuance = Issuance(claim_issuers={CHAIN_ID: engine.at.claim_issuer}, data_keys=engine.data_keys)
    return renewal.Renewals(
        engine.db,
        issuance,
        chain_id=CHAIN_ID,
        decision_keys=engine.decision_keys,
        clock=lambda: datetime.now(UTC) + timedelta(days=days),
    )


async def make_due(db: Database, claim: Claim) -> None:
    async with db.write() as session:
        await renewal.ask(session, claim.id, actor="test", at=now())


async def test_a_claim_is_renewed_in_its_last_month_and_not_before(engine: Engine) -> None:
    case, first = await confirmed(engine)
    assert await renewals(engine, days=330).step() == 0
    assert await renewals(engine, days=340).step() == 1
    assert await renewals(engine, days=340).step() == 0  # once
    async with engine.db.write() as session:  # the renewal was queued in the future
        await session.execute(sa.update(Claim).where(Claim.status == S.QUEUED).values(next_try_at=now()))
    await engine.settle()
    old, new = await engine.claims_of(case)
    assert (old.status, new.status) == (S.SUPERSEDED, S.CONFIRMED)
    assert (new.decision_id, new.revision) == (first.decision_id, 1)
    assert new.word != old.word
    assert await engine.is_verified(case.wallet)


async def test_the_old_claim_stands_until_the_new_one_is_confirmed(engine: Engine) -> None:
    engine.restart(chain_rules.profile(CHAIN_ID, depth=3))
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)
    await engine.pump()
    await rpc(engine.url, "anvil_mine", hex(4))
    await engine.settle()
    (first,) = await engine.claims_of(case)
    await make_due(engine.db, first)
    await renewals(engine).step()
    seen = []

    async def note() -> None:
        seen.append([S(claim.status) for claim in await engine.claims_of(case)])
        assert await engine.is_verified(case.wallet)

    await note()
    await rpc(engine.url, "evm_setAutomine", False)
    await engine.pump()
    await note()
    for _ in range(3):
        await rpc(engine.url, "evm_mine")
        await engine.watcher.look()
        await note()
    await rpc(engine.url, "evm_setAutomine", True)
    assert seen == [
        [S.CONFIRMED, S.QUEUED],
        [S.CONFIRMED, S.SIGNED],
        [S.CONFIRMED, S.MINED],
        [S.CONFIRMED, S.MINED],
        [S.SUPERSEDED, S.CONFIRMED],
    ]


async def test_nothing_is_renewed_once_the_approval_is_gone(engine: Engine) -> None:
    case, _ = await confirmed(engine)
    await engine.ring(case, Outcome.DECLINED)
    assert await renewals(engine, days=400).step() == 0
    other, claim = await confirmed(engine)
    async with engine.db.write() as session:
        await session.execute(sa.update(Decision).where(Decision.id == claim.decision_id).values(mac="1:00"))
    assert await renewals(engine, days=400).step() == 0  # approved in the table, and no daemon has read it
    assert [row.status for row in await engine.claims_of(other)] == [S.CONFIRMED]


async def test_a_decline_takes_the_renewal_on_its_way_with_it(engine: Engine) -> None:
    case, claim = await confirmed(engine)
    await make_due(engine.db, claim)
    await renewals(engine).step()
    await rpc(engine.url, "evm_setAutomine", False)
    await engine.pump()
    await engine.ring(case, Outcome.DECLINED)
    assert [row.status for row in await engine.claims_of(case)] == [S.REVOKING, S.REVOKING]
    await engine.pump()
    await rpc(engine.url, "evm_mine")
    await rpc(engine.url, "evm_setAutomine", True)
    await engine.settle()
    assert [row.status for row in await engine.claims_of(case)] == [S.REVOKED, S.REVOKED]
    assert not await engine.is_verified(case.wallet)


async def test_a_person_revoking_either_means_both(engine: Engine) -> None:
    case, claim = await confirmed(engine)
    await make_due(engine.db, claim)
    await renewals(engine).step()
    async with engine.db.write() as session:
        await people.revoke_claim(session, claim_id=claim.id, reason="test", actor="test", at=now())
    await engine.settle()
    assert [row.status for row in await engine.claims_of(case)] == [S.REVOKED, S.CANCELLED]


async def test_a_newer_approval_follows_an_older_one_and_outlives_its_decline(engine: Engine) -> None:
    older, _ = await confirmed(engine)
    newer, _ = await confirmed(engine, older.wallet)
    assert [row.status for row in await engine.claims_of(older)] == [S.SUPERSEDED]
    await engine.ring(older, Outcome.DECLINED)
    await engine.settle()
    assert [row.status for row in await engine.claims_of(newer)] == [S.CONFIRMED]
    assert await engine.is_verified(older.wallet)


async def test_an_older_approval_that_is_declined_leaves_the_newer_claim_on_its_way_alone(engine: Engine) -> None:
    older, _ = await confirmed(engine)
    newer = await engine.open_case(older.wallet)
    await engine.ring(newer, Outcome.APPROVED)
    await rpc(engine.url, "evm_setAutomine", False)
    await engine.pump()
    await engine.ring(older, Outcome.DECLINED)
    assert [row.status for row in await engine.claims_of(older)] == [S.SUPERSEDED]
    await rpc(engine.url, "evm_mine")
    await rpc(engine.url, "evm_setAutomine", True)
    await engine.settle()
    assert [row.status for row in await engine.claims_of(newer)] == [S.CONFIRMED]
    assert await engine.is_verified(older.wallet)


async def test_a_newer_approval_that_is_declined_leaves_nothing_of_the_key(engine: Engine) -> None:
    older, _ = await confirmed(engine)
    newer = await engine.open_case(older.wallet)
    await engine.ring(newer, Outcome.APPROVED)
    await rpc(engine.url, "evm_setAutomine", False)
    await engine.pump()
    await engine.ring(newer, Outcome.DECLINED)
    await engine.pump()
    await rpc(engine.url, "evm_mine")
    await rpc(engine.url, "evm_setAutomine", True)
    await engine.settle()
    assert [row.status for row in await engine.claims_of(older)] == [S.SUPERSEDED]
    assert [row.status for row in await engine.claims_of(newer)] == [S.REVOKED]
    assert not await engine.is_verified(older.wallet)


async def test_a_better_claim_is_not_replaced(engine: Engine) -> None:
    older, claim = await confirmed(engine)
    async with engine.db.write() as session:
        endless = sa.update(Claim).where(Claim.id == claim.id).values(valid_until=now() + timedelta(days=4000))
        await session.execute(endless)
    newer = await engine.open_case(older.wallet)
    await engine.ring(newer, Outcome.APPROVED)
    await engine.cases.sweep()
    await engine.settle()
    assert await engine.claims_of(newer) == []
    assert [row.status for row in await engine.claims_of(older)] == [S.CONFIRMED]


async def test_a_failed_renewal_leaves_the_old_claim_and_can_be_tried_again(engine: Engine) -> None:
    case, claim = await confirmed(engine)
    await make_due(engine.db, claim)
    await renewals(engine).step()
    async with engine.db.write() as session:
        await session.execute(sa.update(Claim).where(Claim.status == S.QUEUED).values(status=S.FAILED, failures=5))
    _, failed = await engine.claims_of(case)
    async with engine.db.write() as session:
        with pytest.raises(Conflict):
            await renewal.retry(session, claim.id, actor="test", at=now())
    async with engine.db.write() as session:
        await renewal.retry(session, failed.id, actor="test", at=now())
    await engine.settle()
    assert [row.status for row in await engine.claims_of(case)] == [S.SUPERSEDED, S.CONFIRMED]
