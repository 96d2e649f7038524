"""A port of its own for those who watch: GET of a few pages, one request a connection, nothing else.

It listens on loopback unless told otherwise and is not meant for the internet: no TLS, no keys, no limits per client.
"""

import asyncio
import errno
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import msgspec
import structlog

from issuer.errors import SettingsError

log = structlog.get_logger(__name__)

LONGEST_HEAD = 16 * 1024
SECONDS = 5.0
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


class Page(msgspec.Struct, frozen=True):
    """One answer."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200


Pages = Mapping[str, Callable[[], Awaitable[Page]]]


@asynccontextmanager
async def private_port(
    setting: str, host: str, port: int | None, pages: Pages, *, shared: bool = False
) -> AsyncIterator[None]:
    """Serve `pages` by path while the block runs. Nothing happens without a `port`.

    `shared`: another worker of the same program may hold the port already; one is enough. Raises `SettingsError`.
    """
    if port is None:
        yield
        return
    server: asyncio.Server | None = None
    problem = ""
    try:
        server = await asyncio.start_server(_Answering(pages), host, port, limit=LONGEST_HEAD)
    except OSError as error:
        if not (shared and error.errno == errno.EADDRINUSE):
            problem = f"cannot listen on {host}:{port}: {error.strerror}"
    if problem:
        raise SettingsError(setting, problem)
    try:
        yield
    finally:
        if server is not None:
            server.close()


class _Answering:
    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                page = await self._page(head)
                writer.write(_head(page) + page.body)
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # it hung up, or never said what it wants
        finally:
            writer.close()

    async def _page(self, head: bytes) -> Page:
        method, _, rest = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
        target, _, version = rest.partition(" ")
        if not version.startswith("HTTP/1."):
            return _plain(400, "this is no HTTP/1.1")
        if method != "GET":
            return _plain(405, "only GET")
        show = self._pages.get(target.partition("?")[0])
        if show is None:
            return _plain(404, "there are only " + ", ".join(self._pages))
        try:
            return await show()
        except Exception as error:  # the watcher must see that it is broken, and the others go on
            log.exception("page_failed", error=error)
            return _plain(503, "this page cannot be shown now; the log says why")


def _plain(status: int, text: str) -> Page:
    return Page(text.encode() + b"\n", "text/plain; charset=utf-8", status)


def _head(page: Page) -> bytes:
    lines = (
        f"HTTP/1.1 {page.status} {_REASONS[page.status]}",
        f"Content-Type: {page.content_type}",
        f"Content-Length: {len(page.body)}",
        "Cache-Control: no-store",
        "Connection: close",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
