"""The only file that speaks to a node: JSON-RPC over HTTP, in batches.

Whatever a node answers is untrusted: ids are matched, shapes checked, sizes capped. Reads are tried three times; a send
is made once, because only the caller knows what a repeat means. The node's URL may carry a key and appears nowhere.

Source: the Ethereum JSON-RPC specification (ethereum/execution-apis); JSON-RPC 2.0, section 6 (batches).
"""

import asyncio
import contextlib
import itertools
import logging
import ssl
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from issuer import metrics
from issuer.chain import wire
from issuer.chain.eip1559 import transaction_hash
from issuer.chain.errors import ReadFailure, SendOutcome, SendResult, read_failure, send_result
from issuer.chain.wire import Call, Event, Garbled, Head, Log, Receipt
from issuer.errors import NodeRefused, NodeUnavailable, SettingsError
from issuer.secrets import Secret

__all__ = ["Call", "Event", "Gateway", "Head", "Log", "Receipt", "SendOutcome", "SendResult"]

MAX_ANSWER_BYTES = 16 * 1024 * 1024
BATCH_ITEMS = 100  # many public nodes refuse larger batches; more questions make several requests
READ_PAUSES = (0.05, 0.25)  # seconds before the second and the third try
_METHOD_NOT_FOUND = -32601
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "identity",  # a compressed answer could unfold to any size before its length is seen
}

T = TypeVar("T")
Question = tuple[str, list[object]]  # method and parameters

_HEAD: Question = ("eth_getBlockByNumber", ["latest", False])


class _Error(msgspec.Struct, frozen=True):
    code: int
    message: str = ""


class _Answer(msgspec.Struct, frozen=True):
    id: int | str | None = None
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: _Error | None = None


_ANSWERS = msgspec.json.Decoder(list[_Answer] | _Answer)


