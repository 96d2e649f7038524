"""JSON-RPC over HTTP with one node, in batches where it takes them.

Whatever it answers is untrusted: ids are matched, sizes capped. Nothing is tried twice here but a batch that was
refused as a batch. The node's URL may carry a key and appears nowhere.

Source: JSON-RPC 2.0, section 6 (batches); RFC 9110, section 10.2.3 (Retry-After).
"""

import asyncio
import contextlib
import itertools
import logging
import ssl
from collections.abc import Sequence
from urllib.parse import urlsplit

import httpx
import msgspec

from issuer import metrics
from issuer.chain.errors import ReadFailure, read_failure
from issuer.errors import NodeRefused, NodeUnavailable, SettingsError
from issuer.secrets import Secret

MAX_ANSWER_BYTES = 16 * 1024 * 1024
BATCH_ITEMS = 100  # many public nodes refuse larger batches; more questions make several requests
AT_ONCE = 4  # requests to one node: it works on one while we read the answer of another
LONGEST_RETRY_AFTER = 60.0
_TOO_LARGE = 413
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "identity",  # a compressed answer could unfold to any size before its length is seen
}

Method = tuple[str, list[object]]  # its name and parameters


class Error(msgspec.Struct, frozen=True):
    code: int
    message: str = ""


class Answer(msgspec.Struct, frozen=True):
    id: int | str | None = None
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: Error | None = None


_ANSWERS = msgspec.json.Decoder(list[Answer] | Answer)


class BatchRefused(NodeRefused):
    """One error in place of a list: it may be the batch that the node does not like, and not the questions."""


