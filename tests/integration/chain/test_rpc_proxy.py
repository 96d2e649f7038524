"""The fault proxy does what it says: a test that leans on it would otherwise show nothing."""

from collections.abc import AsyncIterator

import httpx
import pytest

from issuer.chain.eip1559 import transaction_hash
from issuer.chain.errors import SendResult
from issuer.chain.fees import Fees
from issuer.chain.gateway import Gateway
from issuer.chain.signer import LocalSigner
from issuer.chain.transactions import Plan, sign
from issuer.errors import NodeUnavailable
from issuer.secrets import Secret
from scripts.anvil import AnvilProcess, dev_key, start_anvil
from tests.rpc_proxy import READS, SENDS, Fault, RpcProxy

SIGNER = LocalSigner(dev_key(0))
PLAN = Plan(purpose="test", recipient=SIGNER.address, calldata=b"", gas_limit=30_000)
GWEI = 10**9


@pytest.fixture(scope="module")
def anvil() -> AsyncIterator[AnvilProcess]:
    with start_anvil(extra=["--no-mining"]) as anvil:
        yield anvil


@pytest.fixture
async def proxy(anvil: AnvilProcess) -> AsyncIterator[RpcProxy]:
    async with RpcProxy(anvil.url) as proxy:
        yield proxy


@pytest.fixture
async def gateway(proxy: RpcProxy) -> AsyncIterator[Gateway]:
    gateway = Gateway(Secret(proxy.url), timeout_seconds=2)
    yield gateway
    await gateway.aclose()


async def signed(nonce: int, *, max_fee: int = 10 * GWEI, tip: int = GWEI) -> bytes:
    return (await sign(SIGNER, PLAN, chain_id=31337, nonce=nonce, fees=Fees(max_fee=max_fee, tip=tip))).raw


async def mine(anvil: AnvilProcess) -> None:
    async with httpx.AsyncClient() as client:
        await client.post(anvil.url, json={"jsonrpc": "2.0", "id": 1, "method": "evm_mine", "params": []})


@pytest.mark.parametrize(
    "kind", ["refused", "lost_answer", "http_429", "http_503", "garbage", "short_batch", "wrong_id"]
)
async def test_a_fault_makes_a_read_fail_and_is_gone_when_calm(proxy: RpcProxy, gateway: Gateway, kind: str) -> None:
    proxy.faults = [Fault(kind)]
    with pytest.raises(NodeUnavailable):
        await gateway.chain_id()
    assert proxy.done[kind] >= 3, "each of the gateway's tries, and where a batch was at fault each once more alone"
    proxy.calm()
    assert await gateway.chain_id() == 31337


async def test_a_fault_concerns_its_methods_only(proxy: RpcProxy, gateway: Gateway) -> None:
    proxy.faults = [Fault("error", methods=frozenset({"eth_getBalance"})), Fault("garbage", methods=SENDS)]
    assert await gateway.chain_id() == 31337
    with pytest.raises(NodeUnavailable):
        await gateway.balance(SIGNER.address)


async def test_faults_come_by_chance_and_the_same_seed_gives_the_same(anvil: AnvilProcess) -> None:
    async def run() -> list[bool]:
        failed = []
        async with RpcProxy(anvil.url, seed=3) as proxy, httpx.AsyncClient() as client:
            proxy.faults = [Fault("http_503", 0.5, READS)]
            for _ in range(20):
                body = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
                failed.append((await client.post(proxy.url, json=body)).status_code == 503)
        return failed

    first = await run()
    assert 0 < sum(first) < 20
    assert await run() == first


async def test_an_answer_is_lost_after_the_node_has_taken_the_bytes(proxy: RpcProxy, gateway: Gateway) -> None:
    raw = await signed(await gateway.nonce(SIGNER.address))
    proxy.faults = [Fault("lost_answer", methods=SENDS)]
    (outcome,) = await gateway.send([raw])
    assert outcome.result is SendResult.UNKNOWN
    proxy.calm()
    assert await gateway.transaction_known(transaction_hash(raw))


@pytest.mark.parametrize("kind", ["dropped", "withheld"])
async def test_bytes_are_said_to_be_taken_and_are_not(
    anvil: AnvilProcess, proxy: RpcProxy, gateway: Gateway, kind: str
) -> None:
    await mine(anvil)
    raw = await signed(await gateway.nonce(SIGNER.address))
    proxy.faults = [Fault(kind, methods=SENDS)]
    (outcome,) = await gateway.send([raw])
    assert outcome.result is SendResult.ACCEPTED
    assert not await gateway.transaction_known(transaction_hash(raw))
    await proxy.release()
    assert await gateway.transaction_known(transaction_hash(raw)) is (kind == "withheld")


async def test_a_replacement_needs_a_tenth_more_on_both_fees_while_the_old_one_waits(
    anvil: AnvilProcess, proxy: RpcProxy, gateway: Gateway
) -> None:
    await mine(anvil)
    proxy.replacement_rule = True
    nonce = await gateway.nonce(SIGNER.address)
    offers = [
        (20 * GWEI, 2 * GWEI, SendResult.ACCEPTED),
        (30 * GWEI, 2 * GWEI, SendResult.UNDERPRICED),
        (20 * GWEI, 3 * GWEI, SendResult.UNDERPRICED),
        (22 * GWEI, 2 * GWEI + GWEI // 5, SendResult.ACCEPTED),
    ]
    for max_fee, tip, expected in offers:
        (outcome,) = await gateway.send([await signed(nonce, max_fee=max_fee, tip=tip)])
        assert outcome.result is expected
    await mine(anvil)
    assert await gateway.nonce(SIGNER.address) == nonce + 1


async def test_a_lagging_node_knows_nothing_of_the_newest_blocks(
    anvil: AnvilProcess, proxy: RpcProxy, gateway: Gateway
) -> None:
    await mine(anvil)
    nonce = await gateway.nonce(SIGNER.address)
    raw = await signed(nonce)
    await gateway.send([raw])
    await mine(anvil)
    head = await gateway.head()
    proxy.lag = 1
    assert (await gateway.head()).number == head.number - 1
    assert await gateway.block_hash(head.number) is None
    assert await gateway.receipts([transaction_hash(raw)]) == [None]
    assert await gateway.nonce(SIGNER.address) == nonce
    proxy.calm()
    assert await gateway.nonce(SIGNER.address) == nonce + 1


async def test_another_chain_id(proxy: RpcProxy, gateway: Gateway) -> None:
    proxy.chain_id = 1
    assert await gateway.chain_id() == 1
