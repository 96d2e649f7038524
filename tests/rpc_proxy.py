"""A loopback proxy in front of a node that can act around the moment a transaction is sent.

`before_send` runs when a batch with eth_sendRawTransaction has arrived and the node has not seen it; `after_send` when
the node has answered and the caller has not. A hook that returns False swallows the call: the connection is closed.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable

import httpx

Hook = Callable[[], Awaitable[bool]]


class RpcProxy:
    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._client = httpx.AsyncClient(timeout=10)
        self._server: asyncio.Server | None = None
        self.before_send: Hook | None = None
        self.after_send: Hook | None = None
        self.sent = 0
        self.down = False

    async def __aenter__(self) -> "RpcProxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._client.aclose()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while body := await _request(reader):
                answer = await self._answer(body)
                if answer is None:
                    return
                head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(answer)}\r\n\r\n"
                writer.write(head.encode() + answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the caller went away, which is what these tests are about
        finally:
            writer.close()

    async def _answer(self, body: bytes) -> bytes | None:
        if self.down:
            return None
        calls = json.loads(body)
        methods = [call["method"] for call in (calls if isinstance(calls, list) else [calls])]
        sends = "eth_sendRawTransaction" in methods
        if sends and self.before_send is not None and not await self.before_send():
            return None
        response = await self._client.post(self._upstream, content=body, headers={"content-type": "application/json"})
        if sends:
            self.sent += 1
            if self.after_send is not None and not await self.after_send():
                return None
        return response.content


async def _request(reader: asyncio.StreamReader) -> bytes:
    length, line = 0, await reader.readline()
    if not line:
        return b""
    while (line := await reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return await reader.readexactly(length)
