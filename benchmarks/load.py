"""A cheap load generator: raw sockets with keep-alive and requests that were signed before the clock starts.

    python -m benchmarks.load PORT PATH CALLERS COUNT PREFIX SECRET

Prints {"seconds", "accepted", "p50_ms", "p99_ms"}; `accepted` counts 202s. A process of its own, so that it takes
as little as it can from the server that it measures.
"""

import asyncio
import hmac
import json
import sys
import time
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[1] / "tests/fixtures/persona/synthetic/webhook.inquiry.approved.json"


def requests(path: str, prefix: str, secret: str, count: int) -> list[bytes]:
    """Whole HTTP requests, each a delivery of its own event."""
    event = json.loads(TEMPLATE.read_text())
    event["data"]["id"] = "@id@"
    before, after = json.dumps(event, separators=(",", ":")).encode().split(b"@id@")
    key, stamp = secret.encode(), str(int(time.time())).encode()
    made = []
    for number in range(count):
        body = before + f"{prefix}{number}".encode() + after
        digest = hmac.new(key, stamp + b"." + body, "sha256").hexdigest()
        head = (
            f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\npersona-signature: t={stamp.decode()},v1={digest}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made


class Caller(asyncio.Protocol):
    """Sends one request after the other; the next when the answer is there."""

    def __init__(self, work: list[bytes], took: list[float], done: asyncio.Future[None]) -> None:
        self.work, self.took, self.done = work, took, done
        self.accepted = 0
        self.answer = b""
        self.sent = 0.0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def send(self) -> None:
        assert self.transport is not None
        if not self.work:
            self.transport.close()
            return
        request = self.work.pop()
        self.sent = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.answer += data
        head, end, body = self.answer.partition(b"\r\n\r\n")
        if not end or len(body) < _length(head):
            return
        self.took.append(time.perf_counter() - self.sent)
        self.accepted += head.startswith(b"HTTP/1.1 202")
        self.answer = b""
        self.send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


def _length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0]) if rest else 0


async def drive(port: int, work: list[bytes], callers: int) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    took: list[float] = []
    protocols: list[Caller] = []
    for _ in range(callers):
        done = loop.create_future()
        _, protocol = await loop.create_connection(lambda done=done: Caller(work, took, done), "127.0.0.1", port)
        protocols.append(protocol)
    began = time.perf_counter()
    for protocol in protocols:
        protocol.send()
    await asyncio.gather(*(protocol.done for protocol in protocols))
    seconds = time.perf_counter() - began
    took.sort()
    return {
        "seconds": seconds,
        "accepted": sum(protocol.accepted for protocol in protocols),
        "p50_ms": took[len(took) // 2] * 1000,
        "p99_ms": took[int(len(took) * 0.99)] * 1000,
    }


def main(argv: list[str]) -> None:
    port, path, callers, count, prefix, secret = argv
    work = requests(path, prefix, secret, int(count))
    try:
        import uvloop
    except ImportError:
        print(json.dumps(asyncio.run(drive(int(port), work, int(callers)))))
    else:
        print(json.dumps(uvloop.run(drive(int(port), work, int(callers)))))


if __name__ == "__main__":
    main(sys.argv[1:])
