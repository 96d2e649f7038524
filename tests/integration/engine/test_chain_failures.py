"""What the chain does to us: reorgs, another wallet on our key, another chain, one that is ahead of our database."""

import asyncio
import contextlib

import pytest
import sqlalchemy as sa

from issuer import metrics
from issuer.chain import rules as chain_rules
from issuer.chain.abi import SET_OPERATOR
from issuer.chain.fees import Fees
from issuer.chain.gateway import Receipt
from issuer.chain.rules import Hold, TxStatus
from issuer.chain.tables import Attempt, Lane, Transaction
from issuer.chain.transactions import Plan, sign
from issuer.claims.rules import ClaimStatus
from issuer.claims.tables import Claim
from issuer.errors import LaneHeld, WrongChain
from issuer.providers.protocol import Outcome
from tests.integration.engine.conftest import CHAIN_ID, GWEI, Engine, rpc
from tests.integration.engine.test_wire_failures import approved, hold_mining, mine, resend, settle_mining
from tests.oracle import Oracle
from tests.rpc_proxy import SENDS, Fault, RpcProxy

DEPTH = 3


async def deep(engine: Engine) -> None:
    """Final only after some blocks; what was before stays out of every reorg's reach."""
    engine.restart(chain_rules.profile(CHAIN_ID, depth=DEPTH))
    await rpc(engine.url, "anvil_mine", hex(DEPTH))


async def statuses(engine: Engine) -> list[ClaimStatus]:
    return [ClaimStatus(claim.status) for claim in await engine.rows(Claim)]


@pytest.mark.failure("F09")
async def test_a_transaction_that_a_reorg_puts_into_another_block_is_followed_there(
    engine: Engine, oracle: Oracle
) -> None:
    await deep(engine)
    wallet = await approved(engine)
    await engine.pump()
    await engine.watcher.look()
    (attempt,) = await engine.rows(Attempt)
    (first,) = await engine.rows(Transaction)
    # Into the block before: within one second, the same height would be the same block again, hash and all.
    await rpc(engine.url, "anvil_reorg", 2, [["0x" + attempt.raw.hex(), 0]])
    await engine.watcher.look()
    (second,) = await engine.rows(Transaction)
    assert second.block_hash not in (None, first.block_hash)
    assert await statuses(engine) == [ClaimStatus.MINED], "mined again, and not final yet"
    await rpc(engine.url, "anvil_mine", hex(DEPTH))
    await engine.settle()
    assert await engine.is_verified(wallet)
    assert len(await engine.rows(Attempt)) == 1
    assert await oracle.problems() == []


@pytest.mark.failure("F09")
async def test_what_was_final_and_is_taken_back_is_counted_and_sent_again_unchanged(engine: Engine) -> None:
    wallet = await approved(engine)
    await engine.settle()
    assert await statuses(engine) == [ClaimStatus.CONFIRMED]
    counted = metrics.FINAL_TAKEN_BACK.labels(CHAIN_ID)
    before = counted._value.get()
    await rpc(engine.url, "anvil_reorg", 1, [])
    assert not await engine.is_verified(wallet)
    await rpc(engine.url, "evm_setAutomine", False)
    behind = await approved(engine)
    await engine.pump()
    await engine.upkeep.tend(now=True)
    assert counted._value.get() == before + 1
    await settle_mining(engine)
    assert await engine.is_verified(wallet)
    assert await engine.is_verified(behind)
    assert len(await engine.rows(Attempt)) == 2, "one for each claim: nothing was signed anew"


@pytest.mark.failure("F09")
async def test_nothing_is_final_one_block_too_early(engine: Engine) -> None:
    await deep(engine)
    await approved(engine)
    await engine.pump()
    for _ in range(DEPTH - 1):
        await engine.watcher.look()
        assert await statuses(engine) == [ClaimStatus.MINED]
        await rpc(engine.url, "evm_mine")
    await engine.watcher.look()
    assert await statuses(engine) == [ClaimStatus.CONFIRMED]


