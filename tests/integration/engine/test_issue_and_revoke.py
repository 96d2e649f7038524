"""The main job and its way back, on a real chain and both stores."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from issuer.cases import people
from issuer.cases.rules import CaseStatus
from issuer.cases.tables import Case, Decision
from issuer.chain import rules as chain_rules
from issuer.chain.gateway import Gateway
from issuer.chain.tables import Attempt, Lane, Transaction
from issuer.claims.rules import ClaimStatus
from issuer.claims.tables import Claim
from issuer.errors import LaneHeld, ProviderUnavailable
from issuer.history import History
from issuer.inbox.tables import InboxEvent
from issuer.providers.protocol import Outcome
from issuer.secrets import Secret
from tests.integration.engine.conftest import CHAIN_ID, ETHER, Engine, rpc


async def confirmed(engine: Engine, wallet: str | None = None) -> tuple[Case, Claim]:
    case = await engine.open_case(wallet)
    await engine.ring(case, Outcome.APPROVED)
    await engine.settle()
    (claim,) = await engine.claims_of(case)
    return case, claim


async def test_an_approval_becomes_a_claim_that_contracts_see(engine: Engine) -> None:
    case = await engine.open_case()
    assert not await engine.is_verified(case.wallet)
    await engine.ring(case, Outcome.APPROVED)
    await engine.settle()
    (claim,) = await engine.claims_of(case)
    assert claim.status == ClaimStatus.CONFIRMED
    assert claim.tx_hash
    assert claim.block_number
    assert claim.epoch == 0
    assert await engine.is_verified(case.wallet)
    async with engine.db.read() as session:
        moves = list(await session.scalars(sa.select(History).where(History.claim_id == claim.id).order_by(History.id)))
    assert [move.target for move in moves] == ["queued", "signed", "mined", "confirmed"]


async def test_completed_alone_issues_nothing(engine: Engine) -> None:
    case = await engine.open_case()
    await engine.ring(case, Outcome.SUBMITTED)
    await engine.settle()
    assert (await engine.case(case)).status == CaseStatus.SUBMITTED
    assert await engine.claims_of(case) == []


async def test_a_later_decline_revokes_and_a_still_later_approval_issues_anew(engine: Engine) -> None:
    case, claim = await confirmed(engine)
    await engine.ring(case, Outcome.DECLINED)
    await engine.settle()
    (claim,) = await engine.claims_of(case)
    assert claim.status == ClaimStatus.REVOKED
    assert claim.revoked_tx_hash not in (None, claim.tx_hash)
    assert not await engine.is_verified(case.wallet)

    await engine.ring(case, Outcome.APPROVED)
    await engine.settle()
    first, second = await engine.claims_of(case)
    assert (first.status, second.status) == (ClaimStatus.REVOKED, ClaimStatus.CONFIRMED)
    assert (first.epoch, second.epoch, second.revision) == (0, 1, 1)
    assert await engine.is_verified(case.wallet)


async def test_a_decline_before_signing_cancels_and_sends_nothing(engine: Engine) -> None:
    case = await engine.open_case()
    before = await engine.sent()
    await engine.ring(case, Outcome.APPROVED)
    await engine.ring(case, Outcome.DECLINED)
    await engine.settle()
    (claim,) = await engine.claims_of(case)
    assert claim.status == ClaimStatus.CANCELLED
    assert await engine.sent() == before


@pytest.mark.failure("F20")
async def test_a_decline_while_the_transaction_is_unmined_still_ends_unverified(engine: Engine) -> None:
    await rpc(engine.url, "evm_setAutomine", False)
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)
    await engine.pump()
    await engine.ring(case, Outcome.DECLINED)
    await engine.pump()
    (claim,) = await engine.claims_of(case)
    assert claim.status == ClaimStatus.REVOKING
    await rpc(engine.url, "evm_mine")
    await rpc(engine.url, "evm_setAutomine", True)
    await engine.settle()
    (claim,) = await engine.claims_of(case)
    assert claim.status == ClaimStatus.REVOKED
    assert not await engine.is_verified(case.wallet)


@pytest.mark.failure("F17", "F19")
async def test_twenty_rings_and_a_second_event_make_one_claim(engine: Engine) -> None:
    import asyncio

    case = await engine.open_case()
    before = await engine.sent()
    engine.persona.says(case, Outcome.APPROVED)
    events = [await engine.receive(case) for _ in range(2)]
    await asyncio.gather(*(engine.cases.handle_event(event) for event in events * 10))
    await engine.settle()
    assert [claim.status for claim in await engine.claims_of(case)] == [ClaimStatus.CONFIRMED]
    assert await engine.sent() == before + 1


async def test_a_person_outranks_later_provider_events(engine: Engine) -> None:
    case, claim = await confirmed(engine)
    async with engine.db.write() as session:
        await people.revoke_claim(
            session, claim_id=claim.id, reason="fraud report", actor="key_1", at=datetime.now(UTC)
        )
    await engine.settle()
    assert not await engine.is_verified(case.wallet)
    await engine.ring(case, Outcome.DECLINED)
    await engine.ring(case, Outcome.APPROVED)
    await engine.settle()
    assert (await engine.case(case)).status == CaseStatus.REVOKED
    assert [claim.status for claim in await engine.claims_of(case)] == [ClaimStatus.REVOKED]
    assert not await engine.is_verified(case.wallet)


async def test_a_newer_approval_of_the_same_wallet_supersedes(engine: Engine) -> None:
    old_case, _ = await confirmed(engine)
    new_case, new = await confirmed(engine, wallet=old_case.wallet)
    (old,) = await engine.claims_of(old_case)
    assert (old.status, new.status) == (ClaimStatus.SUPERSEDED, ClaimStatus.CONFIRMED)
    await engine.ring(old_case, Outcome.DECLINED)
    await engine.settle()
    assert await engine.is_verified(new_case.wallet), "a decline revokes only what its own case backs"


async def test_a_redacted_record_issues_nothing(engine: Engine) -> None:
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)
    await engine.ring(case, Outcome.APPROVED, redacted=True)
    await engine.settle()
    (claim,) = await engine.claims_of(case)
    assert claim.status == ClaimStatus.CANCELLED
    assert not await engine.is_verified(case.wallet)


async def test_a_decision_without_the_daemons_mac_signs_nothing(engine: Engine) -> None:
    case = await engine.open_case()
    before = await engine.sent()
    await engine.ring(case, Outcome.APPROVED)
    async with engine.db.write() as session:
        decision = await session.scalar(sa.select(Decision).where(Decision.case_id == case.id))
        assert decision is not None
        decision.mac = "1:" + "0" * 64
    await engine.settle()
    (claim,) = await engine.claims_of(case)
    assert claim.status == ClaimStatus.FAILED
    assert await engine.sent() == before


async def test_a_claim_of_which_no_word_can_be_made_is_held_alone(engine: Engine) -> None:
    cases = [await engine.open_case() for _ in range(3)]
    for case in cases:
        await engine.ring(case, Outcome.APPROVED)
    async with engine.db.write() as session:
        salts = sa.select(Claim.salt).where(Claim.case_id == cases[1].id).scalar_subquery()
        await session.execute(sa.update(Claim).where(Claim.case_id == cases[0].id).values(salt=salts))
    await engine.settle()
    (held,) = await engine.claims_of(cases[0])
    assert (held.status, held.word) == (ClaimStatus.FAILED, None)
    for case in cases[1:]:
        assert await engine.is_verified(case.wallet)


async def test_a_wallet_changed_after_the_decision_signs_nothing(engine: Engine) -> None:
    case = await engine.open_case()
    other = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)
    async with engine.db.write() as session:
        await session.execute(sa.update(Case).where(Case.id == case.id).values(wallet=other.wallet))
    await engine.settle()
    (claim,) = await engine.claims_of(case)
    assert claim.status == ClaimStatus.FAILED
    assert not await engine.is_verified(other.wallet)


async def test_a_lost_webhook_costs_time_not_correctness(engine: Engine) -> None:
    case = await engine.open_case()
    engine.persona.says(case, Outcome.APPROVED)
    async with engine.db.write() as session:
        await session.execute(sa.update(Case).where(Case.id == case.id).values(next_check_at=datetime.now(UTC)))
    await engine.cases.sweep()
    await engine.settle()
    assert await engine.is_verified(case.wallet)


async def test_a_chain_that_is_down_delays_the_claim_and_keeps_the_decision(engine: Engine) -> None:
    case = await engine.open_case()
    up, engine.gateway = engine.gateway, Gateway(Secret("http://127.0.0.1:1"))
    await engine.ring(case, Outcome.APPROVED)
    assert (await engine.case(case)).status == CaseStatus.APPROVED
    assert await engine.claims_of(case) == []
    await engine.gateway.aclose()
    engine.gateway = up
    await engine.cases.sweep()
    await engine.settle()
    assert await engine.is_verified(case.wallet)


async def test_an_event_after_the_outage_does_not_hide_that_the_claim_is_missing(engine: Engine) -> None:
    case = await engine.open_case()
    up, engine.gateway = engine.gateway, Gateway(Secret("http://127.0.0.1:1"))
    await engine.ring(case, Outcome.APPROVED)
    await engine.gateway.aclose()
    engine.gateway = up
    await engine.ring(case, Outcome.APPROVED)
    await engine.cases.sweep()
    await engine.settle()
    assert await engine.is_verified(case.wallet)


async def test_a_provider_that_is_down_leaves_the_event_unhandled(engine: Engine) -> None:
    case = await engine.open_case()
    engine.persona.error = ProviderUnavailable("down")
    event = await engine.receive(case)
    with pytest.raises(ProviderUnavailable):
        await engine.cases.handle_event(event)
    async with engine.db.read() as session:
        kept = await session.get(InboxEvent, event)
    assert kept is not None
    assert kept.handled_at is None
    assert kept.attempts == 1
    engine.persona.error = None
    engine.persona.says(case, Outcome.APPROVED)
    await engine.cases.handle_event(event)
    await engine.settle()
    assert await engine.is_verified(case.wallet)


@pytest.mark.failure("F11")
async def test_an_empty_sender_is_held_and_goes_on_after_a_top_up(engine: Engine) -> None:
    await rpc(engine.url, "anvil_setBalance", engine.keys.sender.address, "0x1")
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)
    with pytest.raises(LaneHeld):
        await engine.pump()
    async with engine.db.read() as session:
        lane = await session.scalar(sa.select(Lane))
        assert lane is not None
        assert "top it up" in (lane.held_because or "")
        assert await session.scalar(sa.select(sa.func.count()).select_from(Transaction)) == 0
    await rpc(engine.url, "anvil_setBalance", engine.keys.sender.address, hex(ETHER))
    await engine.settle()
    assert await engine.is_verified(case.wallet)


@pytest.mark.failure("F09")
async def test_a_reorg_sends_the_same_bytes_again(engine: Engine) -> None:
    engine.restart(chain_rules.profile(CHAIN_ID, depth=3))
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)
    await engine.pump()
    await engine.watcher.look()
    (claim,) = await engine.claims_of(case)
    assert claim.status == ClaimStatus.MINED
    await rpc(engine.url, "anvil_reorg", 1, [])
    await engine.watcher.look()
    (claim,) = await engine.claims_of(case)
    assert (claim.status, claim.tx_hash) == (ClaimStatus.SIGNED, None)
    await engine.upkeep.tend(now=True)
    await rpc(engine.url, "anvil_mine", hex(3))
    await engine.settle()
    (claim,) = await engine.claims_of(case)
    assert claim.status == ClaimStatus.CONFIRMED
    async with engine.db.read() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(Attempt)) == 1
    assert await engine.is_verified(case.wallet)


async def test_forty_approvals_go_out_in_few_transactions(engine: Engine) -> None:
    cases = [await engine.open_case() for _ in range(40)]
    before = await engine.sent()
    for case in cases:
        await engine.ring(case, Outcome.APPROVED)
    await engine.settle()
    for case in cases:
        assert await engine.is_verified(case.wallet)
    assert await engine.sent() <= before + 3


async def test_a_muted_adder_fails_alone_and_the_others_stand(engine: Engine) -> None:
    """The holder of one identity forbids us to write; the claims beside it in the batch are untouched."""
    muted_case, _ = await confirmed(engine)
    (identity,) = (await engine.identities(muted_case.wallet)).values()
    await rpc(engine.url, "anvil_impersonateAccount", muted_case.wallet)
    await rpc(engine.url, "anvil_setBalance", muted_case.wallet, hex(ETHER))
    mute = "0x" + _selector("setAdderMuted(bool)") + "1".rjust(64, "0")
    await rpc(engine.url, "eth_sendTransaction", {"from": muted_case.wallet, "to": identity, "data": mute})
    again = await engine.open_case(muted_case.wallet)
    other = await engine.open_case()
    await engine.ring(again, Outcome.APPROVED)
    await engine.ring(other, Outcome.APPROVED)
    await engine.settle()
    (failed,) = await engine.claims_of(again)
    assert (failed.status, failed.failures) == (ClaimStatus.QUEUED, 1)
    assert failed.next_try_at > datetime.now(UTC) - timedelta(seconds=5)
    assert await engine.is_verified(other.wallet)


def _selector(signature: str) -> str:
    from eth_utils.crypto import keccak

    return keccak(text=signature)[:4].hex()


@pytest.mark.parametrize(
    "change",
    [
        {"topic": "1129054210"},
        {"validity_seconds": 10**9},
        {"wallet": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"},
        {"onchain_id": "0x" + "00" * 32},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_a_queued_claim_that_somebody_changed_is_not_signed(engine: Engine, change: dict[str, object]) -> None:
    case = await engine.open_case()
    before = await engine.sent()
    await engine.ring(case, Outcome.APPROVED)
    async with engine.db.write() as session:
        await session.execute(sa.update(Claim).where(Claim.case_id == case.id).values(**change))
    await engine.settle()
    (claim,) = await engine.claims_of(case)
    assert claim.status == ClaimStatus.FAILED
    assert await engine.sent() == before


async def test_a_persons_word_cannot_be_unsaid_in_the_tables(engine: Engine) -> None:
    """Whoever takes over the API can write cases and claims, but the history only grows."""
    case, claim = await confirmed(engine)
    async with engine.db.write() as session:
        await people.revoke_claim(session, claim_id=claim.id, reason="fraud", actor="key_1", at=datetime.now(UTC))
    await engine.settle()
    async with engine.db.write() as session:
        await session.execute(sa.update(Case).where(Case.id == case.id).values(status="approved", person_ruling=None))
        await session.execute(sa.update(Claim).where(Claim.id == claim.id).values(status="queued", signature=None))
    await engine.settle()
    assert not await engine.is_verified(case.wallet)
    (claim,) = await engine.claims_of(case)
    assert claim.status == ClaimStatus.FAILED


async def test_a_paused_lane_signs_nothing_and_goes_on_when_resumed(engine: Engine) -> None:
    await engine.pump()
    async with engine.db.write() as session:
        await session.execute(sa.update(Lane).values(paused_by="operator"))
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)
    with pytest.raises(LaneHeld, match="paused by operator"):
        await engine.pump()
    async with engine.db.write() as session:
        await session.execute(sa.update(Lane).values(paused_by=None))
    await engine.settle()
    assert await engine.is_verified(case.wallet)
