"""What can be asked of a chain, whoever answers: one node, or whichever of several is fit to."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from issuer.chain import wire
from issuer.chain.errors import ReadFailure, read_failure
from issuer.chain.jsonrpc import Answer
from issuer.chain.wire import Call, Event, Garbled, Head, Receipt
from issuer.errors import NodeRefused, NodeUnavailable

_METHOD_NOT_FOUND = -32601
# A receipt of a full transaction is some 100 kB of JSON, and an answer of 16 MiB is refused.
RECEIPTS_TOGETHER = 20

T = TypeVar("T")


class Question(msgspec.Struct, frozen=True):
    """A method, its parameters, and how its answer becomes a value. `value` raises the errors of `Reads`."""

    method: str
    params: list[object]
    value: Callable[[Answer], Any]


class Reads(ABC):
    """Every read raises `NodeUnavailable` (down, slow, garbled) or `NodeRefused` (it understood and said no)."""

    @abstractmethod
    async def read(self, questions: Sequence[Question]) -> list[Any]:
        """Their values, in order, all from one node. The first is asked first."""

    async def chain_id(self) -> int:
        return await self._one(wire.quantity, "eth_chainId")

    async def genesis_hash(self) -> str:
        return _first_block(await self.block_hash(0))

    async def identity(self) -> tuple[int, str]:
        """Chain id and genesis hash, in one request."""
        chain_id, genesis = await self.read([_question(wire.quantity, "eth_chainId"), _block(0)])
        return chain_id, _first_block(genesis)

    async def head(self) -> Head:
        (head,) = await self.read([_HEAD])
        return head  # type: ignore[no-any-return]

    async def block_hash(self, number: int) -> str | None:
        """None: the node has no block of that number."""
        (found,) = await self.read([_block(number)])
        return found  # type: ignore[no-any-return]

    async def block_hashes(self, numbers: Sequence[int]) -> list[str | None]:
        """`block_hash` of each, in order, in one request."""
        return await self.read([_block(number) for number in numbers])

    async def nonce(self, address: str, *, pending: bool = False) -> int:
        """The next nonce by the newest block or, `pending`, by what the node also holds in its pool."""
        tag = "pending" if pending else "latest"
        return await self._one(wire.quantity, "eth_getTransactionCount", address, tag)

    async def standing(self, address: str) -> tuple[int, Head]:
        """The next nonce by the newest block, and a block that is not older than the one it was read from."""
        nonce = _question(wire.quantity, "eth_getTransactionCount", address, "latest")
        next_nonce, head = await self.read([nonce, _HEAD])
        return next_nonce, head

    async def finalized(self) -> Head:
        """The newest block that the chain itself calls final. Raises `NodeRefused` where there is none."""
        return await self._one(wire.head, "eth_getBlockByNumber", "finalized", False)

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

    async def tips(self, percentile: int, *, blocks: int = 10) -> list[int]:
        """What each of the newest blocks was paid at this percentile of its gas, in wei per gas."""
        try:
            return await self._one(wire.rewards, "eth_feeHistory", hex(blocks), "latest", [percentile])
        except NodeRefused as error:
            if error.rpc_code == _METHOD_NOT_FOUND:
                return [await self.suggested_tip()]
            raise

    async def call(self, calls: Sequence[Call]) -> list[bytes | None]:
        """The answers at the newest block, in order. None: the call reverted."""
        return await self.read([_call(call) for call in calls])

    async def snapshot(self, calls: Sequence[Call]) -> tuple[Head, list[bytes | None]]:
        """Head and answers of one node. The head is asked first: the answers are of that block or a newer one."""
        head, *rest = await self.read([_HEAD, *map(_call, calls)])
        return head, rest

    async def receipts(self, hashes: Sequence[str]) -> list[Receipt | None]:
        """One for each hash, in order. None: not in a block that the node knows."""
        return await self._of_transactions(_receipt, hashes)

    async def mined(self, hashes: Sequence[str]) -> set[str]:
        """Those that are in a block, for who need not know what happened there: a receipt has a hundred logs."""
        answers = await self._of_transactions(_is_mined, hashes)
        return {tx_hash for tx_hash, is_mined in zip(hashes, answers, strict=True) if is_mined}

    async def receipts_at(self, number: int, hashes: Sequence[str]) -> tuple[str | None, list[Receipt | None]]:
        """The hash of a block and receipts, of one node: one that shows the block knows what is below it."""
        block_hash, *found = await self.read([_block(number), *map(_receipt, hashes)])
        return block_hash, found

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

    async def _of_transactions(self, question: Callable[[str], Question], hashes: Sequence[str]) -> list[Any]:
        found: list[Any] = []
        for start in range(0, len(hashes), RECEIPTS_TOGETHER):
            found += await self.read([question(tx_hash) for tx_hash in hashes[start : start + RECEIPTS_TOGETHER]])
        return found

    async def _one(self, reader: Callable[[msgspec.Raw], T], method: str, *params: object) -> T:
        (value,) = await self.read([_question(reader, method, *params)])
        return value  # type: ignore[no-any-return]


def _question(reader: Callable[[msgspec.Raw], object], method: str, *params: object) -> Question:
    return Question(method, list(params), lambda answer: _result(answer, method, reader))


def _block(number: int) -> Question:
    return _question(lambda raw: wire.block_hash(raw, number), "eth_getBlockByNumber", hex(number), False)


def _receipt(tx_hash: str) -> Question:
    return _question(lambda raw: wire.receipt(raw, tx_hash), "eth_getTransactionReceipt", tx_hash)


def _is_mined(tx_hash: str) -> Question:
    return _question(lambda raw: wire.is_mined(raw, tx_hash), "eth_getTransactionByHash", tx_hash)


def _call(call: Call) -> Question:
    return Question("eth_call", [call.params(), "latest"], _call_result)


def _result(answer: Answer, method: str, reader: Callable[[msgspec.Raw], T]) -> T:
    if answer.error is not None:
        raise NodeRefused(f"the node refused {method} (code {answer.error.code})", answer.error.code)
    if isinstance(answer.result, msgspec.UnsetType):
        raise NodeUnavailable(f"the node's answer to {method} holds neither a result nor an error")
    try:
        return reader(answer.result)
    except Garbled:
        raise NodeUnavailable(f"the node's answer to {method} has another shape than the specification's") from None


def _call_result(answer: Answer) -> bytes | None:
    error = answer.error
    if error is not None and read_failure(error.code, error.message) is ReadFailure.REVERTED:
        return None
    return _result(answer, "eth_call", wire.data)


def _first_block(genesis: str | None) -> str:
    if genesis is None:
        raise NodeUnavailable("the node does not have its first block yet")
    return genesis


_HEAD = _question(wire.head, "eth_getBlockByNumber", "latest", False)