@pytest.mark.failure("F10")
async def test_a_revert_that_a_reorg_undoes_is_no_outcome(engine: Engine, oracle: Oracle) -> None:
    """The owner takes our leave away, our batch reverts, and then neither has ever happened."""
    await deep(engine)
    wallet = await approved(engine)
    await as_owner(engine, allowed=False)
    await engine.pump()
    await engine.watcher.look()
    (transaction,) = await engine.rows(Transaction)
    assert transaction.succeeded is False
    assert await statuses(engine) == [ClaimStatus.SIGNED], "a revert is believed at depth and not before"
    await rpc(engine.url, "anvil_reorg", 2, [])
    await engine.watcher.look()
    await resend(engine)
    await rpc(engine.url, "anvil_mine", hex(DEPTH))
    await engine.settle()
    (claim,) = await engine.rows(Claim)
    assert (claim.status, claim.failures) == (ClaimStatus.CONFIRMED, 0)
    assert await engine.is_verified(wallet)
    assert await oracle.problems() == []


async def as_owner(engine: Engine, *, allowed: bool) -> None:
    owner, sender = engine.keys.deployer, engine.keys.sender.address
    plan = Plan(
        purpose="test",
        recipient=engine.at.claim_issuer,
        calldata=SET_OPERATOR.calldata(sender, allowed),
        gas_limit=200_000,
    )
    nonce = await engine.gateway.nonce(owner.address)
    signed = await sign(owner, plan, chain_id=CHAIN_ID, nonce=nonce, fees=Fees(max_fee=500 * GWEI, tip=GWEI))
    await engine.gateway.send([signed.raw])
    assert (await mined(engine, signed.hash)).succeeded


async def mined(engine: Engine, tx_hash: str) -> Receipt:
    async with asyncio.timeout(30):
        while True:
            (receipt,) = await engine.gateway.receipts([tx_hash])
            if receipt is not None:
                return receipt
            await asyncio.sleep(0.01)


@pytest.mark.failure("F07")
async def test_a_nonce_that_another_program_used_is_given_up_when_that_is_final_and_not_before(
    engine: Engine, wire: RpcProxy, oracle: Oracle
) -> None:
    await deep(engine)
    await hold_mining(engine)
    wallet = await approved(engine)
    wire.faults = [Fault("dropped", methods=SENDS)]
    await engine.pump()
    wire.calm()
    await spend_nonce(engine)
    await mine(engine)
    await resend(engine)
    (lane,) = await engine.rows(Lane)
    assert (lane.hold, lane.next_nonce) == (Hold.NONCE_USED, (await engine.rows(Transaction))[0].nonce + 1)
    await approved(engine)
    with contextlib.suppress(LaneHeld):
        await engine.pump()
    assert len(await engine.rows(Transaction)) == 1, "nothing new is signed, and nothing on a second nonce"

    await mine(engine)
    await mine(engine)
    await resend(engine)
    assert [row.status for row in await engine.rows(Transaction)] == [TxStatus.DEAD]
    (lane,) = await engine.rows(Lane)
    assert (lane.hold, lane.held_because) == (None, None)
    await finalise(engine)
    assert await engine.is_verified(wallet)
    assert await oracle.problems() == []


@pytest.mark.failure("F07")
async def test_a_strangers_block_that_a_reorg_takes_back_gives_nothing_up(engine: Engine, wire: RpcProxy) -> None:
    await deep(engine)
    await hold_mining(engine)
    wallet = await approved(engine)
    wire.faults = [Fault("dropped", methods=SENDS)]
    await engine.pump()
    wire.calm()
    await spend_nonce(engine)
    await mine(engine)
    await resend(engine)
    await rpc(engine.url, "anvil_reorg", 1, [])
    await resend(engine)
    (lane,) = await engine.rows(Lane)
    assert lane.hold is None
    await finalise(engine)
    assert await engine.is_verified(wallet)
    assert len(await engine.rows(Attempt)) == 1, "the same bytes, on the nonce that they always had"


async def finalise(engine: Engine) -> None:
    """Blocks come by themselves and soon, until all is settled."""
    await rpc(engine.url, "evm_setAutomine", True)
    async with asyncio.timeout(30):
        while True:
            await engine.pump()
            await mine(engine)
            await engine.upkeep.tend(now=True)
            if not await engine.watcher.look() and not await engine._waiting():
                return


