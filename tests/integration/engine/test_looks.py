"""What one look of the watcher asks for and believes: no more than it needs, of one head, a few at a time."""

import pytest

from issuer.chain import rules, watcher
from issuer.chain.rules import TxStatus
from issuer.chain.tables import Transaction
from issuer.errors import NodeUnavailable
from issuer.history import History
from tests.integration.engine.conftest import CHAIN_ID, Engine, rpc
from tests.integration.engine.test_wire_failures import approved, hold_mining, mine
from tests.oracle import Oracle
from tests.rpc_proxy import RpcProxy

RECEIPT = "eth_getTransactionReceipt"
DEPTH = 3


async def statuses(engine: Engine) -> list[TxStatus]:
    return [TxStatus(row.status) for row in await engine.rows(Transaction)]


async def test_what_is_in_a_block_after_the_head_is_left_to_the_next_look_and_moved_once(
    engine: Engine, wire: RpcProxy, oracle: Oracle
) -> None:
    await hold_mining(engine)
    wallet = await approved(engine)
    await engine.pump()

    async def a_block_comes() -> bool:
        await mine(engine)
        wire.before.clear()
        return True

    wire.before[RECEIPT] = a_block_comes
    assert await engine.watcher.look() == 1
    assert await statuses(engine) == [TxStatus.SIGNED]
    assert await engine.watcher.look() == 0, "the next look is not put off until there is another block"
    assert await statuses(engine) == [TxStatus.FINAL]
    moved = {row.target: row.at for row in await engine.rows(History) if row.claim_id is not None}
    assert moved["mined"] == moved["confirmed"], "in one transaction"
    assert await engine.is_verified(wallet)
    assert await oracle.problems() == []


async def test_a_mined_one_whose_block_stands_is_not_asked_for_again_until_it_is_final(
    engine: Engine, wire: RpcProxy, oracle: Oracle
) -> None:
    engine.restart(rules.profile(CHAIN_ID, depth=DEPTH))
    wallet = await approved(engine)
    await engine.pump()
    asked = []

    async def count() -> bool:
        asked.append(await statuses(engine))
        return True

    wire.before[RECEIPT] = count
    assert await engine.watcher.look() == 1
    for _ in range(DEPTH - 2):
        await rpc(engine.url, "evm_mine")
        assert await engine.watcher.look() == 1
    assert asked == [[TxStatus.SIGNED]]
    await rpc(engine.url, "evm_mine")
    assert await engine.watcher.look() == 0
    assert asked == [[TxStatus.SIGNED], [TxStatus.MINED]]
    assert await statuses(engine) == [TxStatus.FINAL]
    assert await engine.is_verified(wallet)
    assert await oracle.problems() == []


async def test_a_node_that_fails_in_the_middle_of_a_look_loses_nothing_of_it(
    engine: Engine, wire: RpcProxy, oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "JUDGED_TOGETHER", 1)
    engine.restart(engine.profile, batch_size=1)
    await hold_mining(engine)
    wallets = [await approved(engine) for _ in range(3)]
    await engine.pump()
    await mine(engine)
    asked = 0

    async def fail_the_third() -> bool:
        nonlocal asked
        asked += 1
        return asked < 3

    wire.before[RECEIPT] = fail_the_third
    with pytest.raises(NodeUnavailable):
        await engine.watcher.look()
    assert (await statuses(engine)).count(TxStatus.FINAL) == 2, "what was asked for before it failed"
    wire.before.clear()
    await rpc(engine.url, "evm_setAutomine", True)
    await engine.settle()
    for wallet in wallets:
        assert await engine.is_verified(wallet)
    assert await oracle.problems() == []
