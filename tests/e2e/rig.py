"""The whole stack as real processes, with hands for what a dapp, a provider and an attacker do."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx

from issuer.cases.levels import BASIC_TOPIC
from issuer.chain import contracts
from issuer.chain.gateway import Gateway
from issuer.db import Database
from issuer.secrets import Secret
from issuer.supervise import Child
from scripts.stack import Stack
from tests.rpc_proxy import RpcProxy

T = TypeVar("T")

SETTLED = frozenset({"confirmed", "revoked", "cancelled", "superseded", "removed", "failed"})


class Rig(Stack):
    """`proxied`: the daemon reaches the chain through `self.proxy`, which a test can make misbehave."""

    def __init__(self, directory: Path, *, proxied: bool = False, **more: Any) -> None:
        super().__init__(directory, **more)
        self.proxy: RpcProxy | None = None
        self._proxied = proxied

    async def _up(self) -> None:
        if self._proxied:
            self.proxy = await RpcProxy(self.rpc_url).__aenter__()
        self.dapp = httpx.AsyncClient(
            base_url=self.api_url, headers={"Authorization": f"Bearer {self.api_key}"}, timeout=20
        )
        self.persona = httpx.AsyncClient(
            base_url=self.persona_url,
            headers={"Authorization": f"Bearer {self.persona_api_key}", "X-Simulator-Key": self.persona_api_key},
            timeout=20,
        )
        self.chain = Gateway(Secret(self.rpc_url))
        self.db = Database(self.database_url)
        await super()._up()
        self.dapp.headers["Authorization"] = f"Bearer {self.api_key}"

    async def __aexit__(self, *exc: Any) -> None:
        for part in (self.dapp, self.persona, self.chain, self.db):
            await part.aclose()
        await super().__aexit__(*exc)
        if self.proxy is not None:
            await self.proxy.__aexit__()

    def _daemon(self) -> Child:
        child = super()._daemon()
        if self.proxy is not None:
            child.env["CLAIMWRIGHT_RPC_URL"] = self.proxy.url
        return child

    def kill(self, name: str) -> None:
        os.kill(self.pids[name], signal.SIGKILL)

    async def open_case(self, wallet: str | None = None, **more: object) -> dict[str, Any]:
        body = {"level": "basic", "wallet": wallet or new_wallet(), **more}
        answer = await self.dapp.post("/v1/cases", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def case(self, case_id: str) -> dict[str, Any]:
        answer = await self.dapp.get(f"/v1/cases/{case_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def simulate(self, inquiry_id: str, *actions: str) -> None:
        answer = await self.persona.post(
            f"/api/v1/inquiries/{inquiry_id}/perform-simulate-actions",
            json={"meta": {"simulate-actions": [{"type": action} for action in actions]}},
        )
        assert answer.status_code == 200, answer.text

    async def approve(self, case: dict[str, Any]) -> None:
        await self.simulate(case["provider_ref"], "start_inquiry", "complete_inquiry", "approve_inquiry")

    async def control(self, path: str, body: object) -> dict[str, Any]:
        answer = await self.persona.post(f"/_sim{path}", json=body)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    async def until_claim(self, case_id: str, *statuses: str, seconds: float = 20) -> dict[str, Any]:
        """The case, as soon as its newest claim has one of the statuses."""

        async def there() -> dict[str, Any] | None:
            case = await self.case(case_id)
            return case if case["claims"] and case["claims"][-1]["status"] in statuses else None

        return await until(there, seconds, self.tail)

    async def is_verified(self, wallet: str) -> bool:
        """The registry's own answer, straight from the chain."""
        call = contracts.is_verified(self.contracts["ClaimIssuerRegistry"], wallet, BASIC_TOPIC)
        (answer,) = await self.chain.call([call])
        return contracts.decode_bool(answer)

    async def sender_nonce(self) -> int:
        return await self.chain.nonce(self._addresses["sender"])

    def operator_environment(self) -> dict[str, str]:
        """What an operator would set for every command, but for what a test makes itself."""
        return {
            **self._shared(),
            "CLAIMWRIGHT_RPC_URL": self.rpc_url,
            "CLAIMWRIGHT_DECISION_KEYS": self.private[0],
            "CLAIMWRIGHT_DATA_KEYS": self.private[1],
            "CLAIMWRIGHT_AUDIT_KEY": self.audit_key,
            "CLAIMWRIGHT_AUDIT_ANCHOR_FILE": str(self.directory / "audit-heads.jsonl"),
            "PERSONA_WEBHOOK_SECRET": self.webhook_secret,
            "CLAIMWRIGHT_DEPLOYER_KEYSTORE": str(self._keystore("deployer")),
            "CLAIMWRIGHT_DEPLOYER_PASSWORD": self._passwords["deployer"],
        }

    def tail(self) -> str:
        """The end of every log, for the message of a test that waited in vain."""
        return "\n".join(f"== {path.name}\n{path.read_text()[-1500:]}" for path in sorted(self.directory.glob("*.log")))


async def until(look: Callable[[], Awaitable[T | None]], seconds: float, why: Callable[[], str] = str) -> T:
    """The first answer that is not None. Waits on the condition, never on luck."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = await look()
        if found is not None:
            return found
        await asyncio.sleep(0.02)
    raise TimeoutError(f"still not so after {seconds} s\n{why()}")


def new_wallet() -> str:
    return "0x" + os.urandom(20).hex()


def fixture(name: str) -> Any:
    return json.loads((Path(__file__).parents[1] / "fixtures" / "persona" / name).read_text())
