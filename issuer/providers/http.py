"""One HTTP conversation with a provider: bounds, time-outs, errors. Knows no check.

Nothing of a request or an answer gets into an error but our own words, the status and the provider's request id:
bodies hold people, URLs hold references, headers hold keys.
"""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlencode, urlsplit

import httpx
import msgspec

from issuer import metrics
from issuer.errors import ProviderError, ProviderNotFound, ProviderRefused, ProviderUnavailable, SettingsError
from issuer.providers.pace import Pace

MAX_RESPONSE_BYTES: Final = 1024 * 1024
TIMEOUT: Final = httpx.Timeout(5.0, connect=2.0)
LIMITS: Final = httpx.Limits(max_connections=20, max_keepalive_connections=10)
READ_BACKOFF: Final = (0.1, 0.4)  # seconds before the second and the third try of a read

_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LONGEST_WAIT = 3600.0
_DEFAULT_WAIT = 5.0
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

# method, target (path and query as sent), body > headers that prove the request is ours
Sign = Callable[[str, str, bytes], Mapping[str, str]]


class Answer(msgspec.Struct, frozen=True):
    """A complete answer. `request_id` is the provider's own name for it, for its support."""

    status: int
    body: bytes
    headers: httpx.Headers
    request_id: str | None
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


def is_web_link(link: object) -> bool:
    """https, or http on loopback where a simulator lives: the holder's browser will follow it."""
    if not isinstance(link, str) or len(link) > 4096:
        return False
    try:
        checked_base("", link.partition("?")[0].partition("#")[0])
    except SettingsError:
        return False
    return True


