"""A chain and a store as a busy issuer has them: contracts, and any number of approved cases with their claims.

What a daemon would have made one by one is made here in bulk: the decisions are sealed with the daemon's own key and
the salts too, so that nothing of a claim's way out is spared.
"""

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import psutil
import sqlalchemy as sa
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from issuer.audit.work import Auditor
from issuer.cases import sealing
from issuer.cases.levels import LEVELS
from issuer.cases.rules import CaseStatus
from issuer.cases.tables import Case, Decision, Subject
from issuer.chain import contracts
from issuer.chain.deploy import Deployment, deploy
from issuer.chain.gateway import Gateway
from issuer.chain.rules import TxStatus
from issuer.chain.signer import LocalSigner
from issuer.chain.tables import Attempt, Lane, Transaction, TransactionClaim
from issuer.claims import rules
from issuer.claims.queueing import SALT, SALT_BYTES
from issuer.claims.rules import ClaimStatus
from issuer.claims.tables import Claim
from issuer.db import Database
from issuer.history import History
from issuer.ids import new_id
from issuer.secrets import KeyRing, Secret
from scripts.anvil import CHAIN_ID, start_anvil
from scripts.ground import ROOT, base_environment, rpc
from tests.factories import PROVIDER_KEY, TEMPLATE

BLOCK_SECONDS = 1.0
BLOCK_GAS = 3_000_000_000
ANVIL_FLAGS = ("--gas-limit", str(BLOCK_GAS), "--no-request-size-limit")
LEVEL = LEVELS["basic"]
TOPIC = LEVEL.topics[0]
FUNDS_WEI = 10**24
_ROWS = 5000  # to one statement
_CARRIED = 25  # claims of a transaction of the past


class Chain:
    """A local chain with our contracts; the senders pay and may send, the claim signer makes claims true."""

    def __init__(self, url: str, pid: int, gateway: Gateway, keys: Sequence[bytes], deployment: Deployment) -> None:
        self.url = url
        self.pid = pid
        self.gateway = gateway
        self.claim_signer_key, *self.sender_keys = keys
        self.senders = [LocalSigner(key).address for key in self.sender_keys]
        self.contracts = deployment.contracts

    async def identities(self, wallets: Sequence[str]) -> list[str]:
        """Where the factory would put each wallet's Identity."""
        factory, adder = self.contracts["IdentityFactory"], self.contracts["ClaimIssuer"]
        answers = await self.gateway.call([contracts.predict(factory, wallet, adder) for wallet in wallets])
        return [contracts.decode_address(answer) or "" for answer in answers]

    async def verified(self, wallets: Sequence[str]) -> int:
        """Of how many the registry says so."""
        registry = self.contracts["ClaimIssuerRegistry"]
        answers = await self.gateway.call([contracts.is_verified(registry, wallet, TOPIC) for wallet in wallets])
        return sum(contracts.decode_bool(answer) for answer in answers)

    async def rpc(self, method: str, *params: object) -> object:
        return await asyncio.to_thread(rpc, self.url, method, *params)


@asynccontextmanager
async def chain(folder: Path, *, senders: int = 1) -> AsyncIterator[Chain]:
    """A block every second with room for `BLOCK_GAS`. The deployment file is `folder/deployment.json`."""
    deployer, *keys = (secrets.token_bytes(32) for _ in range(2 + senders))
    with start_anvil(block_time=BLOCK_SECONDS, extra=ANVIL_FLAGS) as anvil:
        gateway = Gateway(Secret(anvil.url), timeout_seconds=60)
        try:
            for key in (deployer, *keys[1:]):
                await asyncio.to_thread(rpc, anvil.url, "anvil_setBalance", LocalSigner(key).address, hex(FUNDS_WEI))
            deployment = await deploy(
                gateway,
                LocalSigner(deployer),
                senders=[LocalSigner(key).address for key in keys[1:]],
                claim_signer=LocalSigner(keys[0]).address,
                path=folder / "deployment.json",
                topics=[TOPIC],
            )
            yield Chain(anvil.url, anvil.pid, gateway, keys, deployment)
        finally:
            await gateway.aclose()


