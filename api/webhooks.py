"""Where providers ring. Raw bytes in, one committed row out, and nothing else: no provider call, no decision.

A plain ASGI handler, since every millisecond here is paid for each event, and since the body must be read by hand: at
most 1 MiB is kept, up to 8 MiB is drained so that the sender sees its 413, and beyond that the connection is closed.
"""

import asyncio
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from litestar import asgi
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send

from api import errors
from api.services import Services
from issuer.errors import BodyTooLarge, ClaimwrightError, WebhookRefused
from issuer.providers.protocol import WebhookDoor

CAP: Final = 1024 * 1024
DRAIN: Final = 8 * CAP
BODY_SECONDS: Final = 10.0

_ACCEPTED: Final = (
    {
        "type": "http.response.start",
        "status": 202,
        "headers": [
            (b"content-type", b"application/json"),
            (b"content-length", b"2"),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ],
    },
    {"type": "http.response.body", "body": b"{}", "more_body": False},
)
_CLOSE: Final = (b"connection", b"close")

Answer = tuple[int, list[tuple[bytes, bytes]], bytes]


class _TooLarge(BodyTooLarge):
    """`seen`: SHA-256 of what was read. `finished`: the sender has nothing more to say."""

    def __init__(self, seen: str, *, finished: bool) -> None:
        super().__init__(f"a webhook has at most {CAP} bytes")
        self.seen = seen
        self.finished = finished


class _Gone(Exception):
    """The sender hung up, or took too long over its body."""


def webhook_routes(services: Services) -> list[ASGIRouteHandler]:
    """POST /webhooks/{provider}[/{environment}], one handler for each configured door.

    The paths are spelled out: an unknown provider is an unknown path, and the router need not parse anything.
    """
    return [_route(services, door, paths) for door, paths in _paths(services.doors)]


def _route(services: Services, door: WebhookDoor, paths: list[str]) -> ASGIRouteHandler:
    @asgi(paths, copy_scope=False)
    async def receive_webhook(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":  # type: ignore[typeddict-item]  # Litestar routes only HTTP here
            await _send(send, _plain(405, "method-not-allowed", "Only POST.", (b"allow", b"POST")))
            return
        try:
            await _take(services, door, scope, receive)
        except _Gone:
            return
        except Exception as error:
            await _send(send, _problem(error, scope["path"]))
            return
        for message in _ACCEPTED:
            await send(message)  # type: ignore[arg-type]  # two constant messages of the right shape

    return receive_webhook


async def _take(services: Services, door: WebhookDoor, scope: Scope, receive: Receive) -> None:
    now = services.clock()
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    try:
        body = await _read(receive, headers)
    except _TooLarge as error:
        services.inbox.refuse(door.name, door.environment, "too-large", body_hash=error.seen, at=now)
        raise
    try:
        door.verify(headers, body, now.timestamp())
        event = door.parse(body)
    except WebhookRefused as error:
        digest = sha256(body).hexdigest()
        services.inbox.refuse(door.name, door.environment, error.reason, body_hash=digest, at=now)
        raise
    await services.inbox.receive(door.name, door.environment, event, body=body, at=now)


async def _read(receive: Receive, headers: Mapping[str, str]) -> bytes:
    """The whole body, up to the cap. Raises `_TooLarge`, `_Gone`."""
    announced = headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > 12 or int(announced) > DRAIN):
        raise _TooLarge(sha256().hexdigest(), finished=False)
    message: Any = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message.get("body", b"")
        if len(body) > CAP:
            raise _TooLarge(sha256(body).hexdigest(), finished=True)
        return body
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _gather(receive, message)
    except TimeoutError:
        raise _Gone from None


async def _gather(receive: Receive, message: Any) -> bytes:  # noqa: ANN401 - an ASGI message
    digest = sha256()
    kept: list[bytes] = []
    size = 0
    while message["type"] == "http.request":
        piece: bytes = message.get("body", b"")
        size += len(piece)
        digest.update(piece)
        more = message.get("more_body", False)
        if size > DRAIN:
            raise _TooLarge(digest.hexdigest(), finished=not more)
        if size <= CAP:
            kept.append(piece)
        else:
            kept.clear()
        if not more:
            if size > CAP:
                raise _TooLarge(digest.hexdigest(), finished=True)
            return b"".join(kept)
        message = await receive()
    raise _Gone


def _problem(error: Exception, path: str) -> Answer:
    response = (
        errors.problem(error, instance=path)
        if isinstance(error, ClaimwrightError)
        else errors.unexpected(error, instance=path)
    )
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in response.headers.items()]
    headers.append((b"content-type", errors.MEDIA_TYPE.encode()))
    if isinstance(error, _TooLarge) and not error.finished:
        headers.append(_CLOSE)
    return response.status_code or 500, headers, response.content


def _plain(status: int, code: str, detail: str, *headers: tuple[bytes, bytes]) -> Answer:
    named = [(name.encode(), value.encode()) for name, value in errors.SAFE_HEADERS.items()]
    named.append((b"content-type", errors.MEDIA_TYPE.encode()))
    return status, [*named, *headers], errors.body(status, code, detail)


async def _send(send: Send, answer: Answer) -> None:
    status, headers, body = answer
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _paths(doors: Mapping[tuple[str, str], WebhookDoor]) -> list[tuple[WebhookDoor, list[str]]]:
    """The bare path is a provider's while exactly one of its environments is configured."""
    names = [name for name, _ in doors]
    return [
        (door, [f"/webhooks/{name}/{environment}"] + ([f"/webhooks/{name}"] if names.count(name) == 1 else []))
        for (name, environment), door in doors.items()
    ]
