"""One daemon, two chains: an approval yields a claim on each, and a chain that is away delays its own claim only."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from issuer import daemon
from issuer.cases.levels import BASIC_TOPIC
from issuer.cases.rules import CaseStatus
from issuer.cases.tables import Case
from issuer.chain import contracts, rules
from issuer.chain.deploy import Deployment, deploy
from issuer.chain.gateway import Gateway
from issuer.claims.rules import ClaimStatus
from issuer.claims.tables import Claim
from issuer.providers.protocol import Outcome
from issuer.queue.port import INBOX
from issuer.secrets import Secret
from issuer.settings import DaemonSettings, load
from scripts.anvil import AnvilProcess, start_anvil
from tests.integration.engine.conftest import CHAIN_ID, ETHER, Engine, Keys, rpc
from tests.rpc_proxy import RpcProxy

SECOND_ID = 31338


@pytest.fixture(scope="module")
def second_chain() -> Iterator[AnvilProcess]:
    with start_anvil(extra=["--chain-id", str(SECOND_ID)]) as anvil:
        yield anvil


@pytest.fixture(autouse=True)
def both_local(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox decision reaches local chains only, and 31337 is the only one outside this test."""
    monkeypatch.setattr(rules, "LOCAL_CHAIN_IDS", frozenset({CHAIN_ID, SECOND_ID}))


@pytest.fixture
async def second(second_chain: AnvilProcess, keys: Keys, tmp_path: Path) -> Deployment:
    for key in (keys.deployer, keys.sender):
        await rpc(second_chain.url, "anvil_setBalance", key.address, hex(100 * ETHER))
    gateway = Gateway(Secret(second_chain.url))
    try:
        return await deploy(
            gateway,
            keys.deployer,
            senders=[keys.sender.address],
            claim_signer=keys.claim_signer.address,
            path=tmp_path / f"deployment-{SECOND_ID}.json",
            topics=[BASIC_TOPIC],
        )
    finally:
        await gateway.aclose()


class Daemon:
    """The daemon itself in this process, its provider aside; the second chain stands behind a proxy."""

    def __init__(self, engine: Engine, second: Deployment, proxy: RpcProxy) -> None:
        self.engine, self.second, self.proxy = engine, second, proxy
        self.stop = asyncio.Event()

    def settings(self, directory: Path) -> DaemonSettings:
        self.engine.deployment.save(directory / f"deployment-{CHAIN_ID}.json")
        env = {
            "CLAIMWRIGHT_CHAIN_ID": f"{CHAIN_ID} {SECOND_ID}",
            "DATABASE_URL": self.engine.db.url.render_as_string(hide_password=False),
            "PERSONA_API_KEY": secrets.token_hex(20),
            "PERSONA_TEMPLATE_ID": "itmpl_1",
            "CLAIMWRIGHT_DECISION_KEYS": "1:" + secrets.token_hex(32),
            "CLAIMWRIGHT_DATA_KEYS": "1:" + secrets.token_hex(32),
            "CLAIMWRIGHT_SENDER_KEY": self.engine.keys.sender._key.to_hex(),
            "CLAIMWRIGHT_CLAIM_SIGNER_KEY": self.engine.keys.claim_signer._key.to_hex(),
            f"CLAIMWRIGHT_RPC_URL_{CHAIN_ID}": self.engine.url,
            f"CLAIMWRIGHT_RPC_URL_{SECOND_ID}": self.proxy.url,
        }
        for chain_id in (CHAIN_ID, SECOND_ID):
            env[f"CLAIMWRIGHT_DEPLOYMENT_FILE_{chain_id}"] = str(directory / f"deployment-{chain_id}.json")
        return load(DaemonSettings, env)

    async def approve(self) -> Case:
        case = await self.engine.open_case()
        async with self.engine.db.write() as session:
            await session.execute(sa.update(Case).where(Case.id == case.id).values(chain_ids=[CHAIN_ID, SECOND_ID]))
        self.engine.persona.says(case, Outcome.APPROVED)
        await self.ring(case)
        return case

    async def ring(self, case: Case) -> None:
        event_id = await self.engine.receive(case)
        async with self.engine.db.write() as session:
            await self.engine.queue.enqueue(session, INBOX, [event_id])

    async def until_claims(self, case: Case, statuses: dict[int, ClaimStatus]) -> dict[int, Claim]:
        """The claims of the case by chain, as soon as these are they."""
        async with asyncio.timeout(30):
            while True:
                claims = {claim.chain_id: claim for claim in await self.engine.claims_of(case)}
                if {chain_id: claim.status for chain_id, claim in claims.items()} == statuses:
                    return claims
                await asyncio.sleep(0.02)


@pytest.fixture
async def both(
    engine: Engine, second_chain: AnvilProcess, second: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Daemon]:
    monkeypatch.setattr(engine.persona, "aclose", _nothing, raising=False)
    monkeypatch.setattr(daemon, "open_providers", lambda _: {("persona", "sandbox"): engine.persona})
    async with RpcProxy(second_chain.url) as proxy:
        process = Daemon(engine, second, proxy)
        running = asyncio.create_task(daemon.run(process.settings(tmp_path), process.stop))
        yield process
        process.stop.set()
        async with asyncio.timeout(10):
            await running


async def _nothing() -> None:
    pass


async def test_one_approval_yields_a_claim_on_each_chain_and_a_decline_revokes_both(both: Daemon) -> None:
    case = await both.approve()
    claims = await both.until_claims(case, {CHAIN_ID: ClaimStatus.CONFIRMED, SECOND_ID: ClaimStatus.CONFIRMED})
    assert claims[CHAIN_ID].tx_hash != claims[SECOND_ID].tx_hash
    assert await both.engine.is_verified(case.wallet)
    second = Gateway(Secret(both.proxy.url))
    call = contracts.is_verified(both.second.contracts["ClaimIssuerRegistry"], case.wallet, BASIC_TOPIC)
    assert contracts.decode_bool((await second.call([call]))[0])
    await second.aclose()

    both.engine.persona.says(case, Outcome.DECLINED)
    await both.ring(case)
    await both.until_claims(case, {CHAIN_ID: ClaimStatus.REVOKED, SECOND_ID: ClaimStatus.REVOKED})


async def test_a_chain_that_is_away_delays_its_own_claim_only(both: Daemon) -> None:
    both.proxy.down = True
    case = await both.approve()
    await both.until_claims(case, {CHAIN_ID: ClaimStatus.CONFIRMED})
    assert (await both.engine.case(case)).status == CaseStatus.APPROVED
    both.proxy.down = False
    await both.until_claims(case, {CHAIN_ID: ClaimStatus.CONFIRMED, SECOND_ID: ClaimStatus.CONFIRMED})
