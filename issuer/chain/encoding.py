"""The ABI of the few shapes that leave by the thousand, and of what is asked at every start.

eth_abi took a fifth of the daemon's time for the first, and loading it a fifth of its start. Everything else goes
through it, and a test holds the two together byte for byte. Source: the Solidity ABI specification, "Formal
Specification of the Encoding".
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from issuer.addresses import eip55

WORD = 32


def uint(value: int) -> bytes:
    """Raises `OverflowError` for a number that no uint256 can be."""
    return value.to_bytes(WORD, "big")


def address(value: str) -> bytes:
    """`value` is 0x and 40 hex digits. Raises `ValueError`."""
    raw = bytes.fromhex(value.removeprefix("0x"))
    if len(raw) != 20:
        raise ValueError("an address has 20 bytes")
    return bytes(12) + raw


def bytes32(value: bytes) -> bytes:
    if len(value) != WORD:
        raise ValueError("not 32 bytes")
    return value


def boolean(value: bool) -> bytes:
    return uint(1 if value else 0)


WORDS: dict[str, Callable[..., bytes]] = {"uint256": uint, "address": address, "bytes32": bytes32, "bool": boolean}


def blob(value: bytes) -> bytes:
    """`bytes`, and `string` as its UTF-8 bytes: the length, then the content filled up to whole words."""
    return uint(len(value)) + value + bytes(-len(value) % WORD)


BLOBS: dict[str, Callable[..., bytes]] = {"bytes": blob}


def dynamic_tuple(heads: Sequence[bytes], tails: Sequence[bytes]) -> bytes:
    """A tuple whose first members are the static words `heads` and whose others are the dynamic `tails`."""
    return b"".join(heads) + _placed(tails, WORD * (len(heads) + len(tails)))


def array(items: Iterable[bytes]) -> bytes:
    """An array of dynamic items."""
    encoded = list(items)
    return uint(len(encoded)) + _placed(encoded, WORD * len(encoded))


def static_array(items: Iterable[bytes]) -> bytes:
    """An array of static items."""
    encoded = list(items)
    return uint(len(encoded)) + b"".join(encoded)


def _placed(items: Sequence[bytes], offset: int) -> bytes:
    """Where each item begins, then the items. `offset`: where the first one does."""
    offsets = []
    for item in items:
        offsets.append(uint(offset))
        offset += len(item)
    return b"".join(offsets) + b"".join(items)


def read_uint(word: bytes, bits: int = 256) -> int:
    value = int.from_bytes(word, "big")
    if value >> bits:
        raise ValueError(f"more than {bits} bits")
    return value


def read_address(word: bytes) -> str:
    """EIP-55."""
    return eip55(read_uint(word, 160).to_bytes(20, "big"))


READ: dict[str, Callable[[bytes], Any]] = {
    "uint256": read_uint,
    "uint32": lambda word: read_uint(word, 32),
    "uint16": lambda word: read_uint(word, 16),
    "bool": lambda word: bool(read_uint(word, 1)),
    "address": read_address,
    "bytes32": bytes,
}


def decode(kinds: Sequence[str], data: bytes) -> tuple[Any, ...]:
    """Words, lists of words, and `bytes`. Raises `ValueError` for what is none; what lies behind them is left alone."""
    heads = WORD * len(kinds)
    return tuple(_read(kind, data, WORD * place, heads) for place, kind in enumerate(kinds))


def _read(kind: str, data: bytes, place: int, heads: int) -> Any:  # noqa: ANN401 - by kind
    word = _word(data, place)
    if kind in READ:
        return READ[kind](word)
    offset = read_uint(word)
    if offset < heads:
        raise ValueError("in front of its place")
    count = read_uint(_word(data, offset))
    if count > len(data):
        raise ValueError("longer than what holds it")
    if kind == "bytes":
        return _content(data, offset + WORD, count)
    item = READ[kind.removesuffix("[]")]
    return tuple(item(_word(data, offset + WORD * (1 + place))) for place in range(count))


def _content(data: bytes, start: int, size: int) -> bytes:
    """`blob` read back."""
    filled = data[start : start + size + -size % WORD]
    if len(filled) != size + -size % WORD or any(filled[size:]):
        raise ValueError("too short, or not filled up with zeros")
    return filled[:size]


def _word(data: bytes, offset: int) -> bytes:
    word = data[offset : offset + WORD]
    if len(word) != WORD:
        raise ValueError("too short")
    return word
