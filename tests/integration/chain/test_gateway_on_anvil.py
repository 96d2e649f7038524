"""The gateway and a real node."""

import asyncio

import pytest

from issuer.chain.eip1559 import UnsignedTransaction, signed_bytes, signing_message, transaction_hash
from issuer.chain.gateway import Call, Gateway, SendResult
from issuer.chain.signer import LocalSigner, checked_sign
from issuer.errors import NodeUnavailable
from issuer.secrets import Secret
from scripts.anvil import CHAIN_ID, dev_key, start_anvil
from tests.integration.chain.conftest import GWEI, mined
from tests.rpc_proxy import RpcProxy

SIGNER = LocalSigner(dev_key(0))
POOR = LocalSigner(bytes([9]) * 32)


@pytest.fixture
def chain():
    with start_anvil() as anvil:
        yield anvil


@pytest.fixture
async def node(chain):
    gateway = Gateway(Secret(chain.url))
    yield gateway
    await gateway.aclose()


async def transfer(nonce, *, signer=SIGNER, max_fee=10 * GWEI, gas_limit=21_000, chain_id=CHAIN_ID):
    unsigned = UnsignedTransaction(
        chain_id=chain_id, nonce=nonce, tip=1, max_fee=max_fee, gas_limit=gas_limit, to=POOR.address, data=b"", value=1
    )
    signature = await checked_sign(signer, signing_message(unsigned))
    return signed_bytes(unsigned, r=signature.r, s=signature.s, y_parity=signature.y_parity)


async def test_a_transaction_from_bytes_to_receipt(node):
    raw = await transfer(0)
    tx_hash = transaction_hash(raw)
    assert not await node.transaction_known(tx_hash)
    assert await node.mined([tx_hash]) == set()
    assert [outcome.result for outcome in await node.send([raw])] == [SendResult.ACCEPTED]
    receipt = await mined(node, tx_hash)
    head = await node.head()
    assert receipt.succeeded
    assert (receipt.block_number, receipt.block_hash, receipt.gas_used) == (head.number, head.hash, 21_000)
    assert await node.block_hash(head.number) == head.hash
    assert await node.block_hash(head.number + 1) is None
    assert await node.transaction_known(tx_hash)
    assert await node.mined(["0x" + "00" * 32, tx_hash]) == {tx_hash}
    assert (await node.nonce(SIGNER.address), await node.balance(POOR.address)) == (1, 1)
    assert await node.chain_id() == CHAIN_ID
    assert await node.genesis_hash() == await node.block_hash(0)
    assert await node.code(POOR.address) == b""
    assert await node.call([Call(POOR.address, b"")]) == [b""]
    assert await node.suggested_tip() > 0


async def test_what_anvil_says_to_bad_bytes(node):
    first = await transfer(0)
    await node.send([first])
    await mined(node, transaction_hash(first))
    outcomes = await node.send(
        [
            await transfer(0, max_fee=11 * GWEI),
            await transfer(1, max_fee=1),
            await transfer(0, signer=POOR),
            await transfer(1, chain_id=1),
            await transfer(1, gas_limit=20_000),
            b"\x02garbage",
        ]
    )
    S = SendResult  # noqa: N806 - a short name for a long table
    assert [outcome.result for outcome in outcomes] == [
        S.NONCE_LOW, S.UNDERPRICED, S.FUNDS, S.REFUSED, S.REFUSED, S.REFUSED,
    ]  # fmt: skip


async def test_the_same_bytes_again_are_known():
    with start_anvil(extra=["--no-mining"]) as anvil:
        node = Gateway(Secret(anvil.url))
        raw = await transfer(0)
        results = [(await node.send([raw]))[0].result for _ in range(2)]
        assert results == [SendResult.ACCEPTED, SendResult.KNOWN]
        assert (await node.nonce(SIGNER.address), await node.nonce(SIGNER.address, pending=True)) == (0, 1)
        assert await node.receipts([transaction_hash(raw)]) == [None]
        assert await node.transaction_known(transaction_hash(raw))
        await node.aclose()


async def test_an_answer_lost_after_the_node_took_the_bytes_is_unknown_and_a_repeat_tells(chain):
    async with RpcProxy(chain.url) as proxy:

        async def swallow():
            return False

        node = Gateway(Secret(proxy.url))
        raw = await transfer(0)
        proxy.after_send = swallow
        assert [outcome.result for outcome in await node.send([raw])] == [SendResult.UNKNOWN]
        proxy.after_send = None
        assert (await mined(node, transaction_hash(raw))).succeeded
        (again,) = await node.send([raw])
        assert again.result in (SendResult.KNOWN, SendResult.NONCE_LOW)
        await node.aclose()


async def test_a_node_that_is_gone_is_unavailable_and_comes_back(chain):
    async with RpcProxy(chain.url) as proxy:
        node = Gateway(Secret(proxy.url))
        proxy.down = True
        with pytest.raises(NodeUnavailable):
            await node.head()
        assert [outcome.result for outcome in await node.send([b"\x02"])] == [SendResult.UNKNOWN]
        proxy.down = False
        assert (await node.head()).number == 0
        await node.aclose()


async def test_many_tasks_share_one_gateway(node):
    heads = await asyncio.gather(*(node.head() for _ in range(50)))
    assert len({head.hash for head in heads}) == 1
