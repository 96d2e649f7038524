"""One node: reads that are answered once or fail, and signed bytes put on its wire."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import msgspec

from issuer.chain import wire
from issuer.chain.eip1559 import transaction_hash
from issuer.chain.errors import ReadFailure, SendOutcome, SendResult, read_failure, send_result
from issuer.chain.health import Health
from issuer.chain.jsonrpc import Answer, JsonRpc, Method
from issuer.chain.reads import Question, Reads
from issuer.chain.wire import Garbled, Head
from issuer.errors import NodeRefused, NodeUnavailable
from issuer.secrets import Secret

# A full transaction is some 35 kB of JSON and nodes refuse large requests (anvil: above 2 MB).
SENT_TOGETHER = 16


class Endpoint(Reads):
    """`alias` is its name wherever it is shown: its URL may carry a key. Nothing is tried twice.

    `admitted` says that it was seen on the right chain since it last failed; the gateway sets it.
    """

    def __init__(
        self,
        url: Secret,
        alias: str = "node",
        *,
        chain_id: int | None = None,
        timeout_seconds: float = 5.0,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self.alias = alias
        self.health = Health()
        self.admitted = False
        self.last_head: Head | None = None
        label = alias if chain_id is None else f"{chain_id}-{alias}"
        self._line = JsonRpc(url, label, timeout_seconds=timeout_seconds, http=http)

    def __repr__(self) -> str:
        return f"Endpoint({self.alias})"

    async def aclose(self) -> None:
        await self._line.aclose()

    async def read(self, questions: Sequence[Question]) -> list[Any]:
        if not questions:
            return []
        with self._watched():
            answers = await self._line.ask([(question.method, question.params) for question in questions])
            whole = [_whole(answer) for answer in answers]
            values = [question.value(answer) for question, answer in zip(questions, whole, strict=True)]
        for value in values:
            if isinstance(value, Head):
                self.last_head = value
        return values

    async def send(self, raw: Sequence[bytes]) -> list[SendOutcome]:
        """Put signed bytes on the wire, once, in order. Never raises for what the node does: that is `unknown`."""
        methods: list[Method] = [("eth_sendRawTransaction", ["0x" + item.hex()]) for item in raw]
        answers: list[Answer | None] = []
        try:
            with self._watched():
                while len(answers) < len(methods):
                    answers += await self._line.ask_some(methods[len(answers) :][:SENT_TOGETHER])
        except (NodeUnavailable, NodeRefused):
            pass  # the rest would wait for the same time-out, behind a nonce of which nothing is known
        answers += [None] * (len(raw) - len(answers))
        return [SendOutcome(_sent(item, answer)) for item, answer in zip(raw, answers, strict=True)]

    def exclude(self, code: str) -> None:
        """It is not what it should be: the others first, and a new check before it is used again."""
        self.admitted = False
        self.health.failed(time.monotonic(), code)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """One exchange: how long it took, or why it failed. A question that is refused is an answer, too."""
        began = time.monotonic()
        try:
            yield
        except NodeUnavailable as error:
            self.admitted = False
            self.health.failed(time.monotonic(), error.code, retry_after=error.retry_after)
            raise
        except NodeRefused as error:
            if error.rpc_code is None:  # not the question was refused but we were
                self.exclude(error.code)
            else:
                self.health.answered(time.monotonic() - began)
            raise
        self.health.answered(time.monotonic() - began)


def _whole(answer: Answer | None) -> Answer:
    """An answer is there, and no error that waiting may cure."""
    if answer is None:
        raise NodeUnavailable("the node left out a part of its answer")
    error = answer.error
    if error is not None and read_failure(error.code, error.message) is ReadFailure.UNAVAILABLE:
        raise NodeUnavailable(f"the node could not answer for now (code {error.code})")
    return answer


def _sent(raw: bytes, answer: Answer | None) -> SendResult:
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
