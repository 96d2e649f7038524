"""EIP-1559 transactions, byte for byte: what is signed, what goes on the wire, and its hash. No I/O, no keys.

Source: EIP-1559, EIP-2718, the yellow paper's appendix B (RLP). The access list is always empty: no call of ours gains
from one.
"""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from issuer.hashes import keccak

TYPE = b"\x02"

Item: TypeAlias = "int | bytes | Sequence[Item]"


class UnsignedTransaction(msgspec.Struct, frozen=True, kw_only=True):
    """Fees in wei per gas, `value` in wei, `to` 0x-prefixed or None for a deployment."""

    chain_id: int
    nonce: int
    tip: int
    max_fee: int
    gas_limit: int
    to: str | None
    data: bytes
    value: int = 0


def signing_message(transaction: UnsignedTransaction) -> bytes:
    """The bytes whose keccak256 the sender's key signs."""
    return TYPE + rlp(_fields(transaction))


def signed_bytes(transaction: UnsignedTransaction, *, r: int, s: int, y_parity: int) -> bytes:
    """The raw transaction, as `eth_sendRawTransaction` takes it."""
    return TYPE + rlp([*_fields(transaction), y_parity, r, s])


def transaction_hash(raw: bytes) -> str:
    """0x and 64 hex digits, known before any node has seen the bytes."""
    return "0x" + keccak(raw).hex()


def rlp(item: Item) -> bytes:
    """Recursive length prefix: of a number, which may not be negative, of bytes, or of a list."""
    if isinstance(item, int):
        item = item.to_bytes((item.bit_length() + 7) // 8, "big")
    if isinstance(item, bytes):
        return item if len(item) == 1 and item[0] < 0x80 else _prefix(0x80, len(item)) + item
    content = b"".join(map(rlp, item))
    return _prefix(0xC0, len(content)) + content


def _prefix(kind: int, length: int) -> bytes:
    if length < 56:
        return bytes([kind + length])
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([kind + 55 + len(size)]) + size


def _fields(tx: UnsignedTransaction) -> list[Item]:
    to = b"" if tx.to is None else bytes.fromhex(tx.to.removeprefix("0x"))
    if tx.to is not None and len(to) != 20:
        raise ValueError("a recipient has 20 bytes")
    return [tx.chain_id, tx.nonce, tx.tip, tx.max_fee, tx.gas_limit, to, tx.value, tx.data, []]
