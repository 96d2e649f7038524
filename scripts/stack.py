"""The whole stack on one machine: chain, contracts, Persona simulator, store, API and daemon, all fresh.

    async with Stack(directory) as stack:
        ...  # stack.api_url, stack.api_key, stack.persona_url, stack.contracts, stack.pids

Used by demo, dev, the end-to-end tests and the benchmarks. Every key and secret is random and new, every port is a
free one on loopback, and nothing is left running. Use it from the main thread.
"""

import asyncio
import secrets
import shutil
import sys
import uuid
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from issuer import migrations
from issuer.access.rules import ADMIN
from issuer.access.store import create_key
from issuer.cases import levels
from issuer.cases.levels import LEVELS
from issuer.chain.deploy import deploy
from issuer.chain.gateway import Gateway
from issuer.chain.keystore import new_keystore, open_keystore
from issuer.clock import now
from issuer.db import Database
from issuer.providers.persona_webhook import KNOWN_EVENTS
from issuer.providers.vendors import VENDORS
from issuer.secrets import Secret
from issuer.supervise import Child, Ready, Supervisor, http_answers, line_written
from scripts.anvil import CHAIN_ID, find_anvil
from scripts.ground import HOME as HOME
from scripts.ground import LOCAL, ROOT, base_environment, free_ports, lock_directory, node_answers
from scripts.ground import rpc as rpc
from scripts.persona_simulator.launch import ENVIRONMENT_ID, TEMPLATE_ID
from scripts.vendor_simulators.launch import environment as vendor_environment
from scripts.vendor_simulators.launch import secret_variables

SCRYPT_N = 1024  # the passwords here are 128 random bits; stretching them would only cost time
FUNDS_WEI = 1_000 * 10**18


# How Persona decides a business: by its inquiry, by a case that has its owners in it too, or by data alone.
INQUIRY, CASE, TRANSACTION = SHAPES = ("inquiry", "case", "transaction")
CASE_TEMPLATE = "ctmpl_7sVmH1cxngytfoAhLxYmWlB40Kyb"
TRANSACTION_TYPE = "txntp_7sVmH1cxngytfoAhLxYmWlB40Kyb"
# What a business is checked with; the others tell a check by no template of theirs.
BUSINESS_TEMPLATES = {
    "persona": "itmpl_7sVmH1cxngytfoAhLxYmWlB40Kyb",
    "onfido": "6f9b2c1e-0000-4000-8000-00000000c1a2",
    "sumsub": "claims-business-kyb",
}


