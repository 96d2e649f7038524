"""Web3Signer's eth1 interface over real HTTP, with keys of its own and every way of going wrong that a test wants."""

import asyncio
import json
from collections.abc import Callable, Sequence

import coincurve
from eth_utils.crypto import keccak

from issuer.chain.signer import CURVE_ORDER

Answer = Callable[[bytes], tuple[int, bytes]]  # signature of 65 bytes in, status and body out


def honest(signature: bytes) -> tuple[int, bytes]:
    return 200, b"0x" + signature.hex().encode()


def high_s(signature: bytes) -> tuple[int, bytes]:
    """The other signature that the curve allows: it recovers, and chains refuse it (EIP-2)."""
    s = CURVE_ORDER - int.from_bytes(signature[32:64], "big")
    return honest(signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]]))


class Web3SignerServer:
    """Listens on 127.0.0.1. `answer` decides what becomes of a signature; `silent` says nothing at all."""

    def __init__(self, keys: Sequence[bytes], answer: Answer = honest) -> None:
        self.keys = [coincurve.PrivateKey(key) for key in keys]
        self.answer = answer
        self.silent = False
        self.lists: bytes | None = None  # instead of its keys
        self.signs_with: coincurve.PrivateKey | None = None  # instead of the key that it is asked for
        self.seen: list[str] = []
        self._release = asyncio.Event()

    async def __aenter__(self) -> "Web3SignerServer":
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
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, path, _ = head.split(" ", 2)
            lengths = [int(line[15:]) for line in head.lower().split("\r\n") if line.startswith("content-length:")]
            body = await reader.readexactly(lengths[0] if lengths else 0)
            self.seen.append(f"{method} {path}")
            if self.silent:
                await self._release.wait()
                return
            status, answer = self._answer(method, path, body)
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(answer)}\r\n\r\n".encode() + answer)
            writer.write_eof()
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the caller gave up, which is what some tests are about
        finally:
            writer.close()

    def _answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        named = {_identifier(key): key for key in self.keys}
        if (method, path) == ("GET", "/api/v1/eth1/publicKeys"):
            return 200, self.lists if self.lists is not None else json.dumps(sorted(named)).encode()
        identifier = path.removeprefix("/api/v1/eth1/sign/")
        if method != "POST" or identifier not in named:
            return 404, b""
        message = bytes.fromhex(json.loads(body)["data"].removeprefix("0x"))
        key = self.signs_with or named[identifier]
        compact = key.sign_recoverable(keccak(message), hasher=None)
        return self.answer(compact[:64] + bytes([27 + compact[64]]))


def _identifier(key: coincurve.PrivateKey) -> str:
    return "0x" + key.public_key.format(compressed=False)[1:].hex()