class ProviderHttp:
    """Sends one request at a time and returns its `Answer`, whatever the status; `refuse` turns bad ones into errors.

    `vendor` is how messages name the provider. `headers` go with every request, `sign` adds those that depend on it.
    `total_seconds` bounds a call with all its retries. `client` is borrowed when given, else made and owned.
    """

    def __init__(
        self,
        vendor: str,
        base_url: str,
        *,
        headers: Mapping[str, str],
        sign: Sign | None = None,
        client: httpx.AsyncClient | None = None,
        timeout: httpx.Timeout = TIMEOUT,
        total_seconds: float = 12.0,
    ) -> None:
        self.vendor = vendor
        self.base_url = base_url
        self._sign = sign
        self._timeout = timeout
        self._total_seconds = total_seconds
        # A compressed answer could unfold to any size before its length is seen.
        self._headers = {**headers, "Accept": "application/json", "Accept-Encoding": "identity"}
        # A proxy from the environment may stand before a provider, never before a simulator on loopback.
        loopback = urlsplit(base_url).hostname in _LOOPBACK
        self._client = client or httpx.AsyncClient(limits=LIMITS, timeout=timeout, trust_env=not loopback)
        self._owns_client = client is None
        self._pace = Pace()
        self.clock_ahead: float | None = None  # seconds that the provider's clock is ahead of ours, to the second

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.base_url!r})"

    async def aclose(self) -> None:
        if self._owns_client:
            await self._client.aclose()

    async def get(self, what: str, path: str, params: Mapping[str, str] | None = None) -> Answer:
        """A read, tried up to three times on a lost connection or a 5xx."""
        return await self._read(what, "GET", path, params, None)

    async def ask(self, what: str, path: str, body: Mapping[str, object]) -> Answer:
        """A read that its provider wants as a POST: tried as often as `get`."""
        return await self._read(what, "POST", path, None, self._encode(what, body))

    async def post(
        self, what: str, path: str, body: Mapping[str, object] | None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Sent once: only the caller knows whether a repeat is the same act."""
        return await self._send(what, "POST", path, self._deadline(), headers=headers, content=self._encode(what, body))

    async def patch(self, what: str, path: str, body: Mapping[str, object]) -> Answer:
        """Sent once."""
        return await self._send(what, "PATCH", path, self._deadline(), content=self._encode(what, body))

    async def delete(self, what: str, path: str) -> Answer:
        """Sent once."""
        return await self._send(what, "DELETE", path, self._deadline())

    def check(self, what: str, answer: Answer) -> None:
        """Look at a complete answer before anybody reads it. Raises `ProviderError`s; here nothing is asked."""

    def refuse(self, what: str, answer: Answer) -> None:
        """Return on a 2xx; raise what any other status means. See `ProviderError`."""
        refuse(self.vendor, what, answer)

    async def _read(
        self, what: str, method: str, path: str, params: Mapping[str, str] | None, content: bytes | None
    ) -> Answer:
        deadline = self._deadline()
        for pause in READ_BACKOFF:
            try:
                answer = await self._send(what, method, path, deadline, params=params, content=content)
            except ProviderUnavailable:
                answer = None
            if answer is not None and answer.status < 500:
                return answer
            await asyncio.sleep(pause)
        return await self._send(what, method, path, deadline, params=params, content=content)

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._total_seconds

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
        target = f"{path}?{urlencode(params)}" if params else path
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(self._pace.wait(clock()))
        try:
            with metrics.PROVIDER_SECONDS.labels(self.vendor.lower(), what).time():
                async with asyncio.timeout_at(deadline):
                    answer = await self._exchange(what, method, target, headers or {}, content)
        except (httpx.HTTPError, OSError):  # a TimeoutError is an OSError
            # httpx errors carry the request and with it the key: not chained, not quoted.
            answer = None
        result = "lost" if answer is None else f"{answer.status // 100}xx"
        metrics.PROVIDER_REQUESTS.labels(self.vendor.lower(), what, result).inc()
        if answer is None:
            raise ProviderUnavailable(f"{self.vendor}, {what}: no complete answer in time", same_key=True)
        self._pace.answered(answer.headers, clock())
        self.clock_ahead = _ahead(answer.headers, time.time())
        self.check(what, answer)
        return answer

    async def _exchange(
        self, what: str, method: str, target: str, headers: Mapping[str, str], content: bytes | None
    ) -> Answer:
        typed = {} if content is None else {"Content-Type": "application/json"}
        signed = {} if self._sign is None else self._sign(method, urlsplit(self.base_url).path + target, content or b"")
        request = self._client.build_request(
            method,
            self.base_url + target,
            headers={**self._headers, **typed, **headers, **signed},
            content=content,
            timeout=self._timeout,
        )
        response = await self._client.send(request, stream=True, follow_redirects=False, auth=None)
        try:
            request_id = _request_id(response.headers)
            body = bytearray()
            problem = None
            if response.headers.get("content-encoding", "identity") != "identity":
                problem = "the answer is compressed, which was not asked for"
            else:
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > MAX_RESPONSE_BYTES:
                        problem = f"the answer is larger than {MAX_RESPONSE_BYTES} bytes"
                        break
        finally:
            await response.aclose()
        if problem is not None:
            raise ProviderRefused(
                f"{self.vendor}, {what}: {problem}", status=response.status_code, request_id=request_id
            )
        return Answer(
            status=response.status_code,
            body=bytes(body),
            headers=response.headers,
            request_id=request_id,
            retry_after=_retry_after(response.headers),
        )

    def _encode(self, what: str, body: Mapping[str, object] | None) -> bytes:
        encoded: bytes | None = None
        try:
            encoded = msgspec.json.encode(body or {})
        except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
            encoded = None
        if encoded is None:  # outside the except clause: the error may quote a prefilled value
            raise ProviderRefused(f"{self.vendor}, {what}: the prefill cannot be written as JSON")
        return encoded


def refuse(vendor: str, what: str, answer: Answer) -> None:
    """Return on a 2xx; raise what any other status means. See `ProviderError`."""
    status, request_id = answer.status, answer.request_id
    if 200 <= status < 300:
        return
    tail = f"(status {status}, request {request_id or 'unnamed'})"
    if status == 429:
        wait = answer.retry_after
        raise ProviderUnavailable(
            f"{vendor}, {what}: asks us to wait {wait:g} s {tail}",
            status=status,
            request_id=request_id,
            retry_after=wait,
            same_key=True,  # decided before anything was done
        )
    if status >= 500:
        # What was done is not known, and a provider that keeps answers by key would replay this one.
        raise ProviderUnavailable(
            f"{vendor}, {what}: failed on its side {tail}", status=status, request_id=request_id, same_key=False
        )
    if status == 408:  # what a balancer says in place of the network
        raise ProviderUnavailable(f"{vendor}, {what}: timed out {tail}", status=status, request_id=request_id)
    error: type[ProviderError] = ProviderNotFound if status == 404 else ProviderRefused
    words = {401: "does not accept the API key", 403: "the API key lacks a permission", 404: "does not know it"}
    meaning = words.get(status, "answered a redirect, which is never followed" if status < 400 else "said no")
    raise error(f"{vendor}, {what}: {meaning} {tail}", status=status, request_id=request_id)


def unexpected(vendor: str, what: str, problem: str, answer: Answer) -> ProviderRefused:
    """An answer of another shape than the provider's documentation has."""
    tail = f"(status {answer.status}, request {answer.request_id or 'unnamed'})"
    return ProviderRefused(f"{vendor}, {what}: {problem} {tail}", status=answer.status, request_id=answer.request_id)


def _ahead(headers: httpx.Headers, now: float) -> float | None:
    """By the `Date` of an answer (RFC 9110, 6.6.1), which is a whole second and as old as the way here."""
    try:
        return parsedate_to_datetime(headers.get("date", "")).timestamp() - now
    except (ValueError, OverflowError):
        return None


def _request_id(headers: httpx.Headers) -> str | None:
    value = headers.get("request-id") or headers.get("x-request-id")
    return value if value is not None and _REQUEST_ID.fullmatch(value) else None


def _retry_after(headers: httpx.Headers) -> float:
    """Seconds to wait, 1 to 3600. `RateLimit-Reset` is Persona's, `Retry-After` everybody else's."""
    for name in ("ratelimit-reset", "retry-after"):
        value = headers.get(name, "")
        if re.fullmatch(r"[0-9]{1,9}", value):
            return min(max(float(value), 1.0), _LONGEST_WAIT)
    return _DEFAULT_WAIT
