"""A key behind Web3Signer, spoken to over HTTP.

Its `eth1/sign` hashes what it is given (keccak256) and signs the hash, so it gets the message and not the digest. Its
JSON-RPC methods are no use here: `eth_sign` adds a prefix, `eth_signTransaction` chooses fields for itself.

Source: Web3Signer's OpenAPI document `eth1/web3signer.yaml` and `Eth1SignForIdentifierHandler`.
"""

import re
import ssl
from urllib.parse import urlsplit

import coincurve
import httpx
import msgspec

from issuer.chain.signer import Signature, address_of
from issuer.errors import SettingsError, SignerFailed
from issuer.secrets import Secret

MAX_ANSWER_BYTES = 1024 * 1024  # a list of thousands of keys
TIMEOUT_SECONDS = 5.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_SIGNATURE = re.compile(rb'"?0x([0-9a-fA-F]{130})"?')
_KEYS = msgspec.json.Decoder(list[str])


class Web3Signer:
    """`url` is the service's root and may carry a user and password; it is never shown."""

    def __init__(self, url: Secret, address: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._url = url.reveal().rstrip("/")
        self._address = address
        self._identifier: str | None = None
        loopback = urlsplit(self._url).hostname in _LOOPBACK
        self._http = httpx.AsyncClient(timeout=timeout_seconds, trust_env=not loopback)

    @property
    def address(self) -> str:
        return self._address

    def __repr__(self) -> str:
        return f"Web3Signer({self._address})"

    async def aclose(self) -> None:
        await self._http.aclose()

    async def sign_digest(self, digest: bytes, message: bytes) -> Signature:
        """Raises `SignerFailed`. High s is passed on: Web3Signer makes none, so it is for the caller to refuse."""
        if self._identifier is None:
            self._identifier = await self._find()
        try:
            answer = await self._ask("POST", f"sign/{self._identifier}", {"data": "0x" + message.hex()})
        except SignerFailed:
            self._identifier = None  # it may have been given other keys; look again next time
            raise
        match = _SIGNATURE.fullmatch(answer.strip())
        if match is None:
            raise SignerFailed("its answer is no signature")
        compact = bytes.fromhex(match[1].decode())
        r, s, v = int.from_bytes(compact[:32], "big"), int.from_bytes(compact[32:64], "big"), compact[64]
        return Signature(r=r, s=s, y_parity=v - 27 if v in (27, 28) else v)

    async def keys(self) -> dict[str, str]:
        """What it holds, by address: the names that it has for its keys. Raises `SignerFailed`."""
        try:
            listed = _KEYS.decode(await self._ask("GET", "publicKeys"))
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise SignerFailed("its list of keys is none") from None
        named = {_address(identifier): identifier for identifier in listed}
        return {address: identifier for address, identifier in named.items() if address is not None}

    async def _find(self) -> str:
        keys = await self.keys()
        if self._address not in keys:
            raise SignerFailed("it does not hold this key")
        return keys[self._address]

    async def _ask(self, method: str, path: str, body: object = None) -> bytes:
        # httpx's errors carry the request and with it the URL: not chained, not quoted.
        status, answer = 0, bytearray()
        try:
            request = self._http.build_request(method, f"{self._url}/api/v1/eth1/{path}", json=body)
            response = await self._http.send(request, stream=True, follow_redirects=False)
            try:
                status = response.status_code
                async for part in response.aiter_bytes():
                    answer += part
                    if len(answer) > MAX_ANSWER_BYTES:
                        raise SignerFailed("its answer is too long")
            finally:
                await response.aclose()
        except (httpx.HTTPError, httpx.StreamError, ssl.SSLError, OSError):
            status = 0
        if status == 0:
            raise SignerFailed("it gave no complete answer in time")
        if status != 200:
            raise SignerFailed(f"it answered with HTTP status {status}")
        return bytes(answer)


def web3signer(name: str, where: str, address: str) -> Web3Signer:
    """From a setting. Raises `SettingsError(name)` unless `where` is https, or http on loopback; quotes nothing."""
    try:
        parts = urlsplit(where)
        httpx.URL(where)
        safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    except (ValueError, httpx.InvalidURL):
        safe = False
    if not safe or not parts.hostname:
        raise SettingsError(name, "does not name an https URL (http only for loopback)")
    return Web3Signer(Secret(where), address)


async def addresses(name: str, where: str) -> list[str]:
    """Asks the service which keys it holds. Raises `SignerFailed` and, for an unsafe place, `SettingsError(name)`."""
    service = web3signer(name, where, "")
    try:
        return sorted(await service.keys())
    finally:
        await service.aclose()


def _address(identifier: str) -> str | None:
    """A name is a public key, uncompressed and without its first byte, in hex."""
    try:
        return address_of(coincurve.PublicKey(b"\x04" + bytes.fromhex(identifier.removeprefix("0x"))))
    except ValueError:
        return None
