"""A node that answers what a test tells it to: anything but the truth."""

import asyncio
import json
from collections.abc import Callable

Reply = bytes | None  # None closes the connection without an answer
SILENCE = b""  # keeps the line open and says nothing
DRIP = b"drip"  # never ends, and is never quiet long enough to look dead
DRIP_SECONDS = 0.02


def http(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def answers(*items: object) -> bytes:
    return http(json.dumps(list(items)).encode())


def truthful(calls: list[dict], results: dict[str, object]) -> bytes:
    """Each question of the batch answered with the result that stands for its method."""
    return answers(*({"jsonrpc": "2.0", "id": call["id"], "result": results[call["method"]]} for call in calls))


class LyingNode:
    """`reply` gets the questions of one request. `requests` keeps them all. Listens on 127.0.0.1."""

    def __init__(self, reply: Callable[[list[dict]], Reply]) -> None:
        self.reply = reply
        self.requests: list[list[dict]] = []
        self.headers: list[bytes] = []
        self._release = asyncio.Event()  # ends those who wait for ever

    async def __aenter__(self) -> "LyingNode":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._release.set()
        self._server.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            calls = json.loads(await reader.readexactly(length))
            self.headers.append(head)
            self.requests.append(calls)
            reply = self.reply(calls)
            if reply == SILENCE:
                await self._release.wait()
            elif reply == DRIP:
                await self._drip(writer)
            elif reply:
                writer.write(reply.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the caller hung up on us, as some tests want it to
        finally:
            writer.close()

    async def _drip(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not self._release.is_set():
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(DRIP_SECONDS)
