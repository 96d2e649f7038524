"""What every API request passes: key, rate limit, faults, idempotency, version, headers.

The order is Persona's: 401 and 429 are decided before idempotency and never stored.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Iterable
from typing import Any

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPReceiveMessage, Message, Receive, Scope, Send

from scripts.persona_simulator.connections import cut
from scripts.persona_simulator.errors import ApiError, bad_request
from scripts.persona_simulator.faults import Fault, tell_lie
from scripts.persona_simulator.idempotency import Answer, fingerprint
from scripts.persona_simulator.ids import new_id
from scripts.persona_simulator.inflection import STYLES
from scripts.persona_simulator.serialise import VERSIONS
from scripts.persona_simulator.state import World
from scripts.persona_simulator.wire import encode

DEFAULT_VERSION = "2025-12-08"
LONGEST_BODY = 1 << 20
JSON_TYPE = (b"content-type", b"application/json; charset=utf-8")


def header(scope: Scope, name: bytes) -> str | None:
    for key, value in scope["headers"]:
        if key.lower() == name:
            return value.decode("latin-1")
    return None


def authorised(scope: Scope, keys: Iterable[str]) -> str | None:
    """Return the API key that the request carries, or None."""
    given = (header(scope, b"authorization") or "").removeprefix("Bearer ").encode()
    return next((key for key in keys if hmac.compare_digest(key.encode(), given)), None)


def error_answer(error: ApiError) -> Answer:
    return Answer(error.status, (JSON_TYPE,), encode(error.document()))


class Edge(ASGIMiddleware):
    """Wraps every route below ``/api/v1``."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, world: World) -> None:
        self._world = world

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        world, method, path = self._world, scope["method"], scope["path"]  # type: ignore[typeddict-item]
        key = authorised(scope, world.settings.api_keys)
        if key is None:
            title = None if header(scope, b"authorization") is None else "Token is invalid"
            await _send(send, error_answer(ApiError(401, title=title)), [])
            return
        faults = world.faults
        if not world.rate_limit.hit(world.clock.now()) or faults.take(
            method, path, ("rate_limited",)
        ):
            await _send(send, error_answer(ApiError(429)), self._headers())
            return
        for fault in faults.take(method, path, ("slow",)):
            await asyncio.sleep(fault.seconds)
        acting = faults.take(method, path, ("status", "drop", "lie"))
        try:
            body = await _read(receive)
            answer = await self._once(scope, key, body, acting, send, next_app)
        except ApiError as error:
            answer = error_answer(error)
        if any(fault.kind == "drop" for fault in acting) and cut(scope):
            return
        for fault in acting:
            if fault.kind == "lie" and answer.body:
                lied = encode(tell_lie(fault.lie, json.loads(answer.body)))
                answer = Answer(answer.status, answer.headers, lied)
        await _send(send, answer, self._headers())

    async def _once(
        self,
        scope: Scope,
        key: str,
        body: bytes,
        acting: list[Fault],
        send: Send,
        next_app: ASGIApp,
    ) -> Answer:
        async def work() -> Answer:
            for fault in acting:
                if fault.kind == "status" and fault.when == "before":
                    return error_answer(ApiError(fault.status, title="Internal server error"))
            answer = await _run(scope, body, send, next_app)
            for fault in acting:
                if fault.kind == "status":
                    return error_answer(ApiError(fault.status, title="Internal server error"))
            return answer

        idempotency_key = header(scope, b"idempotency-key")
        if scope["method"] != "POST" or not idempotency_key:  # type: ignore[typeddict-item]
            return await work()
        mark = fingerprint("POST", scope["path"], scope["query_string"], body)
        now = self._world.clock.now()
        return await self._world.replays.once((key, idempotency_key), mark, now, work)

    def _headers(self) -> list[tuple[str, str]]:
        settings = self._world.settings
        return [
            ("Request-Id", new_id("req")),
            ("Persona-Environment-Id", settings.environment_id),
            ("Persona-Organization-Id", settings.organization_id),
            *self._world.rate_limit.headers(self._world.clock.now()),
        ]


async def _run(scope: Scope, body: bytes, send: Send, next_app: ASGIApp) -> Answer:
    """Run the route on a body already read, and keep its response instead of sending it."""
    _check_headers(scope)
    replayed: HTTPReceiveMessage = {"type": "http.request", "body": body, "more_body": False}
    started: dict[str, Any] = {}
    chunks: list[bytes] = []

    async def receive_again() -> HTTPReceiveMessage:
        return replayed

    async def keep(message: Message) -> None:
        if message["type"] == "http.response.start":
            started.update(message)
        elif message["type"] == "http.response.body":
            chunks.append(message["body"])

    await next_app(scope, receive_again, keep)
    kept = tuple((k, v) for k, v in started["headers"] if k.lower() != b"content-length")
    return Answer(started["status"], kept, b"".join(chunks))


def _check_headers(scope: Scope) -> None:
    version = header(scope, b"persona-version") or DEFAULT_VERSION
    if version not in VERSIONS:
        raise bad_request(f"Persona-Version {version} is not a version this simulator knows")
    style = header(scope, b"key-inflection") or "kebab"
    if style not in STYLES:
        raise bad_request("Key-Inflection must be kebab, camel or snake")
    scope["state"]["version"], scope["state"]["inflection"] = version, style


async def _read(receive: Receive) -> bytes:
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(chunks)
        chunks.append(message["body"])
        size += len(message["body"])
        if size > LONGEST_BODY:
            raise bad_request("the request body is too large")
        if not message.get("more_body"):
            return b"".join(chunks)


async def _send(send: Send, answer: Answer, extra: list[tuple[str, str]]) -> None:
    headers = [
        *answer.headers,
        (b"content-length", str(len(answer.body)).encode()),
        *((name.lower().encode(), value.encode()) for name, value in extra),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})
