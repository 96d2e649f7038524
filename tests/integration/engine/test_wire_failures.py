"""What goes wrong between us and a node: answers that are lost, bytes that are, nodes that fail, fees that rise."""

import asyncio

import msgspec
import pytest

from issuer.chain import rules as chain_rules
from issuer.chain.tables import Attempt, Transaction
from issuer.claims.rules import ClaimStatus
from issuer.claims.tables import Claim
from issuer.errors import NodeUnavailable
from issuer.providers.protocol import Outcome
from tests.integration.engine.conftest import CHAIN_ID, GWEI, Engine, rpc
from tests.oracle import Oracle
from tests.rpc_proxy import READS, SENDS, Fault, RpcProxy

PATIENCE_SECONDS = 30  # many times what the engine's gateway waits for an answer
LOCAL = chain_rules.profile(CHAIN_ID)


async def approved(engine: Engine) -> str:
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)
    return case.wallet


async def hold_mining(engine: Engine, *, base_fee: int = GWEI) -> None:
    """From here on a block is made only when the test says so."""
    await rpc(engine.url, "evm_setAutomine", False)
    await mine(engine, base_fee=base_fee)


async def mine(engine: Engine, *, base_fee: int | None = None) -> None:
    if base_fee is not None:
        await rpc(engine.url, "anvil_setNextBlockBaseFeePerGas", hex(base_fee))
    await rpc(engine.url, "evm_mine")


async def resend(engine: Engine) -> None:
    await engine.upkeep.tend(now=True)


async def settle_mining(engine: Engine) -> None:
    await rpc(engine.url, "evm_setAutomine", True)
    await mine(engine)
    await engine.settle()


async def bytes_on_the_wire(engine: Engine) -> list[bytes]:
    return [attempt.raw for attempt in await engine.rows(Attempt)]


async def unreadable_for_a_while(engine: Engine, wire: RpcProxy, oracle: Oracle, fault: Fault) -> None:
    wallet = await approved(engine)
    assert await engine.lane.ensure()
    wire.faults = [fault]
    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(NodeUnavailable):
            await engine.pump()
    assert wire.done[fault.kind] >= 1
    assert await engine.rows(Transaction) == []
    wire.calm()
    await engine.settle()
    assert await engine.is_verified(wallet)
    assert len(await engine.rows(Attempt)) == 1
    assert await oracle.problems() == []


@pytest.mark.failure("F02")
async def test_a_lost_answer_to_a_send_repeats_the_same_bytes(engine: Engine, wire: RpcProxy, oracle: Oracle) -> None:
    await hold_mining(engine)
    wallet = await approved(engine)
    wire.faults = [Fault("lost_answer", methods=SENDS)]
    await engine.pump()
    assert wire.done["lost_answer"] == 1
    before = await bytes_on_the_wire(engine)
    wire.calm()
    await resend(engine)
    assert await bytes_on_the_wire(engine) == before, "nothing was signed anew"
    await settle_mining(engine)
    assert await engine.is_verified(wallet)
    assert len(await engine.rows(Transaction)) == 1
    assert await oracle.problems() == []


@pytest.mark.failure("F03")
@pytest.mark.parametrize("loss", ["the node never kept it", "the node dropped it"])
async def test_bytes_that_a_node_lost_are_sent_again(engine: Engine, wire: RpcProxy, oracle: Oracle, loss: str) -> None:
    await hold_mining(engine)
    wallet = await approved(engine)
    if loss == "the node never kept it":
        wire.faults = [Fault("dropped", methods=SENDS)]
        await engine.pump()
        wire.calm()
    else:
        await engine.pump()
        await rpc(engine.url, "anvil_dropTransaction", (await engine.rows(Attempt))[0].hash)
    await mine(engine)
    await engine.watcher.look()
    assert not await engine.is_verified(wallet)
    await resend(engine)
    await settle_mining(engine)
    assert await engine.is_verified(wallet)
    assert len(await engine.rows(Attempt)) == 1
    assert await oracle.problems() == []


@pytest.mark.failure("F04")
@pytest.mark.parametrize("kind", ["refused", "http_429", "http_503", "garbage", "short_batch", "wrong_id", "error"])
async def test_a_node_that_cannot_be_read_signs_nothing_and_costs_no_nonce(
    engine: Engine, wire: RpcProxy, oracle: Oracle, kind: str
) -> None:
    await unreadable_for_a_while(engine, wire, oracle, Fault(kind, methods=READS))  # type: ignore[arg-type]


@pytest.mark.failure("F04")
@pytest.mark.parametrize("kind", ["refused", "http_429", "http_503", "garbage", "short_batch", "wrong_id", "error"])
async def test_a_send_without_a_clear_answer_is_no_outcome(
    engine: Engine, wire: RpcProxy, oracle: Oracle, kind: str
) -> None:
    wallet = await approved(engine)
    wire.faults = [Fault(kind, methods=SENDS)]  # type: ignore[arg-type]
    await engine.pump()
    await resend(engine)
    before = await bytes_on_the_wire(engine)
    wire.calm()
    await resend(engine)
    await engine.settle()
    assert await engine.is_verified(wallet)
    assert await bytes_on_the_wire(engine) == before
    assert len(before) == 1
    assert await oracle.problems() == []


