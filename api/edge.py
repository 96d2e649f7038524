"""What every answer of /v1 and the pages carries, and one line in the log for each request."""

import asyncio
import time
from contextlib import suppress
from typing import Any

from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from issuer import metrics
from issuer.log import get_logger

_SAFE = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))


_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
DRAINED = 8 * 1024 * 1024
DRAIN_SECONDS = 10.0


class Drain(ASGIMiddleware):
    """A refusal that leaves the body unread would end the connection under a sender that is still sending.

    So what is left of it is read and thrown away, up to 8 MiB; beyond that the connection is closed, and said to be.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        names = {name.lower() for name, _ in scope["headers"]}
        unread = b"content-length" in names or b"transfer-encoding" in names

        async def watched() -> Any:  # noqa: ANN401 - an ASGI message
            nonlocal unread
            message: Any = await receive()
            unread = bool(message.get("more_body"))
            return message

        async def drain() -> None:
            size = 0
            async with asyncio.timeout(DRAIN_SECONDS):
                while unread and size <= DRAINED:
                    size += len((await watched()).get("body", b""))

        async def polite(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400 and unread:
                with suppress(TimeoutError):
                    await drain()
                if unread:
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        await next_app(scope, watched, polite)


class Headers(ASGIMiddleware):
    """Adds headers that the answer does not have yet."""

    def __init__(self, **headers: str) -> None:
        given = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
        self._headers = _SAFE + given

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                there = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(pair for pair in self._headers if pair[0] not in there)]
            await send(message)

        await next_app(scope, receive, with_headers)


class Measured:
    """Counts each answer of the app by route, never by path, which holds ids and wallets; no route is `none`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:  # noqa: ANN401 - lifespan has one too
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0

        async def noticing(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noticing)
        finally:
            route = scope.get("path_template") or "none"
            method = scope["method"] if scope["method"] in _METHODS else "other"
            metrics.HTTP_REQUESTS.labels(route, method, f"{status // 100}xx" if status else "lost").inc()
            metrics.HTTP_SECONDS.labels(route).observe(time.perf_counter() - began)


class AccessLog(ASGIMiddleware):
    """Method, route, status and time. Never a header, a body, or the path itself, where a caller can write anything."""

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        began = time.perf_counter()
        status = 0

        async def noticing(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await next_app(scope, receive, noticing)
        finally:
            get_logger().info(
                "request",
                method=scope.get("method"),
                path=scope["path_template"],
                status=status,
                duration_ms=round((time.perf_counter() - began) * 1000, 1),
            )
