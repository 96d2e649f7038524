"""The way to a chain: several nodes, any of which may be down, slow, behind, or on another chain.

Reads go to one node for as long as it serves, and to the next when it does not; a read that no node answers is tried
three times. Signed bytes go to every node that is well: one that takes them is enough. A node is asked for its chain
before work goes to it, and again when it was away. Nodes are known by alias, `rpc-1` being the first of the setting,
and never by URL.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import httpx
import msgspec
import structlog

from issuer.chain.endpoint import Endpoint
from issuer.chain.errors import SendOutcome, SendResult
from issuer.chain.health import Heads
from issuer.chain.reads import Question, Reads
from issuer.chain.wire import Call, Event, Head, Log, Receipt
from issuer.errors import ChainError, NodeRefused, NodeUnavailable, WrongChain
from issuer.secrets import Secret

__all__ = ["Call", "Event", "Gateway", "Head", "Log", "Receipt", "SendOutcome", "SendResult"]

READ_PAUSES = (0.05, 0.25)  # seconds before the second and the third round
SURVEY_SECONDS = 15.0  # how often, at most, the nodes that are not in use are looked at

# Of several nodes' answers to the same bytes the first of these stands: one that took them is enough, and where one is
# silent, nobody knows.
_BEST_FIRST = (
    SendResult.ACCEPTED, SendResult.KNOWN, SendResult.UNKNOWN, SendResult.NONCE_LOW,
    SendResult.UNDERPRICED, SendResult.FUNDS, SendResult.REFUSED,
)  # fmt: skip

T = TypeVar("T")
log = structlog.get_logger(__name__)


class EndpointStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`head` and `lag` in blocks; `error` the code of the last failure, until the node answers again."""

    alias: str
    healthy: bool
    in_use: bool
    head: int | None
    lag: int
    latency_ms: float | None
    error: str | None


