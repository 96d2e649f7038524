"""What the four simulators share: checks in memory, a hand on their state, signed deliveries, a page with buttons.

    POST /_sim/checks/{id}     {"act": "approve", "deliver": true}   act on a check, as the person or the vendor would
    POST /_sim/deliver         {"id": ..., "change": {...}}          send its last webhook again, changed, signed anew
    POST /_sim/faults          {"status": 503, "count": 2}           answer the next API calls with this status
    GET  /_sim/health, /_sim/checks/{id}, /_sim/deliveries
    GET  /enter/{id}                                                 where the person is sent

`/_sim` wants the vendor's API key in `X-Simulator-Key`. Nothing is kept when the process ends.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from typing import Any
from urllib.parse import parse_qsl

import httpx

ACTS = ("start", "submit", "approve", "decline", "review", "retry", "expire", "delete")
MAX_BODY = 1024 * 1024
RETRIES = (0.2, 1.0, 3.0)  # seconds before a delivery is tried again; vendors wait minutes and hours
LABELS = {"submit": "Finish the check", "approve": "Approve", "decline": "Decline", "review": "Send to review"}

Json = dict[str, Any]


@dataclass
class Check:
    """One check. `act` is the last thing that happened to it; each vendor has its own word for that."""

    id: str
    reference: str
    template: str
    callback: str | None = None
    act: str = "create"
    attempt: int = 1
    made_at: float = field(default_factory=time.time)
    changed_at: float = field(default_factory=time.time)
    person: Json = field(default_factory=dict)


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    target: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Json:
        try:
            found = json.loads(self.body or b"{}")
        except ValueError:
            raise Refused(400, "the body is no JSON") from None
        return found if isinstance(found, dict) else {}


class Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Reply:
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Simulator:
    """Subclasses answer the vendor's calls in `api`, and word its webhooks in `webhook`."""

    name = ""
    CANARY = "Testa Exempelsson"  # stands where vendors send names: it must turn up nowhere else

    def __init__(self, env: Mapping[str, str], base_url: str) -> None:
        self.env = env
        self.base_url = base_url
        self.webhook_url = env.get("SIMULATOR_WEBHOOK_URL", "")
        self.checks: dict[str, Check] = {}
        self.deliveries: list[Json] = []
        self.faults: list[int] = []
        self._last: dict[str, tuple[Json, dict[str, str]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._client = httpx.AsyncClient(timeout=5, trust_env=False)

    # What a vendor is

    def api(self, request: Request) -> Reply:
        """Answer a call of the vendor's API, its authentication included. Raises `Refused`."""
        raise NotImplementedError

    def webhook(self, check: Check) -> Json | None:
        """The body that tells of the check's last act; None where the vendor keeps silent."""
        raise NotImplementedError

    def signed(self, body: bytes) -> dict[str, str]:
        """The headers that go with a webhook."""
        raise NotImplementedError

    def api_key(self) -> str:
        raise NotImplementedError

    # What they share

    def make(self, reference: str, template: str, callback: str | None = None, check_id: str | None = None) -> Check:
        check = Check(check_id or str(uuid.uuid4()), reference, template, callback)
        self.checks[check.id] = check
        return check

    def find(self, check_id: object) -> Check:
        found = self.checks.get(check_id) if isinstance(check_id, str) else None
        if found is None:
            raise Refused(404, "not found")
        return found

    def enter_url(self, check: Check) -> str:
        return f"{self.base_url}/enter/{check.id}"

    def act(self, check: Check, act: str, *, deliver: bool = True) -> None:
        if act not in ACTS:
            raise Refused(400, f"act must be one of {', '.join(ACTS)}")
        if act == "retry":
            check.attempt += 1
        check.act, check.changed_at = act, max(time.time(), check.changed_at + 0.001)
        body = self.webhook(check)
        if body is not None and deliver:
            self.send(check.id, body)

    def send(self, check_id: str, document: Json) -> None:
        body = json.dumps(document, ensure_ascii=False).encode()
        headers = {"content-type": "application/json", **self.signed(body)}
        self._last[check_id] = (document, headers)
        if self.webhook_url:
            task = asyncio.get_running_loop().create_task(self._deliver(check_id, body, headers))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, check_id: str, body: bytes, headers: dict[str, str]) -> None:
        record: Json = {"check": check_id, "body": body.decode(), "headers": headers, "answers": []}
        self.deliveries.append(record)
        for pause in (*RETRIES, None):
            try:
                answer = await self._client.post(self.webhook_url, content=body, headers=headers)
                record["answers"].append(answer.status_code)
                if answer.status_code in (200, 201, 202, 204):
                    return
            except httpx.HTTPError as error:
                record["answers"].append(type(error).__name__)
            if pause is not None:
                await asyncio.sleep(pause)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        try:
            reply = self._route(await _request(scope, receive))
        except Refused as refused:
            reply = answer({"message": str(refused)}, refused.status)
        headers = {"content-type": "application/json", **reply.headers, "content-length": str(len(reply.body))}
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": reply.status, "headers": encoded})
        await send({"type": "http.response.body", "body": reply.body})

    def _route(self, request: Request) -> Reply:
        if request.path.startswith("/_sim/"):
            return self._control(request)
        if request.path.startswith("/enter/"):
            return self._page(request)
        if self.faults:
            return answer({"message": "a fault, as asked for"}, self.faults.pop(0))
        return self.api(request)

    def _control(self, request: Request) -> Reply:
        if request.path == "/_sim/health":
            return answer({"ok": True})
        if not secrets.compare_digest(request.headers.get("x-simulator-key", ""), self.api_key()):
            raise Refused(401, "X-Simulator-Key is not the API key")
        told = request.json()
        match request.method, request.path.split("/")[2:]:
            case "POST", ["checks", check_id]:
                self.act(self.find(check_id), str(told.get("act")), deliver=told.get("deliver", True) is not False)
                return answer({"ok": True})
            case "GET", ["checks", check_id]:
                return answer(vars(self.find(check_id)))
            case "GET", ["deliveries"]:
                return answer({"deliveries": self.deliveries})
            case "POST", ["deliver"]:
                document, _ = self._last[self.find(told.get("id")).id]
                self.send(str(told["id"]), {**document, **told.get("change", {})})
                return answer({"ok": True})
            case "POST", ["faults"]:
                self.faults = [int(told["status"])] * int(told.get("count", 1))
                return answer({"ok": True})
        raise Refused(404, "not found")

    def _page(self, request: Request) -> Reply:
        check = self.find(request.path.removeprefix("/enter/"))
        if request.method == "POST":
            self.act(check, dict(parse_qsl(request.body.decode())).get("act", ""))
        elif check.act == "create":
            self.act(check, "start")
        buttons = "".join(f'<button name="act" value="{act}">{escape(label)}</button>' for act, label in LABELS.items())
        back = f'<p><a href="{escape(check.callback)}">Back to the dapp</a></p>' if check.callback else ""
        page = (
            f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(self.name)}</title>"
            f"<h1>{escape(self.name)} (simulator, no real verification)</h1><p>Now: {escape(check.act)}</p>"
            f'<form method="post">{buttons}</form>{back}</html>'
        )
        return Reply(200, page.encode(), {"content-type": "text/html; charset=utf-8"})


def answer(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status, json.dumps(document).encode(), headers or {})


def iso(at: float, *, digits: int = 0) -> str:
    """UTC with a Z and so many digits of a second."""
    moment = datetime.fromtimestamp(at, UTC)
    fraction = f".{moment.microsecond:06d}"[: digits + 1] if digits else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


async def _request(scope: Any, receive: Any) -> Request:  # noqa: ANN401 - ASGI
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            raise Refused(413, "too large")
        if not message.get("more_body"):
            break
    query = scope["query_string"].decode()
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=dict(parse_qsl(query)),
        target=scope.get("raw_path", scope["path"].encode()).decode().partition("?")[0]
        + (f"?{query}" if query else ""),
        headers={name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]},
        body=body,
    )


async def _lifespan(receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