class Gateway:
    """One node. Reads raise `NodeUnavailable` (down, slow, garbled) or `NodeRefused` (it understood and said no).

    `http` is borrowed when given, else made and owned. `timeout_seconds` bounds one request from end to end.
    """

    def __init__(self, rpc_url: Secret, *, timeout_seconds: float = 5.0, http: httpx.AsyncClient | None = None) -> None:
        self._url = _checked(rpc_url)
        self._timeout = timeout_seconds
        self._ids = itertools.count(1)
        self._owns_http = http is None
        # A proxy from the environment may stand before a remote node, never before one on loopback.
        loopback = self._url.host in _LOOPBACK
        self._http = http or httpx.AsyncClient(timeout=timeout_seconds, trust_env=not loopback)
        for name in ("httpx", "httpcore"):  # they log where each request goes
            logging.getLogger(name).setLevel(logging.WARNING)

    def __repr__(self) -> str:
        return "Gateway(***)"

    async def aclose(self) -> None:
        if self._owns_http:
            await self._http.aclose()

    async def chain_id(self) -> int:
        return await self._one(wire.quantity, "eth_chainId")

    async def genesis_hash(self) -> str:
        genesis = await self.block_hash(0)
        if genesis is None:
            raise NodeUnavailable("the node does not have its first block yet")
        return genesis

    async def head(self) -> Head:
        method, params = _HEAD
        return await self._one(wire.head, method, *params)

    async def block_hash(self, number: int) -> str | None:
        """None: the node has no block of that number."""
        return await self._one(lambda raw: wire.block_hash(raw, number), "eth_getBlockByNumber", hex(number), False)

    async def nonce(self, address: str, *, pending: bool = False) -> int:
        """The next nonce by the newest block or, `pending`, by what the node also holds in its pool."""
        tag = "pending" if pending else "latest"
        return await self._one(wire.quantity, "eth_getTransactionCount", address, tag)

    async def balance(self, address: str) -> int:
        """In wei."""
        return await self._one(wire.quantity, "eth_getBalance", address, "latest")

    async def code(self, address: str) -> bytes:
        """Empty: no contract there."""
        return await self._one(wire.data, "eth_getCode", address, "latest")

    async def suggested_tip(self) -> int:
        """In wei per gas; 0 from a node that has no opinion."""
        try:
            return await self._one(wire.quantity, "eth_maxPriorityFeePerGas")
        except NodeRefused as error:
            if error.rpc_code == _METHOD_NOT_FOUND:
                return 0
            raise

    async def call(self, calls: Sequence[Call]) -> list[bytes | None]:
        """The answers at the newest block, in order. None: the call reverted."""
        answers = await self._read(_calls(calls))
        return [_call_result(answer) for answer in answers]

    async def snapshot(self, calls: Sequence[Call]) -> tuple[Head, list[bytes | None]]:
        """Head and answers in one batch. The head is asked first: the answers are of that block or a newer one."""
        first, *rest = await self._read([_HEAD, *_calls(calls)])
        return _result(first, "eth_getBlockByNumber", wire.head), [_call_result(answer) for answer in rest]

    async def receipts(self, hashes: Sequence[str]) -> list[Receipt | None]:
        """One for each hash, in order. None: not in a block that the node knows."""
        method = "eth_getTransactionReceipt"
        answers = await self._read([(method, [tx_hash]) for tx_hash in hashes])
        return [
            _result(answer, method, lambda raw, asked=tx_hash: wire.receipt(raw, asked))  # type: ignore[misc]
            for tx_hash, answer in zip(hashes, answers, strict=True)
        ]

    async def logs(
        self, first: int, last: int, topics: Sequence[Sequence[bytes] | None], *, address: str | None = None
    ) -> list[Event]:
        """The logs of the blocks `first` to `last`, in order. `topics`: for each place what may stand there, or None.

        A node that finds the range too large refuses it, or does not answer in time: ask for fewer blocks.
        """
        wanted: dict[str, object] = {
            "fromBlock": hex(first),
            "toBlock": hex(last),
            "topics": [None if place is None else ["0x" + topic.hex() for topic in place] for place in topics],
        }
        if address is not None:
            wanted["address"] = address
        return await self._one(lambda raw: wire.events(raw, first, last), "eth_getLogs", wanted)

    async def transaction_known(self, tx_hash: str) -> bool:
        """Is it in the node's pool or in a block?"""
        return await self._one(lambda raw: wire.transaction_known(raw, tx_hash), "eth_getTransactionByHash", tx_hash)

    async def send(self, raw: Sequence[bytes]) -> list[SendOutcome]:
        """Put signed bytes on the wire, once, in order. Never raises for what the node does: that is `unknown`."""
        results: list[SendResult] = []
        for chunk in _chunks(raw):
            questions: list[Question] = [("eth_sendRawTransaction", ["0x" + item.hex()]) for item in chunk]
            try:
                answers = await self._exchange(questions)
            except (NodeUnavailable, NodeRefused):
                break  # the rest would wait for the same time-out, behind a nonce of which nothing is known
            results += [_sent(item, answer) for item, answer in zip(chunk, answers, strict=True)]
        results += [SendResult.UNKNOWN] * (len(raw) - len(results))
        return [SendOutcome(result) for result in results]

    async def _one(self, reader: Callable[[msgspec.Raw], T], method: str, *params: object) -> T:
        (answer,) = await self._read([(method, list(params))])
        return _result(answer, method, reader)

    async def _read(self, questions: Sequence[Question]) -> list[_Answer]:
        answers: list[_Answer] = []
        for chunk in _chunks(questions):
            answers += await self._read_chunk(chunk)
        return answers

    async def _read_chunk(self, questions: Sequence[Question]) -> list[_Answer]:
        for pause in READ_PAUSES:
            try:
                return await self._complete(questions)
            except NodeUnavailable:
                await asyncio.sleep(pause)
        return await self._complete(questions)

    async def _complete(self, questions: Sequence[Question]) -> list[_Answer]:
        """Every question answered, none by an error that waiting may cure."""
        answers: list[_Answer] = []
        for answer in await self._exchange(questions):
            if answer is None:
                raise NodeUnavailable("the node left out a part of its answer")
            error = answer.error
            if error is not None and read_failure(error.code, error.message) is ReadFailure.UNAVAILABLE:
                raise NodeUnavailable(f"the node could not answer for now (code {error.code})")
            answers.append(answer)
        return answers

    async def _exchange(self, questions: Sequence[Question]) -> list[_Answer | None]:
        """One request. None in the place of a question whose answer is missing or given twice."""
        numbered = {next(self._ids): question for question in questions}
        body = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            for number, (method, params) in numbered.items()
        ]
        methods = {method for method, _ in questions}
        with metrics.rpc_request("main", methods.pop() if len(methods) == 1 else "batch"):
            answers = _decoded(await self._post(msgspec.json.encode(body)))
        by_id: dict[object, _Answer | None] = {}
        for answer in answers:
            by_id[answer.id] = None if answer.id in by_id else answer
        return [by_id.get(number) for number in numbered]

    async def _post(self, body: bytes) -> bytes:
        # httpx's errors carry the request and with it the URL: not chained, not quoted.
        try:
            async with asyncio.timeout(self._timeout):
                status, answer = await self._bounded_post(body)
        except (httpx.HTTPError, httpx.StreamError, TimeoutError, ssl.SSLError, OSError):
            status, answer = None, b""
        if status is None:
            raise NodeUnavailable("the node gave no complete answer in time")
        if status in (408, 425, 429) or status >= 500:
            raise NodeUnavailable(f"the node could not answer for now (HTTP status {status})")
        if status != 200:
            raise NodeRefused(f"the node refused the request (HTTP status {status}); check its URL and key")
        return answer

    async def _bounded_post(self, body: bytes) -> tuple[int, bytes]:
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
            return response.status_code, bytes(answer)
        finally:
            await response.aclose()