async def spend_nonce(engine: Engine) -> None:
    """Somebody uses the sender's key by hand."""
    sender = engine.keys.sender
    plan = Plan(purpose="test", recipient=sender.address, calldata=b"", gas_limit=30_000)
    nonce = await engine.gateway.nonce(sender.address)
    signed = await sign(sender, plan, chain_id=CHAIN_ID, nonce=nonce, fees=Fees(max_fee=500 * GWEI, tip=GWEI))
    await engine.gateway.send([signed.raw])


@pytest.mark.failure("F14")
async def test_a_database_that_is_older_than_the_chain_signs_nothing(engine: Engine) -> None:
    """As if it were restored from a backup: the sender has used a nonce that these tables do not know."""
    assert await engine.lane.ensure()
    await engine.lane.release()
    await spend_nonce(engine)
    engine.restart(engine.profile)
    wallet = await approved(engine)
    with pytest.raises(LaneHeld, match="a restored database"):
        await engine.pump()
    assert await engine.rows(Transaction) == []
    (lane,) = await engine.rows(Lane)
    assert lane.hold == Hold.NONCE_AHEAD
    await resend(engine)
    with pytest.raises(LaneHeld):
        await engine.pump()

    async with engine.db.write() as session:
        await session.execute(sa.update(Lane).values(adopt_nonce=True))  # `claimwright lane resume LANE --adopt-nonce`
    await resend(engine)
    await engine.settle()
    assert await engine.is_verified(wallet)
    (lane,) = await engine.rows(Lane)
    assert (lane.hold, lane.adopt_nonce, lane.next_nonce) == (None, False, await engine.sent())
    assert lane.adopted == [lane.next_nonce - 2, lane.next_nonce - 1]


@pytest.mark.failure("F15")
async def test_another_chain_under_the_same_database_is_refused(engine: Engine) -> None:
    assert await engine.lane.ensure()
    await engine.lane.release()
    async with engine.db.write() as session:
        await session.execute(sa.text("UPDATE chains SET genesis_hash = :other"), {"other": "0x" + "11" * 32})
    engine.restart(engine.profile)
    await approved(engine)
    with pytest.raises(WrongChain, match="another genesis block"):
        await engine.pump()
    assert await engine.rows(Transaction) == []


@pytest.mark.failure("F20")
async def test_an_approval_whose_claim_is_late_supersedes_none_that_came_after_it(
    engine: Engine, wire: RpcProxy, oracle: Oracle
) -> None:
    """The chain was away when the older case was approved, and back for the newer one."""
    older = await engine.open_case()
    wire.down = True
    await engine.ring(older, Outcome.APPROVED)
    wire.calm()
    newer = await engine.open_case(older.wallet)
    await engine.ring(newer, Outcome.APPROVED)
    await engine.settle()
    await engine.cases.sweep()
    await engine.settle()
    assert await engine.claims_of(older) == []
    assert [claim.status for claim in await engine.claims_of(newer)] == [ClaimStatus.CONFIRMED]
    assert await oracle.problems() == []


@pytest.mark.failure("F20")
async def test_an_older_claim_never_lands_after_a_newer_one(engine: Engine, wire: RpcProxy, oracle: Oracle) -> None:
    """Both are for the same identity and topic; the older transaction is lost at first and found again late."""
    await hold_mining(engine)
    older = await engine.open_case()
    await engine.ring(older, Outcome.APPROVED)
    wire.faults = [Fault("withheld", methods=SENDS)]
    await engine.pump()
    wire.calm()
    newer = await engine.open_case(older.wallet)
    await engine.ring(newer, Outcome.APPROVED)
    await engine.pump()
    assert await statuses(engine) == [ClaimStatus.SIGNED, ClaimStatus.QUEUED], "it waits for the fate of the older one"
    await wire.release()
    await settle_mining(engine)
    assert await statuses(engine) == [ClaimStatus.SUPERSEDED, ClaimStatus.CONFIRMED]
    assert await engine.is_verified(older.wallet)
    assert await oracle.problems() == []
