"""The private port: a few pages, and no way to hurt it."""

import asyncio
import socket

import pytest

from issuer.errors import SettingsError
from issuer.monitoring.port import LONGEST_HEAD, Page, private_port
from tests.ports import free_port


async def _page() -> Page:
    return Page(b"hello", "text/plain")


async def _broken() -> Page:
    raise RuntimeError("canary-testa@example.com")


PAGES = {"/page": _page, "/broken": _broken}


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("request_line", "status", "body"),
    [
        (b"GET /page HTTP/1.1", 200, b"hello"),
        (b"GET /page?x=1 HTTP/1.0", 200, b"hello"),
        (b"GET /other HTTP/1.1", 404, b"there are only /page, /broken\n"),
        (b"POST /page HTTP/1.1", 405, b"only GET\n"),
        (b"GET /page", 400, b"this is no HTTP/1.1\n"),
        (b"\xff\x00 nonsense", 400, b"this is no HTTP/1.1\n"),
        (b"GET /broken HTTP/1.1", 503, b"this page cannot be shown now; the log says why\n"),
    ],
)
async def test_each_request_gets_its_answer_and_the_connection_ends(
    request_line: bytes, status: int, body: bytes
) -> None:
    port = free_port()
    async with private_port("PORT", "127.0.0.1", port, PAGES):
        answer = await ask(port, request_line + b"\r\nhost: x\r\n\r\n")
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert f"Content-Length: {len(body)}".encode() in head
    assert rest == body


async def test_a_request_without_an_end_costs_one_connection_and_no_more() -> None:
    port = free_port()
    async with private_port("PORT", "127.0.0.1", port, PAGES):
        assert await ask(port, b"x" * (2 * LONGEST_HEAD)) == b""
        assert (await ask(port, b"GET /page HTTP/1.1\r\n\r\n")).endswith(b"hello")


async def test_a_taken_port_is_named_unless_a_sibling_may_have_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        with pytest.raises(SettingsError, match=f"PORT: cannot listen on 127.0.0.1:{port}"):
            async with private_port("PORT", "127.0.0.1", port, PAGES):
                pytest.fail("it listens")
        async with private_port("PORT", "127.0.0.1", port, PAGES, shared=True):
            pass


async def test_no_port_is_no_server() -> None:
    async with private_port("PORT", "127.0.0.1", None, PAGES):
        pass
