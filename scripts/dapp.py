"""What a dapp sees and does: our API, the person at the provider (simulated), and the contracts. Over HTTP only."""

import hmac
import json
import secrets
import time
from hashlib import sha256
from typing import Any

import httpx

from issuer.chain import contracts
from issuer.chain.gateway import Gateway
from issuer.errors import ClaimwrightError
from scripts.stack import BUSINESS_TEMPLATES, CASE, CASE_TEMPLATE, INQUIRY, TRANSACTION, Stack
from scripts.vendor_simulators.launch import api_key_variable

PERSONA_ACTS = {
    "start": "start_inquiry",
    "submit": "complete_inquiry",
    "approve": "approve_inquiry",
    "decline": "decline_inquiry",
}
DECISIONS = {"approve": "Approved", "decline": "Declined"}


class StepFailed(ClaimwrightError):
    """A step of the story did not come out as it should."""

    code = "step-failed"


class Dapp:
    """A dapp's view: our API, the person at the provider (simulated), and the chain."""

    def __init__(self, stack: Stack, http: httpx.AsyncClient, gateway: Gateway) -> None:
        self._stack = stack
        self._http = http
        self._gateway = gateway
        self._persona_case = ""

    async def create_case(self, wallet: str) -> dict[str, Any]:
        return await self._api("POST", "/v1/cases", {"level": self._stack.level, "wallet": wallet, "reference": "demo"})

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

    async def at_provider(self, check_ref: str, act: str) -> float:
        """Let the person or the provider `start`, `submit`, `approve` or `decline`. When it was sent (Unix seconds)."""
        sent = time.time()
        if self._stack.provider != "persona":
            url = f"{self._stack.persona_url}/_sim/checks/{check_ref}"
            _ok(await self._http.post(url, json={"act": act}, headers=self._controls()))
        elif self._stack.shape == INQUIRY or (self._stack.shape == CASE and act not in DECISIONS):
            await self._simulate(check_ref, act)
            if self._stack.shape == CASE and act == "submit":
                await self._collect(check_ref)
        elif self._stack.shape == CASE:
            await self._persona("POST", f"/cases/{self._persona_case}/set-status", {"meta": {"status": DECISIONS[act]}})
        elif act in DECISIONS:
            path = f"/transactions/{check_ref.removeprefix('transaction-')}"
            await self._persona("PATCH", path, {"data": {"attributes": {"status": DECISIONS[act].lower()}}})
        return sent

    async def _simulate(self, inquiry: str, *acts: str) -> None:
        body = {"meta": {"simulate-actions": [{"type": PERSONA_ACTS[act]} for act in acts]}}
        await self._persona("POST", f"/inquiries/{inquiry}/perform-simulate-actions", body)

    async def _collect(self, inquiry: str) -> None:
        """What a workflow at Persona does: an owner is checked too, and a case is made of both."""
        attributes = {"inquiry-template-id": BUSINESS_TEMPLATES["persona"]}
        owner = (await self._persona("POST", "/inquiries", {"data": {"attributes": attributes}}))["data"]["id"]
        await self._simulate(owner, "start", "submit", "approve")
        body = {
            "data": {"attributes": {"case-template-id": CASE_TEMPLATE}},
            "meta": {"object-ids": [inquiry, owner]},
        }
        self._persona_case = (await self._persona("POST", "/cases", body))["data"]["id"]

    async def _persona(self, method: str, path: str, body: object) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._stack.persona_api_key}"}
        url = f"{self._stack.persona_url}/api/v1{path}"
        return _ok(await self._http.request(method, url, json=body, headers=headers))

    async def deliver_again(self, check_ref: str) -> float:
        """Send the provider's last webhook about a check once more; milliseconds until its 202.

        Persona's comes under a new event id and a new signature, the others' exactly as they were.
        """
        answer = await self._http.get(f"{self._stack.persona_url}/_sim/deliveries", headers=self._controls())
        theirs = check_ref.removeprefix("transaction-") if self._stack.shape == TRANSACTION else check_ref
        sent = [one for one in _ok(answer)["deliveries"] if theirs in one["body"]]
        if self._stack.provider != "persona":
            return await self._deliver(sent[-1]["body"].encode(), sent[-1]["headers"])
        event = json.loads(sent[-1]["body"])
        event["data"]["id"] = f"evt_{secrets.token_hex(14)}"
        return await self.deliver(json.dumps(event, separators=(",", ":")).encode())

    async def deliver(self, body: bytes) -> float:
        """Send a webhook signed as Persona signs; milliseconds until its 202."""
        moment = str(int(time.time()))
        signed = hmac.new(self._stack.webhook_secret.encode(), f"{moment}.".encode() + body, sha256).hexdigest()
        return await self._deliver(body, {"Persona-Signature": f"t={moment},v1={signed}"})

    async def _deliver(self, body: bytes, headers: dict[str, str]) -> float:
        started = time.perf_counter()
        typed = {**headers, "Content-Type": "application/json"}
        _ok(await self._http.post(self._stack.webhook_url, content=body, headers=typed))
        return (time.perf_counter() - started) * 1000

    def _controls(self) -> dict[str, str]:
        provider = self._stack.provider
        key = self._stack.persona_api_key if provider == "persona" else self._stack.vendor[api_key_variable(provider)]
        return {"X-Simulator-Key": key}

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