class Gateway(Reads):
    """`rpc_urls`: one or more. `chain`: the chain id and genesis hash that they must have.

    Without `chain` the first node that answers decides. Raises `WrongChain` when all that answer are on another one.
    """

    def __init__(
        self,
        rpc_urls: Secret | Sequence[Secret],
        *,
        chain: tuple[int, str] | None = None,
        timeout_seconds: float = 5.0,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        urls = [rpc_urls] if isinstance(rpc_urls, Secret) else rpc_urls
        self._nodes = tuple(
            Endpoint(url, f"rpc-{number}", chain_id=chain and chain[0], timeout_seconds=timeout_seconds, http=http)
            for number, url in enumerate(urls, 1)
        )
        self._current = self._nodes[0]
        self._chain = chain
        self._heads = Heads()
        self._surveyed_at = 0.0
        self._background: set[asyncio.Task[Any]] = set()

    def __repr__(self) -> str:
        return "Gateway(***)"

    async def aclose(self) -> None:
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        for node in self._nodes:
            await node.aclose()

    async def read(self, questions: Sequence[Question]) -> list[Any]:
        return await self._somewhere(lambda node: node.read(questions)) if questions else []

    async def pinned(self) -> tuple[Endpoint, Head]:
        """A node to answer all questions of one decision, and its head.

        With several nodes the head is never behind one that was seen before: raises `NodeUnavailable` rather than let a
        node that is behind look like a reorg. Whoever holds the node asks no other one, and begins again when it fails.
        """
        return await self._somewhere(self._forward)

    async def send(self, raw: Sequence[bytes]) -> list[SendOutcome]:
        """Put signed bytes on the wire of every node that is well. Never raises for what a node does.

        Answers as soon as one node holds them all; the others are still being told then.
        """
        now = time.monotonic()
        well = [node for node in self._nodes if not node.health.rests(now)] or self._nodes
        telling = {asyncio.create_task(self._offer(node, raw)) for node in well}
        outcomes = [SendOutcome(SendResult.REFUSED)] * len(raw)
        while telling:
            done, telling = await asyncio.wait(telling, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                outcomes = [min(pair, key=_rank) for pair in zip(outcomes, task.result(), strict=True)]
            if all(outcome.held_by_node for outcome in outcomes):
                self._let_run(*telling)
                break
        return outcomes

    def endpoints(self) -> list[EndpointStatus]:
        """As they were when they were last spoken to."""
        now = time.monotonic()
        return [
            EndpointStatus(
                alias=node.alias,
                healthy=node.admitted and not node.health.rests(now) and not node.health.lags,
                in_use=node is self._current,
                head=None if node.last_head is None else node.last_head.number,
                lag=node.health.lag,
                latency_ms=None if node.health.latency is None else round(node.health.latency * 1000, 1),
                error=node.health.error,
            )
            for node in self._nodes
        ]

    async def survey(self) -> list[EndpointStatus]:
        """Ask every node for its chain and head, now. Raises nothing for what they do."""
        self._surveyed_at = time.monotonic()
        await asyncio.gather(*(self._visit(node) for node in self._nodes))
        heads = [node.last_head.number for node in self._nodes if node.admitted and node.last_head]
        for node in self._nodes:
            before, node.health.lag = (
                node.health.lags,
                max(heads) - node.last_head.number if heads and node.last_head else 0,
            )
            if node.health.lags and not before:
                log.warning("endpoint_lags", chain_id=self._chain_id, endpoint=node.alias, count=node.health.lag)
        return self.endpoints()

    async def _somewhere(self, ask: Callable[[Endpoint], Awaitable[T]]) -> T:
        """The answer of the first node that has one: the one in use, then the others, and again after a pause."""
        for pause in (*READ_PAUSES, None):
            failures: list[ChainError] = []
            for node in self._in_order():
                try:
                    if node is not self._current or not node.admitted:
                        await self._check(node)
                    answer = await ask(node)
                except (NodeUnavailable, WrongChain, NodeRefused) as error:
                    if isinstance(error, NodeRefused) and error.rpc_code is not None:
                        raise  # an answer, and any other node's would be the same
                    failures.append(error)
                    continue
                self._use(node)
                return answer
            told = next((error for error in failures if isinstance(error, NodeUnavailable)), failures[0])
            if pause is None or not told.transient or self._all_must_wait():
                raise told
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    def _in_order(self) -> list[Endpoint]:
        """Those that may be asked now, the best first. Raises `NodeUnavailable` while all want to be left alone."""
        now = time.monotonic()
        if self._all_must_wait():
            wait = min(node.health.must_wait(now) for node in self._nodes)
            raise NodeUnavailable(f"every node asked to be left alone for {wait:.0f} s or more", retry_after=wait)
        free = [node for node in self._nodes if not node.health.must_wait(now)]
        return sorted(free, key=lambda node: (node.health.rests(now), node.health.lags, node is not self._current))

    @property
    def _chain_id(self) -> int | None:
        return None if self._chain is None else self._chain[0]

    def _all_must_wait(self) -> bool:
        now = time.monotonic()
        return all(node.health.must_wait(now) for node in self._nodes)

    async def _check(self, node: Endpoint) -> None:
        """Is it on our chain? Raises `WrongChain`."""
        found = await node.identity()
        self._chain = self._chain or found
        if found != self._chain:
            if node.health.error != WrongChain.code:
                log.error("endpoint_on_another_chain", chain_id=self._chain_id, endpoint=node.alias)
            node.exclude(WrongChain.code)
            raise WrongChain(
                f"{node.alias} is on another chain (chain id {found[0]}, genesis {found[1]}) than the deployment file; "
                "check CLAIMWRIGHT_RPC_URL"
            )
        node.admitted = True

    async def _forward(self, node: Endpoint) -> tuple[Endpoint, Head]:
        head = await node.head()
        if len(self._nodes) > 1 and self._heads.is_behind(head):
            raise NodeUnavailable(
                f"{node.alias} is behind: it has block {head.number}, and {self._heads.newest} was seen"
            )
        self._heads.note(head)
        return node, head

    async def _offer(self, node: Endpoint, raw: Sequence[bytes]) -> list[SendOutcome]:
        try:
            if not node.admitted:
                await self._check(node)
        except ChainError:
            return [SendOutcome(SendResult.UNKNOWN)] * len(raw)
        return await node.send(raw)

    async def _visit(self, node: Endpoint) -> None:
        try:
            await self._check(node)
            await node.head()
        except ChainError:
            pass  # its health says so

    def _use(self, node: Endpoint) -> None:
        if node is not self._current:
            log.warning("endpoint_changed", chain_id=self._chain_id, endpoint=node.alias)
            self._current = node
        if len(self._nodes) > 1 and time.monotonic() - self._surveyed_at > SURVEY_SECONDS:
            self._surveyed_at = time.monotonic()
            self._let_run(asyncio.create_task(self.survey()))

    def _let_run(self, *tasks: asyncio.Task[Any]) -> None:
        for task in tasks:
            self._background.add(task)
            task.add_done_callback(self._background.discard)


def _rank(outcome: SendOutcome) -> int:
    return _BEST_FIRST.index(outcome.result)
