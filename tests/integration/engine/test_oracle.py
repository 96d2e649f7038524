"""The oracle itself: it must see what it is there to see, or every test that ends with it shows nothing."""

from collections import Counter

import pytest
import sqlalchemy as sa

from issuer.chain.fees import Fees
from issuer.chain.tables import Attempt, Transaction
from issuer.chain.transactions import Plan, sign
from issuer.claims.tables import Claim
from issuer.providers.protocol import Outcome
from tests.integration.engine.conftest import CHAIN_ID, GWEI, Engine
from tests.oracle import Oracle, times

sqlite_only = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
WORD = "0x" + "01" * 32


async def confirmed(engine: Engine) -> None:
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)
    await engine.settle()


@sqlite_only
@pytest.mark.parametrize(
    ("lie", "said"),
    [
        (sa.update(Claim).values(status="queued"), "is queued"),
        (sa.update(Claim).values(status="revoked"), "contracts see"),
        (sa.update(Claim).values(status="revoked"), "has claims of cases []"),
        (sa.update(Claim).values(word=WORD), "is not ours"),
        (sa.update(Claim).values(tx_hash=WORD), "did not carry it"),
        (sa.update(Transaction).values(mined_hash=WORD), "on chain"),
        (sa.update(Attempt).values(hash=WORD), "on chain"),
        (sa.text("UPDATE lanes SET next_nonce = next_nonce + 1"), "on chain and at"),
        (sa.text("UPDATE cases SET status = 'declined'"), "has claims of cases"),
        (sa.text("DELETE FROM transaction_claims"), "did not carry it"),
    ],
)
async def test_a_row_that_is_not_so_is_seen(engine: Engine, oracle: Oracle, lie: sa.Executable, said: str) -> None:
    await confirmed(engine)
    assert await oracle.problems() == []
    async with engine.db.write() as session:
        await session.execute(lie)
    assert any(said in problem for problem in await oracle.problems())


@sqlite_only
async def test_a_nonce_that_the_tables_do_not_know_is_seen(engine: Engine, oracle: Oracle) -> None:
    await confirmed(engine)
    sender = engine.keys.sender
    plan = Plan(purpose="test", recipient=sender.address, calldata=b"", gas_limit=30_000)
    nonce = await engine.gateway.nonce(sender.address)
    signed = await sign(sender, plan, chain_id=CHAIN_ID, nonce=nonce, fees=Fees(max_fee=500 * GWEI, tip=GWEI))
    await engine.gateway.send([signed.raw])
    assert any("used nonces" in problem for problem in await oracle.problems())


@sqlite_only
async def test_a_claim_that_a_second_transaction_carried_is_seen(engine: Engine, oracle: Oracle) -> None:
    await confirmed(engine)
    (row,) = await engine.rows(Transaction)
    sender = engine.keys.sender
    plan = Plan(purpose="test", recipient=row.recipient, calldata=bytes(row.calldata), gas_limit=1_000_000)
    nonce = await engine.gateway.nonce(sender.address)
    signed = await sign(sender, plan, chain_id=CHAIN_ID, nonce=nonce, fees=Fees(max_fee=500 * GWEI, tip=GWEI))
    await engine.gateway.send([signed.raw])
    assert any("2 times" in problem for problem in await oracle.problems())


def test_one_transaction_that_the_node_lists_in_two_blocks_ran_once() -> None:
    assert times(Counter({("0xa", 7): 1, ("0xa", 9): 1})) == 1
    assert times(Counter({("0xa", 7): 1, ("0xb", 9): 1})) == 2
    assert times(Counter({("0xa", 7): 2, ("0xa", 9): 1})) == 2


async def test_an_older_approval_that_lacks_its_claim_is_not_settled(engine: Engine, oracle: Oracle) -> None:
    """Also if the newest decision of all has one: chaos would stop waiting too soon."""
    await confirmed(engine)
    await confirmed(engine)
    (older, _) = await engine.rows(Claim)
    assert await oracle.unsettled() == []
    async with engine.db.write() as session:
        await session.execute(sa.text("DELETE FROM transaction_claims"))
        await session.execute(sa.delete(Claim).where(Claim.id == older.id))
    assert await oracle.unsettled() == [f"case {older.case_id} is approved and lacks its claim"]
