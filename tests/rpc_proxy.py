"""A loopback proxy in front of a node that does to JSON-RPC what networks and providers do.

    async with RpcProxy(anvil.url, seed=7) as proxy:
        proxy.faults = [Fault("lost_answer", 0.1, SENDS), Fault("http_429", 0.05)]

Faults are chosen by kind, method and probability, from one seed. Beside them stand the states of a node: `down`, `lag`
blocks behind, `chain_id` another one, `replacement_rule` that anvil does not have. `before[METHOD]` runs when such a
call has arrived and the node has not seen it; `before_send` the same for signed bytes, `after_send` when the node has
answered and the caller has not. A hook that returns False swallows the call: the connection is closed.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Literal

import httpx
import msgspec
import rlp
from eth_account import Account
from eth_utils.crypto import keccak

Hook = Callable[[], Awaitable[bool]]
Call = dict[str, Any]

SEND = "eth_sendRawTransaction"
SENDS = frozenset({SEND})
READS = frozenset({
    "eth_blockNumber", "eth_call", "eth_chainId", "eth_feeHistory", "eth_getBalance", "eth_getBlockByNumber",
    "eth_getBlockReceipts",
    "eth_getCode", "eth_getLogs", "eth_getTransactionByHash", "eth_getTransactionCount", "eth_getTransactionReceipt",
    "eth_maxPriorityFeePerGas",
})  # fmt: skip
DELAY_SECONDS = (0.05, 0.5)

Kind = Literal[
    "delay",  # answers late
    "refused",  # closes the connection before the node has seen the request
    "lost_answer",  # closes it after the node has answered
    "silent",  # the same, but the connection stays open until the node is calm again, or for ever
    "http_429",
    "http_503",
    "garbage",  # status 200, and no JSON
    "short_batch",  # leaves out an item
    "wrong_id",  # answers an item under another number
    "error",  # an item is answered with an internal error
    "dropped",  # signed bytes: says that they were taken and forgets them
    "withheld",  # the same, but they are kept for `release`
]
WHOLE = frozenset({"delay", "refused", "lost_answer", "silent", "http_429", "http_503", "garbage"})


class Fault(msgspec.Struct, frozen=True):
    """`methods` empty: any. For a whole request it is enough that one of its calls has such a method."""

    kind: Kind
    probability: float = 1.0
    methods: frozenset[str] = frozenset()

    def concerns(self, call: Call) -> bool:
        return not self.methods or call["method"] in self.methods


class Offer(msgspec.Struct, frozen=True):
    """What a signed transaction offers, in wei per gas."""

    hash: str
    tip: int
    max_fee: int


class RpcProxy:
    def __init__(self, upstream: str, *, seed: int = 0) -> None:
        self._upstream = upstream
        self._client = httpx.AsyncClient(timeout=10)
        self._server: asyncio.Server | None = None
        self._calmed = asyncio.Event()
        self._chance = random.Random(seed)
        self._offered: dict[tuple[str, int], Offer] = {}
        self.faults: list[Fault] = []
        self.done: Counter[str] = Counter()  # how often each fault struck
        self.withheld: list[str] = []
        self.before: dict[str, Hook] = {}
        self.before_send: Hook | None = None
        self.after_send: Hook | None = None
        self.sent = 0
        self.down = False
        self.lag = 0
        self.chain_id: int | None = None
        self.replacement_rule = False
        self.unusable: set[str] = set()  # hashes of transactions that this node says it will never take

    async def __aenter__(self) -> "RpcProxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._calmed.set()
        self._server.close()
        await self._client.aclose()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def calm(self) -> None:
        """A node like any other again. What is withheld stays so."""
        self.faults, self.down, self.lag, self.chain_id = [], False, 0, None
        self._calmed.set()
        self._calmed = asyncio.Event()

    async def release(self) -> None:
        """Hand the withheld transactions to the node, in the order in which they came."""
        withheld, self.withheld = self.withheld, []
        for raw in withheld:
            await self._ask(SEND, raw)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while body := await _request(reader):
                answer = await self._answer(body)
                if answer is None:
                    return
                writer.write(answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the caller went away, which is what these tests are about
        except httpx.HTTPError:
            pass  # the node did
        finally:
            writer.close()

    async def _answer(self, body: bytes) -> bytes | None:
        """The whole HTTP answer; None closes the connection without one."""
        if self.down:
            return None
        asked = json.loads(body)
        calls: list[Call] = asked if isinstance(asked, list) else [asked]
        sends = any(call["method"] == SEND for call in calls)
        struck = {fault.kind for fault in self._strike(calls, WHOLE)}
        if "delay" in struck:
            await asyncio.sleep(self._chance.uniform(*DELAY_SECONDS))
        if "refused" in struck or not await self._lets_in(calls):
            return None
        if "http_429" in struck:
            return _http(b"slow down", "429 Too Many Requests")
        if "http_503" in struck:
            return _http(b"<html>no server is available</html>", "503 Service Unavailable")
        answers = await self._each(calls)
        if not await self._lets_out(sends, struck):
            return None
        if "garbage" in struck:
            return _http(b'{"jsonrpc": "2.0", "id')
        return _http(json.dumps(answers if isinstance(asked, list) else answers[0]).encode())

    async def _lets_in(self, calls: list[Call]) -> bool:
        """Runs the hooks that stand before the node."""
        methods = {call["method"] for call in calls}
        hooks = [hook for method, hook in self.before.items() if method in methods]
        if SEND in methods and self.before_send is not None:
            hooks.append(self.before_send)
        return all([await hook() for hook in hooks])

    async def _lets_out(self, sends: bool, struck: set[Kind]) -> bool:
        """Is the node's answer passed on?"""
        if sends:
            self.sent += 1
            if self.after_send is not None and not await self.after_send():
                return False
        if "silent" in struck:
            await self._calmed.wait()
        return not struck & {"lost_answer", "silent"}

    def _strike(self, calls: list[Call], kinds: frozenset[str], *, without: bool = False) -> Iterable[Fault]:
        """Which faults of these kinds (or of all others) happen now."""
        for fault in self.faults:
            if (fault.kind in kinds) is without or not any(fault.concerns(call) for call in calls):
                continue
            if self._chance.random() < fault.probability:
                self.done[fault.kind] += 1
                yield fault

    async def _each(self, calls: list[Call]) -> list[Call]:
        struck = [(call, {fault.kind for fault in self._strike([call], WHOLE, without=True)}) for call in calls]
        forwarded = await self._forward(
            [call for call, kinds in struck if not kinds & {"error", "dropped", "withheld"}]
        )
        answers = []
        for call, kinds in struck:
            answer = forwarded.get(call["id"]) or self._instead(call, kinds)
            if "wrong_id" in kinds:
                answer = answer | {"id": f"not {call['id']}"}
            if "short_batch" not in kinds:
                answers.append(answer)
        return answers

    def _instead(self, call: Call, kinds: set[str]) -> Call:
        """What is answered to a call that the node never sees."""
        if call["method"] != SEND or "error" in kinds:
            return _error(call, -32603, "internal error")
        raw = call["params"][0]
        if "withheld" in kinds:
            self.withheld.append(raw)
        return {"jsonrpc": "2.0", "id": call["id"], "result": _hash(raw)}

    async def _forward(self, calls: list[Call]) -> dict[object, Call]:
        """Ask the node, as a node would answer that lags, is on another chain or has a replacement rule."""
        refused = {}
        if self.replacement_rule:
            sends = [call for call in calls if call["method"] == SEND]
            refused = {call["id"]: _underpriced(call) for call in sends if await self._breaks_rule(call["params"][0])}
        for call in calls:
            if call["method"] == SEND and _hash(call["params"][0]) in self.unusable:
                self.done["unusable"] += 1
                refused[call["id"]] = _error(call, -32000, "intrinsic gas too low")
        newest = await self._ask("eth_blockNumber") if self.lag else None
        head = max(int(newest, 16) - self.lag, 0) if newest else None
        asked = [call if head is None else _as_of(call, head) for call in calls if call["id"] not in refused]
        answers = (await self._client.post(self._upstream, json=asked)).json() if asked else []
        known = {answer["id"]: answer for answer in answers} | refused
        for call in calls:
            known[call["id"]] = self._told(call, known[call["id"]], head)
        return known

    def _told(self, call: Call, answer: Call, head: int | None) -> Call:
        if call["method"] == "eth_chainId" and self.chain_id is not None:
            return answer | {"result": hex(self.chain_id)}
        if head is not None and _is_newer(answer.get("result"), head):
            return answer | {"result": None}
        return answer

    async def _breaks_rule(self, raw: str) -> bool:
        """Nodes take another transaction of the same nonce only if both of its fees are a tenth higher."""
        _, nonce, tip, max_fee, *_ = rlp.decode(bytes.fromhex(raw[4:]))  # after the type byte of EIP-2718
        new = Offer(_hash(raw), int.from_bytes(tip, "big"), int.from_bytes(max_fee, "big"))
        key = (Account.recover_transaction(raw), int.from_bytes(nonce, "big"))
        old = self._offered.get(key)
        if old is not None and old.hash != new.hash:
            low = new.tip * 10 < old.tip * 11 or new.max_fee * 10 < old.max_fee * 11
            if low and await self._is_pending(old.hash):
                self.done["underpriced"] += 1
                return True
        self._offered[key] = new
        return False

    async def _is_pending(self, tx_hash: str) -> bool:
        found = await self._ask("eth_getTransactionByHash", tx_hash)
        return found is not None and found["blockNumber"] is None

    async def _ask(self, method: str, *params: object) -> Any:
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        return (await self._client.post(self._upstream, json=call)).json().get("result")


def _as_of(call: Call, head: int) -> Call:
    """The same question to a node whose newest block is `head`."""
    params = [hex(head) if param in ("latest", "pending") else param for param in call["params"]]
    return call | {"params": params}


def _is_newer(result: object, head: int) -> bool:
    """A block, a receipt or a mined transaction that a node at `head` cannot know."""
    first = result[0] if isinstance(result, list) and result else result
    number = (first.get("blockNumber") or first.get("number")) if isinstance(first, dict) else None
    return isinstance(number, str) and int(number, 16) > head


def _hash(raw: str) -> str:
    return "0x" + keccak(hexstr=raw).hex()


def _error(call: Call, code: int, message: str) -> Call:
    return {"jsonrpc": "2.0", "id": call["id"], "error": {"code": code, "message": message}}


def _underpriced(call: Call) -> Call:
    return _error(call, -32000, "replacement transaction underpriced")


def _http(body: bytes, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _request(reader: asyncio.StreamReader) -> bytes:
    length, line = 0, await reader.readline()
    if not line:
        return b""
    while (line := await reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return await reader.readexactly(length)
