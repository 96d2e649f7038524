"""Lanes with real parts: several senders, a lane for revocations, what may be spent, and what a person can do."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from issuer.cases.tables import Case
from issuer.chain import rules
from issuer.chain.gateway import Gateway
from issuer.chain.lanes import LaneKeeper, Limits
from issuer.chain.rules import GWEI, Hold, Share, TxStatus
from issuer.chain.signer import LocalSigner
from issuer.chain.tables import Attempt, Chain, Lane, Transaction, TransactionClaim
from issuer.chain.watcher import Watcher
from issuer.claims.issue import Issues
from issuer.claims.revoke import Revocations
from issuer.claims.rules import ClaimStatus
from issuer.claims.settle import ClaimSettlement
from issuer.claims.tables import Claim
from issuer.claims.work import ClaimWorker
from issuer.cli import run
from issuer.errors import LaneHeld, LaneLost
from issuer.history import History
from issuer.providers.protocol import Outcome
from issuer.secrets import Secret
from tests.integration.engine.conftest import CHAIN_ID, ETHER, Engine, rpc
from tests.rpc_proxy import RpcProxy

Cli = Callable[..., Awaitable[Any]]
ALL, FREE = Share(), Limits()


@pytest.fixture
def cli(store_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """`claimwright lane …` on the test's own database; what it printed as JSON."""
    monkeypatch.setenv("DATABASE_URL", store_url)

    async def call(*arguments: str, code: int = 0) -> Any:
        capsys.readouterr()
        assert await asyncio.to_thread(run, ["lane", *arguments, "--json"]) == code
        return json.loads(capsys.readouterr().out) if code == 0 else capsys.readouterr().err

    return call


def lane_of(engine: Engine, signer: LocalSigner, *, limits: Limits = FREE, share: Share = ALL) -> LaneKeeper:
    return LaneKeeper(
        engine.db, engine.gateway, signer, chain_id=CHAIN_ID, profile=engine.profile, share=share, limits=limits
    )


def issues_of(engine: Engine, lane: LaneKeeper) -> Issues:
    return Issues(
        engine.db,
        engine.gateway,
        lane,
        engine.keys.claim_signer,
        engine.at,
        decision_keys=engine.decision_keys,
        data_keys=engine.data_keys,
    )


async def approved(engine: Engine) -> Case:
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)
    return case


async def pump(lane: LaneKeeper, worker: ClaimWorker) -> None:
    assert await lane.ensure()
    while await worker.pump():
        pass


async def hold_of(engine: Engine, sender: str) -> str | None:
    return next(lane.hold for lane in await engine.rows(Lane) if lane.sender == sender)


async def mine_until_settled(engine: Engine) -> None:
    await rpc(engine.url, "evm_setAutomine", True)
    async with asyncio.timeout(30):
        while True:
            await rpc(engine.url, "evm_mine")
            await engine.pump()
            await engine.upkeep.tend(now=True)
            if not await engine.watcher.look() and not await engine._waiting():
                return


async def test_each_sender_takes_the_claims_of_its_share(engine: Engine) -> None:
    keys = engine.keys
    await rpc(engine.url, "anvil_setBalance", keys.other_sender.address, hex(ETHER))
    cases = [await approved(engine) for _ in range(12)]
    for index, signer in enumerate((keys.sender, keys.other_sender)):
        lane = lane_of(engine, signer, share=Share(index, 2))
        await pump(lane, ClaimWorker(None, issues_of(engine, lane)))
    await engine.watcher.look()
    carried = (
        sa.select(Claim.shard, Lane.sender)
        .join(TransactionClaim, TransactionClaim.claim_id == Claim.id)
        .join(Transaction, Transaction.id == TransactionClaim.transaction_id)
        .join(Lane, Lane.id == Transaction.lane_id)
    )
    async with engine.db.read() as session:
        rows = (await session.execute(carried)).all()
    assert len(rows) == 12
    assert {(shard % 2, sender) for shard, sender in rows} <= {(0, keys.sender.address), (1, keys.other_sender.address)}
    for case in cases:
        assert await engine.is_verified(case.wallet)


async def test_a_revocation_overtakes_an_issue_that_is_stuck_in_another_lane(engine: Engine) -> None:
    """It raises the epoch, so the issue that lands after it is born dead."""
    keys = engine.keys
    await rpc(engine.url, "anvil_setBalance", keys.other_sender.address, hex(ETHER))
    await rpc(engine.url, "evm_setAutomine", False)
    case = await approved(engine)
    await engine.pump()
    (stuck,) = await engine.rows(Attempt)
    await rpc(engine.url, "anvil_dropTransaction", stuck.hash)
    await engine.ring(case, Outcome.DECLINED)
    revoker = lane_of(engine, keys.other_sender)
    await pump(revoker, ClaimWorker(Revocations(engine.db, engine.gateway, revoker, engine.at.claim_issuer), None))
    await rpc(engine.url, "evm_mine")
    await engine.watcher.look()
    await engine.gateway.send([stuck.raw])
    await rpc(engine.url, "evm_mine")
    await mine_until_settled(engine)
    (claim,) = await engine.claims_of(case)
    assert claim.status == ClaimStatus.REVOKED
    assert not await engine.is_verified(case.wallet)


