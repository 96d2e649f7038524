"""The engine with real parts: a chain with our contracts, both stores, and a provider that says what a test wants."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import httpx
import msgspec
import pytest
import sqlalchemy as sa

from issuer.cases.levels import BASIC_TOPIC, LEVELS
from issuer.cases.rules import CaseStatus
from issuer.cases.tables import Case, Subject
from issuer.cases.work import CaseWorker
from issuer.chain import contracts, rules
from issuer.chain.deploy import Deployment, deploy
from issuer.chain.gateway import Gateway
from issuer.chain.lanes import LaneKeeper
from issuer.chain.rules import ChainProfile
from issuer.chain.signer import LocalSigner
from issuer.chain.upkeep import Upkeep
from issuer.chain.watcher import Watcher
from issuer.claims import store as claim_store
from issuer.claims import waiting
from issuer.claims.issue import Issues
from issuer.claims.preflight import Contracts
from issuer.claims.queueing import Issuance
from issuer.claims.revoke import Revocations
from issuer.claims.settle import ClaimSettlement
from issuer.claims.tables import Claim
from issuer.claims.work import ClaimWorker
from issuer.db import Base, Database
from issuer.errors import NodeUnavailable
from issuer.ids import new_id
from issuer.inbox.tables import InboxEvent
from issuer.providers.protocol import Glance, Outcome, Part, Reading
from issuer.queue.open import open_queue
from issuer.secrets import KeyRing, Secret
from scripts.anvil import AnvilProcess, start_anvil
from tests.integration.contracts import onchainid
from tests.integration.contracts.evm import Evm, on
from tests.integration.contracts.onchainid import Onchainid
from tests.oracle import Oracle
from tests.rpc_proxy import RpcProxy

CHAIN_ID = 31337
ETHER = 10**18
MINING_SECONDS = 0.5
GWEI = 10**9

Row = TypeVar("Row", bound=Base)


class Keys:
    """Fresh keys for each run; nothing here is worth anything."""

    def __init__(self) -> None:
        self.deployer, self.sender, self.claim_signer, self.other_sender = (
            LocalSigner(os.urandom(32)) for _ in range(4)
        )


async def rpc(url: str, method: str, *params: object) -> object:
    async with httpx.AsyncClient() as client:
        answer = await client.post(url, json={"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
    body = answer.json()
    assert "error" not in body, body
    return body["result"]


@pytest.fixture(scope="session")
def keys() -> Keys:
    return Keys()


@pytest.fixture(scope="session")
def chain() -> Iterator[AnvilProcess]:
    with start_anvil() as anvil:
        yield anvil


@pytest.fixture(scope="session")
def deployment(chain: AnvilProcess, keys: Keys, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return asyncio.run(deploy_on(chain.url, keys, tmp_path_factory.mktemp("deployment") / "deployment.json"))


async def deploy_on(rpc_url: str, keys: Keys, path: Path) -> Deployment:
    """Our contracts on a local chain, ready for these keys."""
    await rpc(rpc_url, "anvil_setBalance", keys.deployer.address, hex(100 * ETHER))
    gateway = Gateway(Secret(rpc_url))
    try:
        return await deploy(
            gateway,
            keys.deployer,
            senders=[keys.sender.address, keys.other_sender.address],
            claim_signer=keys.claim_signer.address,
            path=path,
            topics=[BASIC_TOPIC],
        )
    finally:
        await gateway.aclose()


class Persona:
    """A provider that answers what the test last said of a check."""

    name, environment = "persona", "sandbox"

    def __init__(self) -> None:
        self.readings: dict[str, Reading] = {}
        self.fetches = 0
        self.glances = 0
        self.error: Exception | None = None

    def says(
        self,
        case: Case,
        outcome: Outcome,
        *,
        at: datetime | None = None,
        redacted: bool = False,
        parts: tuple[Part, ...] = (),
        person_ref: str | None = None,
    ) -> None:
        assert case.check_ref is not None
        now = at or datetime.now(UTC)
        self.readings[case.check_ref] = Reading(
            check_ref=case.check_ref,
            outcome=outcome,
            status=outcome.value,
            reference=case.subject_id,
            template=case.template,
            environment=self.environment,
            evidence_at=now,
            decided_at=now if outcome in (Outcome.APPROVED, Outcome.DECLINED) else None,
            redacted=redacted,
            read_at=datetime.now(UTC),
            parts=parts,
            person_ref=person_ref,
        )

    async def glance(self, check_refs: Sequence[str]) -> Mapping[str, Glance]:
        if self.error is not None:
            raise self.error
        self.glances += 1
        known = {ref: self.readings[ref] for ref in check_refs if ref in self.readings}
        return {ref: Glance(outcome=one.outcome, changed_at=one.evidence_at) for ref, one in known.items()}

    async def checks_of(self, group_ref: str) -> list[str]:
        if self.error is not None:
            raise self.error
        return [ref for ref, reading in self.readings.items() if reading.person_ref == group_ref]

    async def fetch(self, check_ref: str) -> Reading:
        self.fetches += 1
        if self.error is not None:
            raise self.error
        return self.readings[check_ref]


class Engine:
    """The daemon's rooms, driven by hand: `ring` an event in, `settle` until nothing moves."""

    def __init__(self, db: Database, chain_url: str, deployment: Deployment, keys: Keys, profile: ChainProfile) -> None:
        self.db = db
        self.url = chain_url
        self.keys = keys
        self.deployment = deployment
        self.at = Contracts(
            claim_issuer=deployment.contracts["ClaimIssuer"], factory=deployment.contracts["IdentityFactory"]
        )
        self.gateway = Gateway(Secret(chain_url))
        self.persona = Persona()
        self.decision_keys = KeyRing({1: os.urandom(32)})
        self.data_keys = KeyRing({1: os.urandom(32)})
        self.queue = open_queue(db)
        self.restart(profile)

    def restart(self, profile: ChainProfile, *, hosted: bool = False, batch_size: int = 200) -> None:
        """What a new process would build from the same database."""
        self.profile = profile
        issuance = Issuance(
            claim_issuers={CHAIN_ID: self.at.claim_issuer},
            data_keys=self.data_keys,
            hosted_levels=frozenset({"basic"} if hosted else ()),
        )
        self.lane = LaneKeeper(self.db, self.gateway, self.keys.sender, chain_id=CHAIN_ID, profile=profile)
        issues = Issues(
            self.db,
            self.gateway,
            self.lane,
            self.keys.claim_signer,
            self.at,
            decision_keys=self.decision_keys,
            data_keys=self.data_keys,
            batch_size=batch_size,
        )
        self.claims = ClaimWorker(Revocations(self.db, self.gateway, self.lane, self.at.claim_issuer), issues)
        settlement = ClaimSettlement(issuance.claim_issuers)
        self.upkeep = Upkeep(self.lane, settlement)
        self.watcher = Watcher(self.db, self.gateway, settlement, chain_id=CHAIN_ID, profile=profile)
        self.cases = CaseWorker(
            self.db,
            self.queue,
            {("persona", "sandbox"): self.persona},  # type: ignore[dict-item]
            decision_keys=self.decision_keys,
            issuance=issuance,
            identities=self.identities,
            wake=lambda: None,
            silent_seconds=600.0,
        )

    async def speak_through(self, rpc_url: str) -> None:
        """Reach the chain another way from now on; `url` stays the chain itself, for the test's own hands."""
        await self.gateway.aclose()
        self.gateway = Gateway(Secret(rpc_url), timeout_seconds=2)
        self.restart(self.profile)

    async def identities(self, wallet: str) -> dict[int, str]:
        calls = contracts.identity_calls(self.at.factory, wallet, self.at.claim_issuer)
        try:
            linked, predicted = await self.gateway.call(calls)
        except NodeUnavailable:
            return {}
        identity = contracts.identity_of(linked, predicted)
        assert identity is not None
        return {CHAIN_ID: identity}

    async def open_case(self, wallet: str | None = None, *, identity: str | None = None) -> Case:
        now = datetime.now(UTC)
        subject = Subject(id=new_id("sub"), created_at=now)
        case = Case(
            id=new_id("case"),
            subject_id=subject.id,
            level="basic",
            wallet=wallet or LocalSigner(os.urandom(32)).address,
            identity=identity,
            chain_ids=[CHAIN_ID],
            provider="persona",
            environment="sandbox",
            template="itmpl_1",
            check_ref=new_id("inq"),
            status=CaseStatus.CREATED,
            reasons=[],
            next_check_at=now + timedelta(hours=1),
            created_at=now,
            updated_at=now,
        )
        async with self.db.write() as session:
            session.add(subject)
            await session.flush()
            session.add(case)
        return case

    async def receive(self, case: Case, name: str = "inquiry.approved", *, group_ref: str | None = None) -> str:
        """An event about the case's check, or about a group of them."""
        now = datetime.now(UTC)
        event = InboxEvent(
            id=new_id("evt"),
            provider="persona",
            environment="sandbox",
            event_key=new_id("key"),
            name=name,
            known=True,
            check_ref=case.check_ref if group_ref is None else None,
            group_ref=group_ref,
            received_at=now,
            body_hash="0" * 64,
            next_try_at=now,
        )
        async with self.db.write() as session:
            session.add(event)
        return event.id

    async def ring(self, case: Case, outcome: Outcome, **more: object) -> None:
        """The provider moves the check and its webhook is handled."""
        self.persona.says(case, outcome, **more)  # type: ignore[arg-type]
        await self.cases.handle_event(await self.receive(case))

    async def pump(self) -> None:
        assert await self.lane.ensure()
        while await self.claims.pump():
            assert await self.lane.ensure()
        await self._mined()

    async def _mined(self) -> None:
        """A node that mines by itself does so a moment after it has taken what was sent."""
        if await rpc(self.url, "anvil_getAutomine"):
            deadline = asyncio.get_running_loop().time() + MINING_SECONDS
            while await self._pending() and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - the node tells nobody
                await asyncio.sleep(0.01)

    async def _pending(self) -> int:
        """Transactions that could be mined: a low fee or a gap before them keeps others in the pool."""
        status = await rpc(self.url, "txpool_status")
        assert isinstance(status, dict)
        return int(status["pending"], 16)

    async def settle(self) -> None:
        """Pump and look until nothing is on its way."""
        async with asyncio.timeout(60):
            while True:
                await self.pump()
                if not await self.watcher.look() and not await self._waiting():
                    return
                await asyncio.sleep(0.01)

    async def _waiting(self) -> bool:
        now = datetime.now(UTC)
        async with self.db.read() as session:
            ready = await waiting.ready(session, CHAIN_ID, now=now, limit=1)
            return bool(ready or await claim_store.to_revoke(session, CHAIN_ID, now=now, limit=1))

    async def case(self, case: Case) -> Case:
        async with self.db.read() as session:
            found = await session.get(Case, case.id)
        assert found is not None
        return found

    async def claims_of(self, case: Case) -> list[Claim]:
        async with self.db.read() as session:
            return (await claim_store.of_cases(session, [case.id]))[case.id]

    async def rows(self, kind: type[Row]) -> list[Row]:
        """The whole table, oldest first."""
        async with self.db.read() as session:
            return list(await session.scalars(sa.select(kind).order_by(kind.id)))  # type: ignore[attr-defined]

    async def is_verified(self, wallet: str) -> bool:
        """The contract's own answer, as any other contract would get it."""
        call = contracts.is_verified(self.deployment.contracts["ClaimIssuerRegistry"], wallet, BASIC_TOPIC)
        (answer,) = await self.gateway.call([call])
        return contracts.decode_bool(answer)

    async def sent(self) -> int:
        """How many transactions of our sender the chain has mined."""
        return await self.gateway.nonce(self.keys.sender.address)

    async def aclose(self) -> None:
        await self.queue.aclose()
        await self.gateway.aclose()


