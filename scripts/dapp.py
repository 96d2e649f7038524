"""What a dapp sees and does: our API, the person at Persona (simulated), and the contracts. Over HTTP only."""

import hmac
import time
from hashlib import sha256
from typing import Any

import httpx

from issuer.chain import contracts
from issuer.chain.gateway import Gateway
from issuer.errors import ClaimwrightError
from scripts.stack import Stack


class StepFailed(ClaimwrightError):
    """A step of the story did not come out as it should."""

    code = "step-failed"


class Dapp:
    """A dapp's view: our API, the person at Persona (simulated), and the chain."""

    def __init__(self, stack: Stack, http: httpx.AsyncClient, gateway: Gateway) -> None:
        self._stack = stack
        self._http = http
        self._gateway = gateway

    async def create_case(self, wallet: str) -> dict[str, Any]:
        return await self._api("POST", "/v1/cases", {"level": "basic", "wallet": wallet, "reference": "demo"})

    async def case(self, case_id: str) -> dict[str, Any]:
        return await self._api("GET", f"/v1/cases/{case_id}")

    async def timeline(self, case_id: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await self._api("GET", f"/v1/cases/{case_id}/timeline"))["items"]
        return items

    async def contract_says(self, wallet: str, topic: int) -> tuple[bool, bool]:
        """What the registry and a contract gated on it answer."""
        at = self._stack.contracts
        asked = [
            contracts.is_verified(at["ClaimIssuerRegistry"], wallet, topic),
            contracts.is_allowed(at["ClaimGated"], wallet),
        ]
        verified, allowed = await self._gateway.call(asked)
        return contracts.decode_bool(verified), contracts.decode_bool(allowed)

    async def at_persona(self, inquiry_id: str, *actions: str) -> float:
        """Let the person, or Persona, do something. Answers when the call was sent (Unix seconds)."""
        url = f"{self._stack.persona_url}/api/v1/inquiries/{inquiry_id}/perform-simulate-actions"
        body = {"meta": {"simulate-actions": [{"type": action} for action in actions]}}
        sent = time.time()
        _ok(await self._http.post(url, json=body, headers={"Authorization": f"Bearer {self._stack.persona_api_key}"}))
        return sent

    async def last_webhook(self, inquiry_id: str, name: str) -> bytes:
        """The bytes that Persona sent."""
        answer = await self._http.get(
            f"{self._stack.persona_url}/_sim/deliveries",
            params={"inquiry_id": inquiry_id, "event_name": name},
            headers={"X-Simulator-Key": self._stack.persona_api_key},
        )
        body: str = _ok(answer)["deliveries"][-1]["body"]
        return body.encode()

    async def deliver(self, body: bytes) -> float:
        """Send a webhook signed as Persona signs; milliseconds until its 202."""
        moment = str(int(time.time()))
        signed = hmac.new(self._stack.webhook_secret.encode(), f"{moment}.".encode() + body, sha256).hexdigest()
        headers = {"Persona-Signature": f"t={moment},v1={signed}", "Content-Type": "application/json"}
        started = time.perf_counter()
        _ok(await self._http.post(self._stack.webhook_url, content=body, headers=headers))
        return (time.perf_counter() - started) * 1000

    async def _api(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._stack.api_key}"}
        return _ok(await self._http.request(method, self._stack.api_url + path, json=body, headers=headers))


def _ok(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_error:
        problem = answer.text[:300]
        raise StepFailed(
            f"{answer.request.method} {answer.request.url.path} was answered {answer.status_code} {problem}"
        )
    body: dict[str, Any] = answer.json() if answer.content else {}
    return body