async def test_issues_leave_the_gas_that_revocations_need(engine: Engine) -> None:
    kept = await approved(engine)
    await engine.settle()
    poor = lane_of(engine, engine.keys.sender, limits=Limits(reserve_gas=10**16))
    await engine.lane.release()
    await approved(engine)
    with pytest.raises(LaneHeld, match="for revocations"):
        await pump(poor, ClaimWorker(None, issues_of(engine, poor)))
    assert await hold_of(engine, poor.sender) == Hold.RESERVE
    await engine.ring(kept, Outcome.DECLINED)
    await pump(poor, ClaimWorker(Revocations(engine.db, engine.gateway, poor, engine.at.claim_issuer), None))
    await engine.watcher.look()
    assert not await engine.is_verified(kept.wallet)
    await poor.release()
    await engine.settle()
    assert await hold_of(engine, poor.sender) is None


async def test_at_the_daily_cap_issues_wait_and_revocations_go_on(engine: Engine) -> None:
    kept = await approved(engine)
    await engine.settle()
    (spent,) = await engine.rows(Transaction)
    assert spent.fee_gwei
    await engine.lane.release()
    capped = lane_of(engine, engine.keys.sender, limits=Limits(daily_cap=spent.fee_gwei * GWEI))
    await approved(engine)
    with pytest.raises(LaneHeld, match="daily cap"):
        await pump(capped, ClaimWorker(None, issues_of(engine, capped)))
    assert await hold_of(engine, capped.sender) == Hold.DAILY_CAP
    await engine.ring(kept, Outcome.DECLINED)
    await pump(capped, ClaimWorker(Revocations(engine.db, engine.gateway, capped, engine.at.claim_issuer), None))
    await engine.watcher.look()
    assert not await engine.is_verified(kept.wallet)


async def test_a_person_speeds_a_transaction_up_and_cancels_it(engine: Engine, cli: Cli) -> None:
    await rpc(engine.url, "evm_setAutomine", False)
    case = await approved(engine)
    await engine.pump()
    (lane,) = await cli("list")
    assert (lane["unmined"], lane["hold"]) == (1, None)

    told = await cli("speed-up", lane["id"])
    assert (told["nonce"], told["wanted"]) == (lane["lowest_unmined"], "speed-up")
    await engine.upkeep.tend(now=True)
    first, second = await engine.rows(Attempt)
    assert 8 * second.max_fee_per_gas >= 9 * first.max_fee_per_gas
    assert (first.noop, second.noop) == (False, False)

    await cli("cancel", lane["id"], "--nonce", str(lane["lowest_unmined"]))
    await engine.upkeep.tend(now=True)
    third = (await engine.rows(Attempt))[-1]
    assert third.noop
    await rpc(engine.url, "evm_mine")
    await engine.watcher.look()
    (transaction,) = await engine.rows(Transaction)
    assert (transaction.status, transaction.mined_hash, transaction.wanted) == (TxStatus.FINAL, third.hash, None)
    (claim,) = await engine.claims_of(case)
    assert (claim.status, claim.failures) == (ClaimStatus.QUEUED, 1)
    assert not await engine.is_verified(case.wallet)

    async with engine.db.write() as session:
        await session.execute(sa.update(Claim).values(next_try_at=claim.created_at))
    await mine_until_settled(engine)
    assert await engine.is_verified(case.wallet)
    assert "nonce 999" in await cli("cancel", lane["id"], "--nonce", "999", code=1)


async def test_a_pause_lasts_until_a_person_resumes(engine: Engine, cli: Cli) -> None:
    await engine.pump()
    (lane,) = await cli("list")
    assert (await cli("pause", lane["id"]))["paused_by"] == "cli"
    await approved(engine)
    with pytest.raises(LaneHeld, match=f"lane resume {lane['id']}"):
        await engine.pump()
    assert "not held" in await cli("resume", lane["id"], "--adopt-nonce", code=1)
    assert (await cli("resume", lane["id"]))["paused_by"] is None
    await engine.settle()
    assert "no such lane" in await cli("resume", "lane_x", code=1)