def daemon_environment(engine: Engine, store_url: str, persona_url: str, folder: Path) -> dict[str, str]:
    """What a daemon process is started with to go on where the engine stands. Its deployment file is in `folder`."""
    engine.deployment.save(folder / "deployment.json")
    return {
        "CLAIMWRIGHT_ENV": "test",
        "CLAIMWRIGHT_CHAIN_ID": str(CHAIN_ID),
        "CLAIMWRIGHT_RPC_URL": engine.url,
        "CLAIMWRIGHT_DEPLOYMENT_FILE": str(folder / "deployment.json"),
        "CLAIMWRIGHT_DECISION_KEYS": f"1:{engine.decision_keys._keys[1].hex()}",
        "CLAIMWRIGHT_DATA_KEYS": f"1:{engine.data_keys._keys[1].hex()}",
        "CLAIMWRIGHT_SENDER_KEY": engine.keys.sender._key.to_hex(),
        "CLAIMWRIGHT_CLAIM_SIGNER_KEY": engine.keys.claim_signer._key.to_hex(),
        "DATABASE_URL": store_url,
        "PERSONA_API_BASE_URL": persona_url,
        "PERSONA_API_KEY": f"persona_sandbox_{os.urandom(20).hex()}",
        "PERSONA_TEMPLATE_ID": "itmpl_1",
    }


