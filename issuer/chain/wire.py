"""What a node's answers look like, and the checks that make them values. No I/O.

Every reader takes the undecoded `result` of one answer and raises `Garbled` for any other shape than the one that the
Ethereum JSON-RPC specification (ethereum/execution-apis) gives.
"""

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from issuer.addresses import eip55


class Garbled(Exception):
    """The answer is not what the specification says. The gateway turns it into `NodeUnavailable`."""


class Head(msgspec.Struct, frozen=True):
    """The newest block. `timestamp` in Unix seconds, `base_fee` in wei per gas."""

    number: int
    hash: str
    timestamp: int
    base_fee: int


class Log(msgspec.Struct, frozen=True):
    """`address` in EIP-55, topics of 32 bytes each."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes


class Event(msgspec.Struct, frozen=True):
    """A log with its place in the chain, as `eth_getLogs` tells it."""

    log: Log
    block_number: int
    tx_hash: str
    index: int


class Receipt(msgspec.Struct, frozen=True):
    """Hashes in lower case. A transaction that reverted is mined and not `succeeded`.

    `fee`: what it cost in wei, a rollup's share for its data included; 0 from a node that does not say.
    """

    tx_hash: str
    block_number: int
    block_hash: str
    succeeded: bool
    gas_used: int
    logs: tuple[Log, ...]
    fee: int = 0


class Call(msgspec.Struct, frozen=True):
    """A question to a contract, as if `sender` asked it."""

    to: str
    data: bytes
    sender: str | None = None

    def params(self) -> dict[str, str]:
        fields = {"to": self.to, "data": "0x" + self.data.hex()}
        return fields if self.sender is None else {"from": self.sender, **fields}


Quantity = Annotated[str, Meta(pattern=r"^0x[0-9a-fA-F]{1,64}\Z")]
Hash = Annotated[str, Meta(pattern=r"^0x[0-9a-fA-F]{64}\Z")]


class _Block(msgspec.Struct, frozen=True, rename="camel"):
    number: Quantity
    hash: Hash
    timestamp: Quantity
    base_fee_per_gas: Quantity


class _BlockHash(msgspec.Struct, frozen=True):
    number: Quantity
    hash: Hash


class _Log(msgspec.Struct, frozen=True):
    """Hex that `_bytes` reads: a full receipt has a thousand of these, and a pattern for each field costs more."""

    address: str
    topics: Annotated[tuple[str, ...], Meta(max_length=4)]
    data: str


class _Event(_Log, frozen=True, rename="camel"):
    block_number: Quantity
    transaction_hash: Hash
    log_index: Quantity
    removed: bool = False


class _Receipt(msgspec.Struct, frozen=True, rename="camel"):
    transaction_hash: Hash
    status: Annotated[str, Meta(pattern=r"^0x[01]\Z")]
    gas_used: Quantity
    logs: tuple[_Log, ...]
    block_number: Quantity | None = None
    block_hash: Hash | None = None
    effective_gas_price: Quantity | None = None
    l1_fee: Quantity | None = None


class _FeeHistory(msgspec.Struct, frozen=True):
    reward: tuple[tuple[Quantity, ...], ...] | None = None


class _Transaction(msgspec.Struct, frozen=True, rename="camel"):
    hash: Hash
    block_number: Quantity | None = None


T = TypeVar("T")


def _decode(raw: msgspec.Raw, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Garbled from None


def quantity(raw: msgspec.Raw) -> int:
    return int(_decode(raw, Quantity), 16)


def data(raw: msgspec.Raw) -> bytes:
    return _bytes(_decode(raw, str))


def tx_hash(raw: msgspec.Raw) -> str:
    return _decode(raw, Hash).lower()


def head(raw: msgspec.Raw) -> Head:
    block = _decode(raw, _Block)
    return Head(
        number=int(block.number, 16),
        hash=block.hash.lower(),
        timestamp=int(block.timestamp, 16),
        base_fee=int(block.base_fee_per_gas, 16),
    )


def block_hash(raw: msgspec.Raw, number: int) -> str | None:
    """None: no such block. Another block than the one asked for is `Garbled`."""
    block = _decode_optional(raw, _BlockHash)
    if block is None:
        return None
    if int(block.number, 16) != number:
        raise Garbled
    return block.hash.lower()


def transaction_known(raw: msgspec.Raw, asked: str) -> bool:
    return _transaction(raw, asked) is not None


def is_mined(raw: msgspec.Raw, asked: str) -> bool:
    found = _transaction(raw, asked)
    return found is not None and found.block_number is not None


def _transaction(raw: msgspec.Raw, asked: str) -> _Transaction | None:
    """None: the node does not know it. Another than the one asked for is `Garbled`."""
    found = _decode_optional(raw, _Transaction)
    if found is not None and found.hash.lower() != asked.lower():
        raise Garbled
    return found


def receipt(raw: msgspec.Raw, asked: str) -> Receipt | None:
    """None: not in a block. The receipt of another transaction is `Garbled`."""
    found = _decode_optional(raw, _Receipt)
    if found is None or found.block_number is None or found.block_hash is None:
        return None
    if found.transaction_hash.lower() != asked.lower():
        raise Garbled
    return Receipt(
        tx_hash=found.transaction_hash.lower(),
        block_number=int(found.block_number, 16),
        block_hash=found.block_hash.lower(),
        succeeded=found.status == "0x1",
        gas_used=int(found.gas_used, 16),
        logs=tuple(_log(log) for log in found.logs),
        fee=int(found.gas_used, 16) * int(found.effective_gas_price or "0x0", 16) + int(found.l1_fee or "0x0", 16),
    )


def events(raw: msgspec.Raw, first: int, last: int) -> list[Event]:
    """In the order of the chain, without removed ones. A log of a block that was not asked for is `Garbled`."""
    found = [
        Event(
            log=_log(event),
            block_number=int(event.block_number, 16),
            tx_hash=event.transaction_hash.lower(),
            index=int(event.log_index, 16),
        )
        for event in _decode(raw, list[_Event])
        if not event.removed
    ]
    if any(not first <= event.block_number <= last for event in found):
        raise Garbled
    return sorted(found, key=lambda event: (event.block_number, event.index))


def rewards(raw: msgspec.Raw) -> list[int]:
    """What blocks paid at the one percentile that was asked for; empty blocks pay nothing."""
    history = _decode(raw, _FeeHistory)
    return [int(block[0], 16) for block in history.reward or () if block]


def _log(log: _Log) -> Log:
    return Log(
        address=eip55(_bytes(log.address, 20)),
        topics=tuple([_bytes(topic, 32) for topic in log.topics]),
        data=_bytes(log.data),
    )


def _bytes(text: str, size: int | None = None) -> bytes:
    """0x and two hex digits for each byte, `size` of them if it is given."""
    try:
        value = bytes.fromhex(text[2:])
    except ValueError:
        raise Garbled from None
    # `fromhex` lets spaces be, and they would make the text longer.
    if text[:2] != "0x" or len(text) != 2 + 2 * len(value) or (size is not None and len(value) != size):
        raise Garbled
    return value


def _decode_optional(raw: msgspec.Raw, kind: type[T]) -> T | None:
    return None if bytes(raw) == b"null" else _decode(raw, kind)
