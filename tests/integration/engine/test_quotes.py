"""What a lane has is asked of a node beside the preflight; by the time it is spent, no more is spent than is there."""

import asyncio

import pytest
import sqlalchemy as sa

from issuer.chain.gateway import Head
from issuer.chain.lanes import Quote
from issuer.chain.rules import SPEED_UP, Hold, Purpose
from issuer.chain.tables import Attempt, Lane, Transaction
from issuer.chain.transactions import Plan
from issuer.errors import LaneHeld
from tests.integration.engine.conftest import ETHER, Engine, rpc

GAS = 60_000
PLAN = Plan(purpose=Purpose.ISSUE, recipient="0x" + "11" * 20, calldata=b"", gas_limit=GAS)


async def _nothing(session: object, transactions: object) -> None:
    """Claims are not what is asked here."""


async def commit(engine: Engine, count: int, quoted: Quote | None = None) -> int:
    """How many of so many transactions were committed; they are sent."""
    before = len(await engine.rows(Transaction))
    raw = await engine.lane.commit([PLAN] * count, await head(engine), _nothing, quoted)
    await engine.lane.send_first(raw, PLAN.purpose)
    assert len(await engine.rows(Transaction)) == before + len(raw)
    return len(raw)


async def head(engine: Engine) -> Head:
    found, _ = await engine.gateway.snapshot([])
    return found


async def left(engine: Engine, quote: Quote) -> int:
    """What could still be spent by a quote, in wei."""
    async with engine.db.read() as session:
        row = await engine.lane.row(session)
    _, purse = await engine.lane._priced(row, await head(engine), quote)
    return purse.balance - purse.committed


async def cost(engine: Engine) -> int:
    """The most that one transaction may cost now, in wei."""
    await engine.lane.ensure()
    async with engine.db.read() as session:
        row = await engine.lane.row(session)
    price, _ = await engine.lane._priced(row, await head(engine), await engine.lane.quote())
    return GAS * price.max_fee


async def test_an_old_quote_never_shows_more_than_there_is(engine: Engine) -> None:
    await engine.lane.ensure()
    await rpc(engine.url, "evm_setAutomine", False)
    old = await engine.lane.quote()
    for _ in range(2):
        assert await commit(engine, 3, old) == 3
        assert await left(engine, old) <= await left(engine, await engine.lane.quote())
    async with engine.db.write() as session:
        await session.execute(sa.update(Transaction).values(wanted=SPEED_UP))
    await engine.upkeep.tend(now=True)
    assert len(await engine.rows(Attempt)) > len(await engine.rows(Transaction))
    assert await left(engine, old) <= await left(engine, await engine.lane.quote())
    await rpc(engine.url, "evm_mine")
    await engine.watcher.look()
    assert await left(engine, old) <= await left(engine, await engine.lane.quote())
    await rpc(engine.url, "evm_setAutomine", True)


async def test_one_quote_is_not_spent_twice(engine: Engine) -> None:
    await rpc(engine.url, "evm_setAutomine", False)
    await rpc(engine.url, "anvil_setBalance", engine.lane.sender, hex(5 * await cost(engine) + 1))
    old = await engine.lane.quote()
    assert await commit(engine, 3, old) == 3
    assert await commit(engine, 3, old) == 2
    with pytest.raises(LaneHeld, match="top it up"):
        await commit(engine, 1, old)
    (lane,) = await engine.rows(Lane)
    assert lane.hold == Hold.BALANCE
    await rpc(engine.url, "anvil_setBalance", engine.lane.sender, hex(ETHER))
    assert await commit(engine, 1) == 1
    (lane,) = await engine.rows(Lane)
    assert lane.hold is None
    await rpc(engine.url, "evm_setAutomine", True)


async def test_an_old_quote_holds_no_lane_that_was_topped_up_meanwhile(engine: Engine) -> None:
    await rpc(engine.url, "anvil_setBalance", engine.lane.sender, hex(await cost(engine) // 2))
    poor = await engine.lane.quote()
    await rpc(engine.url, "anvil_setBalance", engine.lane.sender, hex(ETHER))
    assert await commit(engine, 2, poor) == 2
    (lane,) = await engine.rows(Lane)
    assert lane.hold is None


async def test_what_is_committed_while_a_node_is_asked_counts_against_its_answer(engine: Engine) -> None:
    await engine.lane.ensure()
    await rpc(engine.url, "evm_setAutomine", False)
    asking = asyncio.create_task(engine.lane.quote())
    await asyncio.sleep(0)
    assert await commit(engine, 3) == 3
    assert await left(engine, await asking) <= await left(engine, await engine.lane.quote())
    await rpc(engine.url, "evm_setAutomine", True)