@pytest.mark.failure("F04")
async def test_a_node_that_hangs_is_given_up_in_time_and_signs_nothing(
    engine: Engine, wire: RpcProxy, oracle: Oracle
) -> None:
    """It takes the request and says nothing, for as long as it is waited for."""
    await unreadable_for_a_while(engine, wire, oracle, Fault("silent", methods=READS))


@pytest.mark.failure("F02", "F04")
async def test_a_node_that_hangs_with_signed_bytes_is_no_outcome_and_they_go_again_unchanged(
    engine: Engine, wire: RpcProxy, oracle: Oracle
) -> None:
    await hold_mining(engine)
    wallet = await approved(engine)
    wire.faults = [Fault("silent", methods=SENDS)]
    async with asyncio.timeout(PATIENCE_SECONDS):
        await engine.pump()
    assert wire.done["silent"] == 1
    before = await bytes_on_the_wire(engine)
    assert len(before) == 1
    wire.calm()
    await resend(engine)
    assert await bytes_on_the_wire(engine) == before
    await settle_mining(engine)
    assert await engine.is_verified(wallet)
    assert await oracle.problems() == []


@pytest.mark.failure("F05")
async def test_a_risen_base_fee_is_followed_by_one_that_nodes_take_at_the_same_nonce(
    engine: Engine, wire: RpcProxy, oracle: Oracle
) -> None:
    wire.replacement_rule = True
    await hold_mining(engine)
    wallet = await approved(engine)
    await engine.pump()
    await mine(engine, base_fee=20 * GWEI)
    await resend(engine)
    old, new = await engine.rows(Attempt)
    assert old.transaction_id == new.transaction_id
    assert new.max_fee_per_gas >= 20 * GWEI
    assert await engine.gateway.transaction_known(new.hash), "a node with the rule of a tenth took it"
    await settle_mining(engine)
    assert await engine.is_verified(wallet)
    assert await oracle.problems() == []


@pytest.mark.failure("F05")
async def test_at_the_cap_nothing_more_is_offered_and_the_stored_bytes_are_still_sent(
    engine: Engine, wire: RpcProxy, oracle: Oracle
) -> None:
    engine.restart(msgspec.structs.replace(LOCAL, max_fee=5 * GWEI))
    await hold_mining(engine)
    wallet = await approved(engine)
    await engine.pump()
    await mine(engine, base_fee=20 * GWEI)
    sent = wire.sent
    await resend(engine)
    assert wire.sent > sent
    assert all(attempt.max_fee_per_gas <= 5 * GWEI for attempt in await engine.rows(Attempt))
    await mine(engine, base_fee=GWEI)
    await resend(engine)
    await settle_mining(engine)
    assert await engine.is_verified(wallet)
    assert await oracle.problems() == []


@pytest.mark.failure("F06")
async def test_the_older_form_may_be_the_one_that_is_mined(engine: Engine, wire: RpcProxy, oracle: Oracle) -> None:
    await hold_mining(engine)
    wallet = await approved(engine)
    await engine.pump()
    await mine(engine, base_fee=20 * GWEI)
    wire.faults = [Fault("withheld", methods=SENDS)]
    await resend(engine)
    old, new = await engine.rows(Attempt)
    wire.calm()
    await mine(engine, base_fee=GWEI)
    await engine.gateway.send([old.raw])  # as a node would that had kept it; anvil forgets what it cannot include
    await mine(engine)
    await engine.settle()
    (transaction,) = await engine.rows(Transaction)
    assert transaction.mined_hash == old.hash != new.hash
    await wire.release()  # too late: its nonce is used
    await settle_mining(engine)
    assert await engine.is_verified(wallet)
    assert await oracle.problems() == []


@pytest.mark.failure("F08")
async def test_a_gap_is_filled_by_the_bytes_that_belong_there(engine: Engine, wire: RpcProxy, oracle: Oracle) -> None:
    engine.restart(msgspec.structs.replace(LOCAL, block_seconds=0.0))  # do not gather: many transactions
    await hold_mining(engine)
    wallets = []
    for _ in range(10):
        wallets.append(await approved(engine))
        await engine.pump()
    attempts = await engine.rows(Attempt)
    assert len(attempts) == 10
    await rpc(engine.url, "anvil_dropTransaction", attempts[0].hash)
    await mine(engine)
    await engine.watcher.look()
    assert {claim.status for claim in await engine.rows(Claim)} == {ClaimStatus.SIGNED}, "all wait behind the gap"
    await resend(engine)
    await settle_mining(engine)
    for wallet in wallets:
        assert await engine.is_verified(wallet)
    assert len(await engine.rows(Attempt)) == 10
    assert await oracle.problems() == []