class JsonRpc:
    """`http` is borrowed when given, else made and owned. `timeout_seconds` bounds one request from end to end."""

    def __init__(self, url: Secret, label: str, *, timeout_seconds: float, http: httpx.AsyncClient | None) -> None:
        self._url = checked_url(url)
        self._label = label  # in metrics
        self._timeout = timeout_seconds
        self._ids = itertools.count(1)
        self._owns_http = http is None
        # A proxy from the environment may stand before a remote node, never before one on loopback.
        loopback = self._url.host in _LOOPBACK
        self._http = http or httpx.AsyncClient(timeout=timeout_seconds, trust_env=not loopback)
        self._batch_items = BATCH_ITEMS  # 1: questions are asked one by one, each as an object of its own
        self._turns = asyncio.Semaphore(AT_ONCE)
        for name in ("httpx", "httpcore"):  # they log where each request goes
            logging.getLogger(name).setLevel(logging.WARNING)

    def __repr__(self) -> str:
        return "JsonRpc(***)"

    async def aclose(self) -> None:
        if self._owns_http:
            await self._http.aclose()

    async def ask(self, methods: Sequence[Method]) -> list[Answer | None]:
        """One answer for each, in order. None: it is missing, or was given twice.

        Raises `NodeUnavailable` and `NodeRefused`. The first is asked first, the rest in any order.
        """
        answers = await self.ask_some(methods)
        left, size = methods[len(answers) :], self._batch_items
        chunks = [left[start : start + size] for start in range(0, len(left), size)]
        for several in await asyncio.gather(*map(self._all, chunks)):
            answers += several
        return answers

    async def _all(self, methods: Sequence[Method]) -> list[Answer | None]:
        answers: list[Answer | None] = []
        async with self._turns:
            while len(answers) < len(methods):
                answers += await self.ask_some(methods[len(answers) :])
        return answers

    async def ask_some(self, methods: Sequence[Method]) -> list[Answer | None]:
        """The same for as many, from the first, as the node takes in one request; smaller if it refuses a batch."""
        while self._batch_items > 1:
            chunk = methods[: self._batch_items]
            try:
                return await self._batch(chunk)
            except BatchRefused:
                self._batch_items = max(1, len(chunk) // 2)
        return [await self._single(methods[0])]

    async def _batch(self, methods: Sequence[Method]) -> list[Answer | None]:
        bodies = {next(self._ids): method for method in methods}
        names = {name for name, _ in methods}
        with metrics.rpc_request(self._label, names.pop() if len(names) == 1 else "batch"):
            answers = _decoded(await self._post([_body(number, *method) for number, method in bodies.items()]))
        if isinstance(answers, Answer):
            raise _to_a_batch(answers)
        by_id: dict[object, Answer | None] = {}
        for answer in answers:
            by_id[answer.id] = None if answer.id in by_id else answer
        return [by_id.get(number) for number in bodies]

    async def _single(self, method: Method) -> Answer | None:
        number = next(self._ids)
        with metrics.rpc_request(self._label, method[0]):
            answer = _decoded(await self._post(_body(number, *method)))
        if isinstance(answer, list):
            raise NodeUnavailable("the node gave a list of answers to one question")
        refused_unread = answer.id is None and answer.error is not None  # section 5: the id could not be made out
        return answer if answer.id == number or refused_unread else None

    async def _post(self, body: object) -> bytes:
        # httpx's errors carry the request and with it the URL: not chained, not quoted.
        try:
            async with asyncio.timeout(self._timeout):
                status, answer, wait = await self._bounded_post(msgspec.json.encode(body))
        except (httpx.HTTPError, httpx.StreamError, TimeoutError, ssl.SSLError, OSError):
            status, answer, wait = None, b"", 0.0
        if status is None:
            raise NodeUnavailable("the node gave no complete answer in time")
        if status in (408, 425, 429) or status >= 500:
            raise NodeUnavailable(f"the node could not answer for now (HTTP status {status})", retry_after=wait)
        if status == _TOO_LARGE and isinstance(body, list) and len(body) > 1:
            raise BatchRefused(f"the node refused a batch (HTTP status {status})")
        if status != 200:
            raise NodeRefused(f"the node refused the request (HTTP status {status}); check its URL and key")
        return answer

    async def _bounded_post(self, body: bytes) -> tuple[int, bytes, float]:
        request = self._http.build_request("POST", self._url, content=body, headers=_HEADERS)
        response = await self._http.send(request, stream=True, follow_redirects=False)
        try:
            if response.headers.get("content-encoding", "identity") != "identity":
                raise NodeUnavailable("the node compressed its answer, which was not asked for")
            answer = bytearray()
            async for part in response.aiter_raw():
                answer += part
                if len(answer) > MAX_ANSWER_BYTES:
                    raise NodeUnavailable(f"the node's answer is larger than {MAX_ANSWER_BYTES} bytes")
            return response.status_code, bytes(answer), _retry_after(response.headers.get("retry-after", ""))
        finally:
            await response.aclose()


def checked_url(url: Secret) -> httpx.URL:
    text = url.reveal()
    try:
        if urlsplit(text).scheme in ("http", "https") and urlsplit(text).hostname:
            return httpx.URL(text)
    except (ValueError, httpx.InvalidURL):
        pass  # the error would quote the URL
    raise SettingsError("CLAIMWRIGHT_RPC_URL", "is not an http or https URL")


def _body(number: int, method: str, params: list[object]) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def _retry_after(text: str) -> float:
    """In seconds; the form with a date is taken for no wish at all."""
    return min(float(text), LONGEST_RETRY_AFTER) if text.isascii() and text.isdigit() else 0.0


def _decoded(body: bytes) -> list[Answer] | Answer:
    answers: list[Answer] | Answer | None = None
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        answers = _ANSWERS.decode(body)
    if answers is None:
        raise NodeUnavailable("the node's answer is not JSON-RPC")
    return answers


def _to_a_batch(answer: Answer) -> BatchRefused | NodeUnavailable:
    """What one answer in the place of a list means."""
    error = answer.error
    if error is None or read_failure(error.code, error.message) is ReadFailure.UNAVAILABLE:
        return NodeUnavailable("the node gave one answer to a batch")
    return BatchRefused(f"the node refused a batch (code {error.code})", error.code)