class Ledger:
    """A store and the keys that its rows are sealed with."""

    def __init__(self, database_url: str, chain: Chain, folder: Path) -> None:
        self.url = database_url
        self.chain = chain
        self._folder = folder
        self._private = {name: secrets.token_hex(32) for name in ("decision", "data")}
        self._decision_keys = KeyRing({1: bytes.fromhex(self._private["decision"])})
        self._data_keys = KeyRing({1: bytes.fromhex(self._private["data"])})
        self.db = Database(database_url)

    def daemon_settings(self) -> dict[str, str]:
        return {
            "CLAIMWRIGHT_ENV": "development",
            "CLAIMWRIGHT_LOG_LEVEL": "warning",
            "DATABASE_URL": self.url,
            "CLAIMWRIGHT_CHAIN_ID": str(CHAIN_ID),
            "CLAIMWRIGHT_RPC_URL": self.chain.url,
            "CLAIMWRIGHT_DEPLOYMENT_FILE": str(self._folder / "deployment.json"),
            "CLAIMWRIGHT_DECISION_KEYS": f"1:{self._private['decision']}",
            "CLAIMWRIGHT_DATA_KEYS": f"1:{self._private['data']}",
            "CLAIMWRIGHT_SENDER_KEY": ",".join(key.hex() for key in self.chain.sender_keys),
            "CLAIMWRIGHT_CLAIM_SIGNER_KEY": self.chain.claim_signer_key.hex(),
            "PERSONA_API_KEY": PROVIDER_KEY,
            "PERSONA_TEMPLATE_ID": TEMPLATE,
            "PERSONA_API_BASE_URL": "http://127.0.0.1:9/api/v1",  # never asked: no case is silent
            "PERSONA_HOSTED_URL": "http://127.0.0.1:9/verify",
        }

    async def queue(self, count: int, form: str) -> list[str]:
        """Approved cases with one queued claim each. Returns their wallets."""
        wallets = [wallet_of(f"queued {number}") for number in range(count)]
        identities = await self.chain.identities(wallets)
        rows = [self._approved(wallet, identity, form) for wallet, identity in zip(wallets, identities, strict=True)]
        await self._insert(rows)
        await self._audited()
        return wallets

    async def fill(self, count: int) -> None:
        """Claims of the past: confirmed, with their transactions and history, on identities of their own."""
        rows = []
        for number in range(count):
            made = self._approved(wallet_of(f"stored {number}"), wallet_of(f"identity {number}"), rules.SIGNED)
            claim = made[Claim]
            claim |= {"status": ClaimStatus.CONFIRMED, "word": "0x" + "01" * 32, "signature": "0x" + "02" * 64}
            claim |= {"epoch": 0, "tx_hash": "0x" + "03" * 32, "block_number": 1}
            rows.append(made)
        await self._insert(rows)
        await self._insert_past([made[Claim]["id"] for made in rows])
        await self._audited()

    async def _audited(self) -> None:
        """As any daemon did within seconds of each decision."""
        await Auditor(self.db, None, None).step()

    def _approved(self, wallet: str, identity: str, form: str) -> dict[type, dict[str, Any]]:
        at = datetime.now(UTC)
        subject = {"id": new_id("sub"), "tenant_id": "default", "created_at": at}
        case = {
            "id": new_id("case"),
            "tenant_id": "default",
            "subject_id": subject["id"],
            "level": LEVEL.name,
            "wallet": wallet,
            "chain_ids": [CHAIN_ID],
            "provider": "persona",
            "environment": "sandbox",
            "template": TEMPLATE,
            "check_ref": new_id("inq"),
            "start_attempt": 0,
            "status": CaseStatus.APPROVED,
            "reasons": [],
            "evidence_at": at,
            "next_check_at": at + timedelta(days=1),
            "created_at": at,
            "updated_at": at,
        }
        decision = {
            "id": new_id("dec"),
            "tenant_id": "default",
            "case_id": case["id"],
            "outcome": CaseStatus.APPROVED,
            "provider_status": "approved",
            "decided_at": at,
            "read_at": at,
            "policy": msgspec.json.encode(LEVEL.policy()).decode(),
        }
        message = sealing.decision_message(Case(**case), Decision(**decision))
        decision["mac"] = self._decision_keys.mac(sealing.DECISION_MAC, message)
        claim_id = new_id("clm")
        claim = {
            "id": claim_id,
            "tenant_id": "default",
            "case_id": case["id"],
            "decision_id": decision["id"],
            "revision": 0,
            "wallet": wallet,
            "identity": identity,
            "topic": str(TOPIC),
            "chain_id": CHAIN_ID,
            "form": form,
            "onchain_id": "0x" + rules.onchain_id(self.chain.contracts["ClaimIssuer"], TOPIC).hex(),
            "status": ClaimStatus.QUEUED,
            "validity_seconds": LEVEL.validity_seconds,
            "salt": self._data_keys.seal(SALT, os.urandom(SALT_BYTES), row=claim_id),
            "failures": 0,
            "next_try_at": at,
            "created_at": at,
            "updated_at": at,
        }
        line = {"id": new_id("his"), "tenant_id": "default", "case_id": case["id"], "claim_id": claim_id, "at": at}
        line |= {"source": None, "target": ClaimStatus.QUEUED, "cause": "approved", "detail": {}}
        return {Subject: subject, Case: case, Decision: decision, Claim: claim, History: line}

    async def _insert(self, rows: list[dict[type, dict[str, Any]]]) -> None:
        for start in range(0, len(rows), _ROWS):
            async with self.db.write() as session:
                for table in (Subject, Case, Decision, Claim, History):
                    await session.execute(sa.insert(table), [made[table] for made in rows[start : start + _ROWS]])

    async def _insert_past(self, claim_ids: list[str]) -> None:
        """The transactions that carried them, on a lane that nobody uses any more."""
        at = datetime.now(UTC)
        lane = {"id": new_id("lane"), "chain_id": CHAIN_ID, "sender": wallet_of("old sender"), "next_nonce": 0}
        transactions, attempts, links = [], [], []
        for nonce, start in enumerate(range(0, len(claim_ids), _CARRIED)):
            transaction = {"id": new_id("txn"), "lane_id": lane["id"], "chain_id": CHAIN_ID, "nonce": nonce}
            transaction |= {"purpose": "issue", "recipient": lane["sender"], "calldata": os.urandom(1000)}
            transaction |= {"gas_limit": 2**24, "status": TxStatus.FINAL, "created_at": at, "updated_at": at}
            transactions.append(transaction)
            attempt = {"id": new_id("att"), "transaction_id": transaction["id"], "raw": os.urandom(1100)}
            attempt |= {"hash": "0x" + keccak(text=attempt["id"]).hex(), "signed_at": at}
            attempts.append(attempt | {"max_fee_per_gas": 1, "max_priority_fee_per_gas": 1})
            for claim_id in claim_ids[start : start + _CARRIED]:
                link = {"transaction_id": transaction["id"], "claim_id": claim_id, "purpose": "issue"}
                links.append(link | {"resolved_at": at})
        async with self.db.write() as session:
            await session.execute(sa.insert(Lane), [lane])
            for table, made in ((Transaction, transactions), (Attempt, attempts), (TransactionClaim, links)):
                for start in range(0, len(made), _ROWS):
                    await session.execute(sa.insert(table), made[start : start + _ROWS])


@contextmanager
def daemon(ledger: Ledger, folder: Path, number: int = 0) -> Iterator[psutil.Process]:
    """`claimwright daemon` as a process of its own. Raises `RuntimeError` with its last words if it ended by itself."""
    with (folder / f"daemon-{number}.log").open("w+") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "issuer", "daemon"],
            cwd=ROOT,
            env=base_environment() | ledger.daemon_settings(),
            stdout=said,
            stderr=said,
        )
        try:
            yield psutil.Process(process.pid)
        finally:
            alive = process.poll() is None
            process.terminate()
            process.wait(20)
            if not alive:
                said.seek(0)
                raise RuntimeError(f"the daemon ended by itself:\n{said.read()[-2000:]}")


def cpu_seconds(process: psutil.Process) -> float:
    """Its own and its children's."""
    times = [one.cpu_times() for one in (process, *process.children())]
    return float(sum(one.user + one.system for one in times))


def resident_mb(process: psutil.Process) -> float:
    """Its own and its children's; pages that they share count twice."""
    return float(sum(one.memory_info().rss for one in (process, *process.children())) / 2**20)


def wallet_of(seed: str) -> str:
    return str(to_checksum_address(keccak(text=seed)[12:]))
