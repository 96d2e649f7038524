"""One HTTP conversation with Persona: headers, bounds, errors. Knows no inquiry.

Nothing of a request or an answer gets into an error but our own words, the status and Persona's request id:
bodies hold people, URLs hold references, headers hold the key.

Source: https://docs.withpersona.com/errors, /idempotence, /rate-limiting, /api-key-inflection
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import httpx
import msgspec

from issuer import metrics
from issuer.errors import ProviderError, ProviderNotFound, ProviderRefused, ProviderUnavailable, SettingsError

API_VERSION: Final = "2025-12-08"  # pinned: a newer one may rename what a decision is read from
MAX_RESPONSE_BYTES: Final = 1024 * 1024
TIMEOUT: Final = httpx.Timeout(5.0, connect=2.0)
LIMITS: Final = httpx.Limits(max_connections=20, max_keepalive_connections=10)
READ_BACKOFF: Final = (0.1, 0.4)  # seconds before the second and the third try of a GET

_KEY = re.compile(r"[!-~]{8,512}")
_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LONGEST_WAIT = 3600.0
_DEFAULT_WAIT = 5.0
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Answer(msgspec.Struct, frozen=True):
    """A complete answer. `request_id` is Persona's, for its support."""

    status: int
    body: bytes
    request_id: str | None
    environment_id: str | None
    retry_after: float

    def __repr__(self) -> str:
        return f"Answer(status={self.status}, request_id={self.request_id!r})"


def checked_base(setting: str, url: str) -> str:
    """`url` without its last slash. https, or http on loopback; no user, query or fragment. Raises `SettingsError`."""
    try:
        parts = urlsplit(url)
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):  # an unclosed [, a control character, no IDNA name ...
        raise SettingsError(setting, "is not a URL") from None
    plain = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not parts.hostname or not (parts.scheme == "https" or plain):
        raise SettingsError(setting, "must be an https URL (http only on loopback)")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise SettingsError(setting, "must carry no user, query or fragment")
    return url.rstrip("/")


