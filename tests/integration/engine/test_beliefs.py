"""What is believed of a node, and when: its `finalized` tag, a chain that was wound back, bytes called unusable."""

from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa

from issuer.chain import rules
from issuer.chain.rules import TxStatus
from issuer.chain.tables import Attempt, Transaction
from issuer.chain.upkeep import REFUSALS
from issuer.chain.watcher import Watcher
from issuer.claims.rules import ClaimStatus
from issuer.claims.settle import ClaimSettlement
from issuer.claims.tables import Claim
from issuer.clock import now
from issuer.providers.protocol import Outcome
from tests.integration.engine.conftest import CHAIN_ID, Engine, rpc
from tests.oracle import Oracle
from tests.rpc_proxy import RpcProxy


async def test_where_a_chain_has_a_finalized_tag_it_decides_and_no_depth(engine: Engine, oracle: Oracle) -> None:
    engine.restart(msgspec.structs.replace(rules.profile(CHAIN_ID, depth=1), uses_finalized=True))
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)
    await engine.pump()
    await engine.watcher.look()
    (row,) = await engine.rows(Transaction)
    assert row.status == TxStatus.MINED, "at depth 1 it would be final"
    while int((await rpc(engine.url, "eth_getBlockByNumber", "finalized", False))["number"], 16) < row.block_number:
        await engine.watcher.look()
        assert (await engine.claims_of(case))[0].status == ClaimStatus.MINED
        await rpc(engine.url, "anvil_mine", "0x10")
    await engine.watcher.look()
    assert (await engine.claims_of(case))[0].status == ClaimStatus.CONFIRMED
    assert await oracle.problems() == []


async def test_a_chain_that_was_wound_back_is_believed_in_the_end_and_not_at_once(
    engine: Engine, oracle: Oracle
) -> None:
    profile = rules.profile(CHAIN_ID, depth=8)
    engine.restart(profile)
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)
    earlier = await rpc(engine.url, "evm_snapshot")
    await engine.pump()
    at = [now()]

    def clock() -> datetime:
        return at[0]

    settlement = ClaimSettlement({CHAIN_ID: engine.at.claim_issuer})
    watcher = Watcher(engine.db, engine.gateway, settlement, chain_id=CHAIN_ID, profile=profile, clock=clock)
    await watcher.look()
    assert (await engine.claims_of(case))[0].status == ClaimStatus.MINED
    assert await rpc(engine.url, "evm_revert", earlier)
    for _ in range(2):
        await watcher.look()
        assert (await engine.claims_of(case))[0].status == ClaimStatus.MINED, "it may be a slow node"
        at[0] += timedelta(seconds=profile.lag_seconds / 3)
    at[0] += timedelta(seconds=profile.lag_seconds)
    await watcher.look()
    (claim,) = await engine.claims_of(case)
    assert claim.status == ClaimStatus.SIGNED
    before = [attempt.raw for attempt in await engine.rows(Attempt)]
    await engine.upkeep.tend(now=True)
    await rpc(engine.url, "anvil_mine", hex(8))
    await engine.settle()
    assert [attempt.raw for attempt in await engine.rows(Attempt)] == before, "the same bytes, and no others"
    assert await engine.is_verified(case.wallet)
    assert await oracle.problems() == []


async def test_bytes_that_a_node_calls_unusable_three_times_make_room_and_the_claim_is_sent_anew(
    engine: Engine, wire: RpcProxy, oracle: Oracle
) -> None:
    await rpc(engine.url, "evm_setAutomine", False)
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)

    async def call_unusable() -> bool:
        if not wire.unusable:
            wire.unusable = {attempt.hash for attempt in await engine.rows(Attempt)}
        return True

    wire.before_send = call_unusable
    await engine.pump()
    for look in range(REFUSALS):
        assert [attempt.noop for attempt in await engine.rows(Attempt)] == [False], f"after {look} looks"
        await engine.upkeep.tend(now=True)
    assert [attempt.noop for attempt in await engine.rows(Attempt)] == [False, True]
    await rpc(engine.url, "evm_setAutomine", True)
    await rpc(engine.url, "evm_mine")
    await engine.settle()
    (claim,) = await engine.claims_of(case)
    assert (claim.status, claim.failures) == (ClaimStatus.QUEUED, 1), "tried again, after a while"
    async with engine.db.write() as session:
        await session.execute(sa.update(Claim).values(next_try_at=now()))
    await engine.settle()
    (claim,) = await engine.claims_of(case)
    assert (claim.status, claim.failures) == (ClaimStatus.CONFIRMED, 1)
    assert await engine.is_verified(case.wallet)
    assert await oracle.problems() == []
