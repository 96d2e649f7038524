"""A chain with the contracts on it, once for all tests here; each test takes wallets that nobody else uses."""

import asyncio
import itertools
from collections.abc import Iterator

import msgspec
import pytest
from eth_utils.crypto import keccak

from issuer.chain.contracts import ClaimInput
from issuer.chain.deploy import Deployment, deploy
from issuer.chain.eip1559 import UnsignedTransaction, signed_bytes, signing_message, transaction_hash
from issuer.chain.gateway import Gateway, Receipt
from issuer.chain.signer import LocalSigner, checked_sign
from issuer.claims.rules import Word, claim_message, compact_signature, domain_separator
from issuer.secrets import Secret
from scripts.anvil import CHAIN_ID, AnvilProcess, dev_key, start_anvil

TOPIC = 0x434C0001
DEPLOYER, SENDER, CLAIM_SIGNER, STRANGER = (LocalSigner(dev_key(index)) for index in range(4))
GWEI = 10**9
_numbers = itertools.count(1)


def fresh_wallet() -> str:
    return LocalSigner(keccak(text=f"wallet {next(_numbers)}")).address


class World(msgspec.Struct):
    """One chain, its contracts, and hands to send with."""

    url: str
    deployment: Deployment

    def at(self, name: str) -> str:
        return self.deployment.contracts[name]

    async def claim(self, identity: str, *, epoch: int = 0, topic: int = TOPIC, signer=CLAIM_SIGNER) -> ClaimInput:
        word = Word(epoch=epoch, issued_at=1, expires_at=0, commitment=bytes(21)).pack()
        domain = domain_separator(CHAIN_ID, self.at("ClaimIssuer"))
        signature = await checked_sign(signer, claim_message(domain=domain, identity=identity, topic=topic, word=word))
        compact = compact_signature(signature.r, signature.s, signature.y_parity)
        return ClaimInput(topic=topic, scheme=1, signature=compact, data=word)


async def transact(gateway: Gateway, signer: LocalSigner, to: str, data: bytes, gas_limit: int) -> Receipt:
    """Send one transaction and wait until it is mined."""
    unsigned = UnsignedTransaction(
        chain_id=CHAIN_ID, nonce=await gateway.nonce(signer.address), tip=GWEI, max_fee=100 * GWEI,
        gas_limit=gas_limit, to=to, data=data,
    )  # fmt: skip
    signature = await checked_sign(signer, signing_message(unsigned))
    raw = signed_bytes(unsigned, r=signature.r, s=signature.s, y_parity=signature.y_parity)
    (outcome,) = await gateway.send([raw])
    assert outcome.held_by_node, outcome
    return await mined(gateway, transaction_hash(raw))


async def mined(gateway: Gateway, tx_hash: str) -> Receipt:
    async with asyncio.timeout(10):
        while (found := (await gateway.receipts([tx_hash]))[0]) is None:  # noqa: ASYNC110 - the chain is another process
            await asyncio.sleep(0.01)
        return found


@pytest.fixture(scope="session")
def anvil() -> Iterator[AnvilProcess]:
    with start_anvil() as process:
        yield process


@pytest.fixture(scope="session")
def world(anvil: AnvilProcess, tmp_path_factory: pytest.TempPathFactory) -> World:
    async def prepare() -> Deployment:
        gateway = Gateway(Secret(anvil.url))
        try:
            return await deploy(
                gateway, DEPLOYER, senders=[SENDER.address], claim_signer=CLAIM_SIGNER.address,
                path=tmp_path_factory.mktemp("deployment") / "deployment.json", topics=[TOPIC],
            )  # fmt: skip
        finally:
            await gateway.aclose()

    return World(anvil.url, asyncio.run(prepare()))


@pytest.fixture
async def gateway(world: World):
    gateway = Gateway(Secret(world.url))
    yield gateway
    await gateway.aclose()
