"""What every API request passes: key, rate limit, faults, idempotency, version, headers.

The order is Persona's: 401 and 429 are decided before idempotency and never stored.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, cast

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import (
    ASGIApp,
    HTTPReceiveMessage,
    HTTPScope,
    Message,
    Receive,
    Scope,
    Send,
)

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

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        # From the application, because Litestar copies middleware and what it holds.
        world: World = scope["litestar_app"].state.world
        method, path = cast(HTTPScope, scope)["method"], scope["path"]
        key = authorised(scope, world.settings.api_keys)
        if key is None:
            title = None if header(scope, b"authorization") is None else "Token is invalid"
            await _send(send, error_answer(ApiError(401, title=title)), [])
            return
        faults = world.faults
        if not world.rate_limit.hit(world.clock.now()) or faults.take(method, path, ("rate_limited",)):
            await _send(send, error_answer(ApiError(429)), extra_headers(world))
            return
        for fault in faults.take(method, path, ("slow",)):
            await asyncio.sleep(fault.seconds)
        acting = faults.take(method, path, ("status", "drop", "lie"))
        try:
            body = await _read(receive)

            async def work() -> Answer:
                return await _work(scope, body, acting, next_app)

            answer = await _once(world, scope, key, body, work)
        except ApiError as error:
            answer = error_answer(error)
        if any(fault.kind == "drop" for fault in acting) and cut(scope):
            return
        for fault in acting:
            if fault.kind == "lie" and answer.body:
                lied = encode(tell_lie(fault.lie, json.loads(answer.body)))
                answer = Answer(answer.status, answer.headers, lied)
        await _send(send, answer, extra_headers(world))


async def _once(world: World, scope: Scope, key: str, body: bytes, work: Callable[[], Awaitable[Answer]]) -> Answer:
    """Do the work, or replay what an earlier request with the same Idempotency-Key got."""
    idempotency_key = header(scope, b"idempotency-key")
    if cast(HTTPScope, scope)["method"] != "POST" or not idempotency_key:
        return await work()
    mark = fingerprint("POST", scope["path"], scope["query_string"], body)
    return await world.replays.once((key, idempotency_key), mark, world.clock.now(), work)


async def _work(scope: Scope, body: bytes, acting: list[Fault], next_app: ASGIApp) -> Answer:
    """Run the route, unless a status fault stands before it or falsifies its result."""
    fault = next((fault for fault in acting if fault.kind == "status"), None)
    if fault is None:
        return await _run(scope, body, next_app)
    if fault.when == "after":
        await _run(scope, body, next_app)
    return error_answer(ApiError(fault.status))


def extra_headers(world: World) -> list[tuple[str, str]]:
    """What every authenticated answer carries; a replay has a request id of its own."""
    return [
        ("Request-Id", new_id("req")),
        ("Persona-Environment-Id", world.settings.environment_id),
        ("Persona-Organization-Id", world.settings.organization_id),
        *world.rate_limit.headers(world.clock.now()),
    ]


async def _run(scope: Scope, body: bytes, next_app: ASGIApp) -> Answer:
    """Run the route on a body already read, and keep its response instead of sending it."""
    try:
        _check_headers(scope)
    except ApiError as error:
        return error_answer(error)  # stored like every other 400
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
    chunks: list[bytes] = []
    size = 0
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