@pytest.fixture
async def wire(engine: Engine) -> AsyncIterator[RpcProxy]:
    """The engine speaks to the chain through this proxy, which a test can make misbehave."""
    async with RpcProxy(engine.url) as proxy:
        await engine.speak_through(proxy.url)
        yield proxy


@pytest.fixture
async def oracle(engine: Engine) -> Oracle:
    """Judges what happens from here on."""
    return Oracle(engine.db, engine.url, engine.deployment, since=(await engine.gateway.head()).number)


@pytest.fixture
async def engine(db: Database, chain: AnvilProcess, deployment: Deployment, keys: Keys) -> AsyncIterator[Engine]:
    await rpc(chain.url, "anvil_setBalance", keys.sender.address, hex(100 * ETHER))
    await rpc(chain.url, "evm_setAutomine", True)
    engine = Engine(db, chain.url, deployment, keys, rules.profile(CHAIN_ID))
    yield engine
    await engine.aclose()


@pytest.fixture
async def start(engine: Engine) -> int:
    """Other tests' claims are on the same chain: each test replays what happened since it began."""
    await rpc(engine.url, "evm_mine")
    return (await engine.gateway.head()).number


@pytest.fixture(scope="session")
def made_elsewhere(chain: AnvilProcess) -> Onchainid:
    async def deploy() -> Onchainid:
        async with on(chain.url) as evm:
            return await onchainid.set_up(evm)

    return asyncio.run(deploy())


@pytest.fixture
async def evm(engine: Engine) -> AsyncIterator[Evm]:
    async with on(engine.url) as evm:
        yield evm


@pytest.fixture
def they(evm: Evm, made_elsewhere: Onchainid) -> Onchainid:
    return msgspec.structs.replace(made_elsewhere, evm=evm)


assert BASIC_TOPIC in LEVELS["basic"].topics