class PersonaHttp:
    """Sends one request at a time and returns its `Answer`, whatever the status; `refuse` turns bad ones into errors.

    `total_seconds` bounds a call with all its retries. `client` is borrowed when given, else made and owned.
    """

    def __init__(
        self,
        api_key: str,
        base_url: str,
        *,
        expected_environment_id: str | None,
        client: httpx.AsyncClient | None,
        timeout: httpx.Timeout = TIMEOUT,
        total_seconds: float = 12.0,
    ) -> None:
        if not _KEY.fullmatch(api_key):
            raise SettingsError("PERSONA_API_KEY", "is missing or has characters that no key has")
        self.base_url = checked_base("PERSONA_API_BASE_URL", base_url)
        self._expected_environment_id = expected_environment_id
        self._timeout = timeout
        self._total_seconds = total_seconds
        self._headers = {
            "Authorization": f"Bearer {api_key}",
            "Persona-Version": API_VERSION,
            "Key-Inflection": "kebab",
            "Accept": "application/json",
            # A compressed answer could unfold to any size before its length is seen.
            "Accept-Encoding": "identity",
        }
        # A proxy from the environment may stand before Persona, never before a simulator on loopback.
        loopback = urlsplit(self.base_url).hostname in _LOOPBACK
        self._client = client or httpx.AsyncClient(limits=LIMITS, timeout=timeout, trust_env=not loopback)
        self._owns_client = client is None

    def __repr__(self) -> str:
        return f"PersonaHttp(base_url={self.base_url!r})"

    async def aclose(self) -> None:
        if self._owns_client:
            await self._client.aclose()

    async def get(self, what: str, path: str, params: Mapping[str, str]) -> Answer:
        """A read, tried up to three times on a lost connection or a 5xx."""
        deadline = asyncio.get_running_loop().time() + self._total_seconds
        for pause in READ_BACKOFF:
            try:
                answer = await self._send(what, "GET", path, deadline, params=params)
            except ProviderUnavailable:
                answer = None
            if answer is not None and answer.status < 500:
                return answer
            await asyncio.sleep(pause)
        return await self._send(what, "GET", path, deadline, params=params)

    async def post(self, what: str, path: str, body: Mapping[str, object] | None, idempotency_key: str) -> Answer:
        """Sent once: only the caller knows whether a repeat is the same act."""
        if not _IDEMPOTENCY_KEY.fullmatch(idempotency_key):
            raise ProviderRefused(f"Persona, {what}: the idempotency key is not printable text of 1 to 255 characters")
        headers = {"Idempotency-Key": idempotency_key, "Content-Type": "application/json"}
        deadline = asyncio.get_running_loop().time() + self._total_seconds
        return await self._send(what, "POST", path, deadline, headers=headers, content=_encode(what, body))

    async def delete(self, what: str, path: str) -> Answer:
        """Sent once. Persona takes idempotency keys on POST only."""
        deadline = asyncio.get_running_loop().time() + self._total_seconds
        return await self._send(what, "DELETE", path, deadline)

    async def _send(
        self,
        what: str,
        method: str,
        path: str,
        deadline: float,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Answer:
        answer: Answer | None = None
        try:
            with metrics.PROVIDER_SECONDS.labels("persona", what).time():
                async with asyncio.timeout_at(deadline):
                    answer = await self._exchange(what, method, path, params, headers, content)
        except (httpx.HTTPError, OSError):  # a TimeoutError is an OSError
            # httpx errors carry the request and with it the key: not chained, not quoted.
            answer = None
        result = "lost" if answer is None else f"{answer.status // 100}xx"
        metrics.PROVIDER_REQUESTS.labels("persona", what, result).inc()
        if answer is None:
            raise ProviderUnavailable(f"Persona, {what}: no complete answer in time", same_key=True)
        self._check_environment(what, answer)
        return answer

    async def _exchange(
        self,
        what: str,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        content: bytes | None,
    ) -> Answer:
        request = self._client.build_request(
            method,
            self.base_url + path,
            params=params,
            headers={**self._headers, **(headers or {})},
            content=content,
            timeout=self._timeout,
        )
        response = await self._client.send(request, stream=True, follow_redirects=False, auth=None)
        try:
            request_id = _matching(_REQUEST_ID, response.headers.get("request-id"))
            if response.headers.get("content-encoding", "identity") != "identity":
                raise ProviderRefused(
                    f"Persona, {what}: the answer is compressed, which was not asked for",
                    status=response.status_code,
                    request_id=request_id,
                )
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_RESPONSE_BYTES:
                    raise ProviderRefused(
                        f"Persona, {what}: the answer is larger than {MAX_RESPONSE_BYTES} bytes",
                        status=response.status_code,
                        request_id=request_id,
                    )
        finally:
            await response.aclose()
        return Answer(
            status=response.status_code,
            body=bytes(body),
            request_id=request_id,
            environment_id=response.headers.get("persona-environment-id"),
            retry_after=_retry_after(response.headers),
        )

    def _check_environment(self, what: str, answer: Answer) -> None:
        """A sandbox key must not serve production: Persona names the environment on every authenticated answer."""
        expected = self._expected_environment_id
        if expected is None or answer.environment_id == expected:
            return
        if answer.environment_id is None and not 200 <= answer.status < 300:
            return  # an error before authentication names none, and is an error anyway
        raise ProviderRefused(
            f"Persona, {what}: the API key belongs to another environment than the configured one",
            status=answer.status,
            request_id=answer.request_id,
        )


def refuse(what: str, answer: Answer) -> None:
    """Return on a 2xx; raise what any other status means. See `ProviderError`."""
    status, request_id = answer.status, answer.request_id
    if 200 <= status < 300:
        return
    tail = f"(status {status}, request {request_id or 'unnamed'})"
    if status == 429:
        wait = answer.retry_after
        raise ProviderUnavailable(
            f"Persona, {what}: asks us to wait {wait:g} s {tail}",
            status=status,
            request_id=request_id,
            retry_after=wait,
            same_key=True,  # decided before the idempotency layer, so nothing was stored
        )
    if status >= 500:
        # Persona stores a 5xx under the key and would replay it.
        raise ProviderUnavailable(
            f"Persona, {what}: failed on its side {tail}", status=status, request_id=request_id, same_key=False
        )
    if status == 408:  # what a balancer says in place of the network
        raise ProviderUnavailable(f"Persona, {what}: timed out {tail}", status=status, request_id=request_id)
    error: type[ProviderError] = ProviderNotFound if status == 404 else ProviderRefused
    words = {401: "does not accept the API key", 403: "the API key lacks a permission", 404: "does not know it"}
    meaning = words.get(status, "answered a redirect, which is never followed" if status < 400 else "said no")
    raise error(f"Persona, {what}: {meaning} {tail}", status=status, request_id=request_id)


def _encode(what: str, body: Mapping[str, object] | None) -> bytes:
    encoded: bytes | None = None
    try:
        encoded = msgspec.json.encode(body or {})
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
        encoded = None
    if encoded is None:  # outside the except clause: the error may quote a prefilled value
        raise ProviderRefused(f"Persona, {what}: the prefill cannot be written as JSON")
    return encoded


def _matching(pattern: re.Pattern[str], value: str | None) -> str | None:
    return value if value is not None and pattern.fullmatch(value) else None


def _retry_after(headers: httpx.Headers) -> float:
    """Seconds to wait, 1 to 3600. `RateLimit-Reset` is documented, `Retry-After` only usual."""
    for name in ("ratelimit-reset", "retry-after"):
        value = headers.get(name, "")
        if re.fullmatch(r"[0-9]{1,9}", value):
            return min(max(float(value), 1.0), _LONGEST_WAIT)
    return _DEFAULT_WAIT