class Stack:
    """`directory` is emptied first and keeps database, keys and logs afterwards.

    `provider` is who checks people, or businesses if `level` is `business`, as a local simulator; `shape` how Persona
    decides them. `block_time` in seconds; None mines each transaction at once. `settings` are added to both processes'
    environments.
    Raises `AlreadyRunning` when another stack lives in the directory, `ChildFailed` when a part does not come up.
    """

    def __init__(
        self,
        directory: Path,
        *,
        database_url: str | None = None,
        block_time: float | None = None,
        provider: str = "persona",
        level: str = "basic",
        shape: str = INQUIRY,
        settings: dict[str, str] | None = None,
        on_change: Callable[[dict[str, int]], None] | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.directory = directory
        self.database_url = database_url or f"sqlite:///{directory / 'claimwright.sqlite3'}"
        self.block_time = block_time
        self.settings = settings or {}
        self.provider = provider
        self.level = level
        self.shape = shape
        self.chain_id = CHAIN_ID
        self.contracts: dict[str, str] = {}
        self.api_key = ""
        self.persona_api_key = f"persona_sandbox_{secrets.token_hex(20)}"
        self.webhook_secret = f"wbhsec_{uuid.uuid4()}"
        self.private = [f"1:{secrets.token_hex(32)}", f"1:{secrets.token_hex(32)}"]  # decision keys, data keys
        self.audit_key = secrets.token_hex(32)
        self._passwords = {name: secrets.token_hex(16) for name in ("deployer", "sender", "claim_signer")}
        self._addresses: dict[str, str] = {}
        self._on_change = on_change
        self._say = say
        self._lock: IO[str] | None = None

    async def __aenter__(self) -> Self:
        self._lock = lock_directory(self.directory)
        try:
            shutil.rmtree(self.directory, ignore_errors=True)
            self.directory.mkdir(mode=0o700)
            self._choose_ports()
            self.supervisor = Supervisor(on_change=self._on_change)
            try:
                await self._up()
            except BaseException:
                await self.supervisor.stop()
                raise
        except BaseException:
            self._lock.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.supervisor.stop()
        if self._lock is not None:
            self._lock.close()

    @property
    def pids(self) -> dict[str, int]:
        """Of `api`, `daemon`, `anvil` and `persona`."""
        return self.supervisor.pids

    def log(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def secret_values(self) -> list[str]:
        """Everything that may be found in no log and no table."""
        return [
            *self._passwords.values(),
            *(key.partition(":")[2] for key in self.private),
            *(self.api_key, self.persona_api_key, self.webhook_secret, self.audit_key),
            *(value for name, value in self.vendor.items() if name in secret_variables(self.provider)),
        ]

    def _choose_ports(self) -> None:
        api, persona, anvil, api_private, daemon_private = free_ports(5)
        self.api_url = f"http://{LOCAL}:{api}"
        self.persona_url = f"http://{LOCAL}:{persona}"
        self.rpc_url = f"http://{LOCAL}:{anvil}"
        self.private_urls = {"api": f"http://{LOCAL}:{api_private}", "daemon": f"http://{LOCAL}:{daemon_private}"}
        self.webhook_url = f"{self.api_url}/webhooks/{self.provider}"
        self.vendor = {} if self.provider == "persona" else vendor_environment(self.provider, self.persona_url)

    async def _up(self) -> None:
        """Each part starts as soon as what it needs is there."""
        migrated, deployed = asyncio.Event(), asyncio.Event()

        async def store_and_api() -> None:
            await asyncio.to_thread(migrations.upgrade, self.database_url)
            self._say("the store is migrated")
            migrated.set()
            self.api_key = await self._make_key()
            await self.supervisor.start(self._api())
            self._say(f"the API answers at {self.api_url}")

        async def chain() -> None:
            await asyncio.gather(self.supervisor.start(self._anvil()), asyncio.to_thread(self._make_keystores))
            self._say(f"the chain runs at {self.rpc_url}")
            await self._deploy()
            self._say(f"the contracts are deployed, registry {self.contracts['ClaimIssuerRegistry']}")
            deployed.set()

        async def persona() -> None:
            await self.supervisor.start(self._persona())
            self._say(f"the {self.provider.capitalize()} simulator answers at {self.persona_url}")

        async def daemon() -> None:
            await migrated.wait()
            await deployed.wait()
            await self.supervisor.start(self._daemon())
            self._say("the daemon is ready")

        await _all(store_and_api(), chain(), persona(), daemon())

    async def _make_key(self) -> str:
        db = Database(self.database_url)
        try:
            async with db.write() as session:
                _, key = await create_key(session, "local stack", [ADMIN], now())
        finally:
            await db.aclose()
        return key.reveal()

    def _make_keystores(self) -> None:
        for name, password in self._passwords.items():
            self._addresses[name] = new_keystore(self._keystore(name), Secret(password), scrypt_n=SCRYPT_N)

    def _keystore(self, name: str) -> Path:
        return self.directory / f"{name}.keystore.json"

    async def _deploy(self) -> None:
        for name in ("deployer", "sender"):
            await asyncio.to_thread(rpc, self.rpc_url, "anvil_setBalance", self._addresses[name], hex(FUNDS_WEI))
        deployer = open_keystore("DEPLOYER", self._keystore("deployer"), Secret(self._passwords["deployer"]))
        gateway = Gateway(Secret(self.rpc_url))
        try:
            deployment = await deploy(
                gateway,
                deployer,
                senders=[self._addresses["sender"]],
                claim_signer=self._addresses["claim_signer"],
                path=self.directory / "deployment.json",
                topics=sorted(levels.all_topics(), key=lambda topic: topic not in LEVELS[self.level].topics),
            )
        finally:
            await gateway.aclose()
        self.contracts = deployment.contracts

    def _anvil(self) -> Child:
        timing = [] if self.block_time is None else ["--block-time", f"{self.block_time:g}"]
        argv = [str(find_anvil()), "--host", LOCAL, "--port", _port(self.rpc_url), "--silent", *timing]
        return self._child("anvil", argv, {}, ready=node_answers(self.rpc_url), restart=False)

    def _persona(self) -> Child:
        """The provider's simulator. Whoever it plays, it is called `persona` here and has that address."""
        ready = http_answers(f"{self.persona_url}/_sim/health")
        port = _port(self.persona_url)
        if self.provider != "persona":
            argv = [sys.executable, "-m", "scripts.vendor_simulators", self.provider, "--port", port]
            told = {**self.vendor, "SIMULATOR_WEBHOOK_URL": self.webhook_url}
            return self._child("persona", argv, told, ready=ready, restart=False)
        told = {
            "CLAIMWRIGHT_ENV": "development",
            "PERSONA_SIM_API_KEY": self.persona_api_key,
            "PERSONA_SIM_WEBHOOK_SECRET": self.webhook_secret,
            "PERSONA_SIM_WEBHOOK_URL": self.webhook_url,
            "PERSONA_SIM_WEBHOOK_EVENTS": ",".join(sorted(KNOWN_EVENTS)),
            "PERSONA_SIM_TEMPLATE_ID": f"{TEMPLATE_ID},{BUSINESS_TEMPLATES['persona']}",
            "PERSONA_SIM_ENVIRONMENT_ID": ENVIRONMENT_ID,
        }
        argv = [sys.executable, "-m", "scripts.persona_simulator", "--port", port]
        return self._child("persona", argv, told, ready=ready, restart=False)

    def _api(self) -> Child:
        ready = http_answers(f"{self.api_url}/health/ready")
        return self._child("api", [sys.executable, "-m", "issuer", "api"], self.api_settings(), ready=ready)

    def _daemon(self) -> Child:
        ready = line_written(self.log("daemon"), '"daemon_ready"')
        return self._child("daemon", [sys.executable, "-m", "issuer", "daemon"], self.daemon_settings(), ready=ready)

    def api_settings(self) -> dict[str, str]:
        """What `claimwright api` is started with."""
        return {
            **self._shared(),
            "CLAIMWRIGHT_API_HOST": LOCAL,
            "CLAIMWRIGHT_API_PORT": _port(self.api_url),
            "CLAIMWRIGHT_API_PRIVATE_PORT": _port(self.private_urls["api"]),
            "PERSONA_WEBHOOK_SECRET": self.webhook_secret,
        }

    def daemon_settings(self) -> dict[str, str]:
        """What `claimwright daemon` is started with."""
        return {
            **self._shared(),
            "CLAIMWRIGHT_DAEMON_PRIVATE_PORT": _port(self.private_urls["daemon"]),
            "CLAIMWRIGHT_RPC_URL": self.rpc_url,
            "CLAIMWRIGHT_DEPLOYMENT_FILE": str(self.directory / "deployment.json"),
            "CLAIMWRIGHT_DECISION_KEYS": self.private[0],
            "CLAIMWRIGHT_DATA_KEYS": self.private[1],
            "CLAIMWRIGHT_AUDIT_KEY": self.audit_key,
            "CLAIMWRIGHT_AUDIT_ANCHOR_FILE": str(self.directory / "audit-heads.jsonl"),
            "CLAIMWRIGHT_SENDER_KEYSTORE": str(self._keystore("sender")),
            "CLAIMWRIGHT_SENDER_PASSWORD": self._passwords["sender"],
            "CLAIMWRIGHT_CLAIM_SIGNER_KEYSTORE": str(self._keystore("claim_signer")),
            "CLAIMWRIGHT_CLAIM_SIGNER_PASSWORD": self._passwords["claim_signer"],
        }

    def deploy_settings(self) -> dict[str, str]:
        """What `claimwright deploy` would be started with, to deploy once more or elsewhere."""
        return {
            "CLAIMWRIGHT_RPC_URL": self.rpc_url,
            "CLAIMWRIGHT_CHAIN_ID": str(self.chain_id),
            "CLAIMWRIGHT_DEPLOYMENT_FILE": str(self.directory / "deployment.json"),
            "CLAIMWRIGHT_DEPLOYER_KEYSTORE": str(self._keystore("deployer")),
            "CLAIMWRIGHT_DEPLOYER_PASSWORD": self._passwords["deployer"],
            "CLAIMWRIGHT_SENDER_ADDRESS": self._addresses["sender"],
            "CLAIMWRIGHT_CLAIM_SIGNER_ADDRESS": self._addresses["claim_signer"],
        }

    def _shared(self) -> dict[str, str]:
        return {
            "CLAIMWRIGHT_ENV": "development",
            "DATABASE_URL": self.database_url,
            "CLAIMWRIGHT_CHAIN_ID": str(self.chain_id),
            "CLAIMWRIGHT_PROVIDERS": self.provider,
            "PERSONA_API_KEY": self.persona_api_key,
            "PERSONA_TEMPLATE_ID": TEMPLATE_ID,
            "PERSONA_ENVIRONMENT_ID": ENVIRONMENT_ID,
            "PERSONA_API_BASE_URL": f"{self.persona_url}/api/v1",
            "PERSONA_HOSTED_URL": f"{self.persona_url}/verify",
            "PERSONA_CASE_TEMPLATES": (
                f"{BUSINESS_TEMPLATES['persona']}:{CASE_TEMPLATE}" if self.shape == CASE else ""
            ),
            **self.vendor,
            **({} if self.level == "basic" else {"CLAIMWRIGHT_LEVELS_FILE": str(self._levels_file())}),
            "CLAIMWRIGHT_SILENT_SECONDS": "10",  # a developer who drops a webhook wants to see the sweep
            **self.settings,
        }

    def _levels_file(self) -> Path:
        """The shipped levels, and a template for `level`, which has none of its own."""
        path = self.directory / "levels.toml"
        if not path.exists():
            table = f"[levels.{self.level}.templates.{self.provider}]"
            template = BUSINESS_TEMPLATES.get(self.provider, VENDORS[self.provider].template_word)
            template = TRANSACTION_TYPE if self.shape == TRANSACTION else template
            shipped = levels.SHIPPED.read_text(encoding="utf-8")
            path.write_text(f'{shipped}\n{table}\nsandbox = "{template}"\n', encoding="utf-8")
        return path

    def _child(
        self, name: str, argv: Sequence[str | Path], told: dict[str, str], ready: Ready, restart: bool = True
    ) -> Child:
        return Child(
            name=name,
            argv=argv,
            env={**base_environment(), **told},
            cwd=ROOT,
            log=self.log(name),
            ready=ready,
            restart=restart,
        )


def _port(url: str) -> str:
    return url.rpartition(":")[2]


async def _all(*parts: Coroutine[None, None, None]) -> None:
    """All at once; the first failure ends the rest and is raised as itself."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
