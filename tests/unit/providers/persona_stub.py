"""A tiny real HTTP server on loopback: answers what a test queued, keeps what it was sent."""

import asyncio
import json
from collections import deque
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

INQUIRY = "inq_4G5Y92jqjWysUcMhrzZzhaemxiLn"
TEMPLATE = "itmpl_6sVmH1cxngytfoAhLxYmWlB40Yaw"
REFERENCE = "sub_0192f0c4-7c1e-7a6e-9d0b-1f2e3d4c5b6a"
API_KEY = "persona_sandbox_key_that_must_never_be_shown"
NOW = 1795176143.0
# Every identifying text in the invented fixtures: none may leave an adapter.
PEOPLE = ("Testa", "Examplesson", "1990-01-01", "Example Way", "testa@example.com", "X0000000")


@dataclass
class Sent:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    status: int = 200
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    hang: bool = False  # never answer
    drop: bool = False  # close after reading the request
    half: bool = False  # promise more bytes than are sent, then close

    def bytes(self) -> bytes:
        body = self.raw if self.raw is not None else json.dumps(self.body).encode()
        length = len(body) + (10 if self.half else 0)
        headers = {"Content-Type": "application/json", "Request-Id": "req_1", "Content-Length": str(length)}
        lines = [f"{name}: {value}" for name, value in (headers | self.headers).items()]
        head = "\r\n".join([f"HTTP/1.1 {self.status} X", *lines, "Connection: close", "", ""])
        return head.encode() + body


class Stub:
    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.replies: deque[Reply] = deque()
        self.released = asyncio.Event()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/v1"

    def will(self, *replies: Reply) -> None:
        self.replies.extend(replies)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, target, _ = head[0].split(" ")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            parts = urlsplit(target)
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            self.sent.append(Sent(method, parts.path, query, headers, body))
            reply = self.replies.popleft() if self.replies else Reply(599, {"errors": [{"title": "nothing queued"}]})
            if reply.hang:
                await self.released.wait()
            elif not reply.drop:
                writer.write(reply.bytes())
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client gave up, which some tests are about
        finally:
            writer.close()
