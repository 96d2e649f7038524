"""The ABI encoding of the few shapes that leave by the thousand: eth_abi took a fifth of the daemon's time for them.

Everything else goes through eth_abi, and a test holds the two together byte for byte. Source: the Solidity ABI
specification, "Formal Specification of the Encoding".
"""

from collections.abc import Callable, Iterable, Sequence

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


WORDS: dict[str, Callable[..., bytes]] = {"uint256": uint, "address": address, "bytes32": bytes32}


def blob(value: bytes) -> bytes:
    """`bytes`, and `string` as its UTF-8 bytes: the length, then the content filled up to whole words."""
    return uint(len(value)) + value + bytes(-len(value) % WORD)


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