async def test_a_hole_that_a_reorg_left_is_filled_by_a_noop(engine: Engine, cli: Cli) -> None:
    """The chain had seen a stranger's transaction, the database adopted its nonce, then its block went away."""
    await engine.pump()
    await engine.lane.release()
    sender = engine.keys.sender
    await rpc(engine.url, "anvil_impersonateAccount", sender.address)
    await rpc(engine.url, "eth_sendTransaction", {"from": sender.address, "to": sender.address, "value": "0x0"})
    engine.restart(engine.profile)
    assert await engine.lane.ensure()
    (lane,) = await cli("list")
    assert lane["hold"] == Hold.NONCE_AHEAD
    await cli("resume", lane["id"], "--adopt-nonce")
    await engine.upkeep.tend(now=True)
    await rpc(engine.url, "anvil_reorg", 1, [])
    await rpc(engine.url, "evm_setAutomine", False)
    case = await approved(engine)
    await engine.pump()
    await engine.upkeep.tend(now=True)
    filler = next(row for row in await engine.rows(Transaction) if row.purpose == rules.Purpose.NOOP)
    assert filler.nonce == lane["next_nonce"]
    await mine_until_settled(engine)
    assert await engine.is_verified(case.wallet)
    assert {row.status for row in await engine.rows(Transaction)} == {TxStatus.FINAL}


async def test_a_slow_node_moves_nothing_back(engine: Engine, wire: RpcProxy) -> None:
    engine.restart(rules.profile(CHAIN_ID, depth=8))
    case = await approved(engine)
    await engine.pump()
    await engine.watcher.look()
    assert (await engine.claims_of(case))[0].status == ClaimStatus.MINED
    wire.lag = 1
    gateway = Gateway(Secret(wire.url))
    settlement = ClaimSettlement({CHAIN_ID: engine.at.claim_issuer})
    another = Watcher(engine.db, gateway, settlement, chain_id=CHAIN_ID, profile=engine.profile)
    assert await another.look() == 1
    await gateway.aclose()
    (claim,) = await engine.claims_of(case)
    assert claim.status == ClaimStatus.MINED
    async with engine.db.read() as session:
        moves = await session.scalars(sa.select(History.cause).where(History.claim_id == claim.id))
    assert "reorg" not in set(moves)


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
async def test_one_process_watches_a_chain_and_one_that_slept_changes_nothing(engine: Engine) -> None:
    sleeper, spare = (
        Watcher(
            engine.db,
            engine.gateway,
            ClaimSettlement({CHAIN_ID: engine.at.claim_issuer}),
            chain_id=CHAIN_ID,
            profile=engine.profile,
        )
        for _ in range(2)
    )
    assert await sleeper.ensure()
    assert not await spare.ensure()
    await approved(engine)
    await engine.pump()
    async with engine.db.write() as session:  # as if it had slept: the lease ran out, and another took over
        await session.execute(sa.update(Chain).values(leased_until=None))
    assert await spare.ensure()
    with pytest.raises(LaneLost):
        await sleeper.look()
    assert [row.status for row in await engine.rows(Transaction)] == [TxStatus.SIGNED]
    assert await spare.look() == 0


async def test_every_lane_command_of_the_manual_does_what_it_says(engine: Engine, cli: Cli) -> None:
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh lanes\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    lines = [line.partition("#")[0].split() for block in blocks for line in block.splitlines()]
    assert {line[2] for line in lines} == {"list", "pause", "resume", "speed-up", "cancel"}
    await rpc(engine.url, "evm_setAutomine", False)
    await approved(engine)
    await engine.pump()
    (lane,) = await engine.rows(Lane)
    for line in lines:
        assert line[:2] == ["claimwright", "lane"]
        held = Hold.NONCE_AHEAD if "--adopt-nonce" in line else None
        async with engine.db.write() as session:
            await session.execute(sa.update(Lane).values(hold=held))
        await cli(*(lane.id if word == "LANE_ID" else word for word in line[2:]))
    (transaction,) = await engine.rows(Transaction)
    (lane,) = await engine.rows(Lane)
    assert (transaction.wanted, lane.adopt_nonce, lane.paused_by) == (rules.CANCEL, True, None)
    await rpc(engine.url, "evm_mine")


@pytest.mark.parametrize(("block_seconds", "again"), [(3600.0, 0), (0.0, 1)])
async def test_what_could_not_be_mined_yet_is_not_sent_again_but_once_by_whoever_takes_the_lane(
    engine: Engine, wire: RpcProxy, block_seconds: float, again: int
) -> None:
    engine.restart(msgspec.structs.replace(engine.profile, resend_seconds=0.0, block_seconds=block_seconds))
    await rpc(engine.url, "evm_setAutomine", False)
    await approved(engine)
    await engine.pump()
    sent = []
    for _ in range(2):
        before = wire.sent
        await engine.upkeep.tend()
        sent.append(wire.sent - before)
    assert sent == [1, again]
    assert not await engine.gateway.mined([attempt.hash for attempt in await engine.rows(Attempt)])