def _checked(rpc_url: Secret) -> httpx.URL:
    text = rpc_url.reveal()
    try:
        if urlsplit(text).scheme in ("http", "https") and urlsplit(text).hostname:
            return httpx.URL(text)
    except (ValueError, httpx.InvalidURL):
        pass  # the error would quote the URL
    raise SettingsError("CLAIMWRIGHT_RPC_URL", "is not an http or https URL")


def _calls(calls: Sequence[Call]) -> list[Question]:
    return [("eth_call", [call.params(), "latest"]) for call in calls]


def _chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), BATCH_ITEMS):
        yield items[start : start + BATCH_ITEMS]


def _decoded(body: bytes) -> list[_Answer]:
    """A node that refuses a whole batch answers with one error in place of a list."""
    answers: list[_Answer] | _Answer | None = None
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        answers = _ANSWERS.decode(body)
    if answers is None:
        raise NodeUnavailable("the node's answer is not JSON-RPC")
    if isinstance(answers, list):
        return answers
    error = answers.error
    if error is None or read_failure(error.code, error.message) is ReadFailure.UNAVAILABLE:
        raise NodeUnavailable("the node gave one answer to a batch")
    raise NodeRefused(f"the node refused a batch (code {error.code})", error.code)


def _result(answer: _Answer, method: str, reader: Callable[[msgspec.Raw], T]) -> T:
    if answer.error is not None:
        raise NodeRefused(f"the node refused {method} (code {answer.error.code})", answer.error.code)
    if isinstance(answer.result, msgspec.UnsetType):
        raise NodeUnavailable(f"the node's answer to {method} holds neither a result nor an error")
    try:
        return reader(answer.result)
    except Garbled:
        raise NodeUnavailable(f"the node's answer to {method} has another shape than the specification's") from None


def _call_result(answer: _Answer) -> bytes | None:
    error = answer.error
    if error is not None and read_failure(error.code, error.message) is ReadFailure.REVERTED:
        return None
    return _result(answer, "eth_call", wire.data)


def _sent(raw: bytes, answer: _Answer | None) -> SendResult:
    """Accepted only when the node names the very hash of these bytes."""
    if answer is None:
        return SendResult.UNKNOWN
    if answer.error is not None:
        return send_result(answer.error.message)
    try:
        named = None if isinstance(answer.result, msgspec.UnsetType) else wire.tx_hash(answer.result)
    except Garbled:
        named = None
    return SendResult.ACCEPTED if named == transaction_hash(raw) else SendResult.UNKNOWN
