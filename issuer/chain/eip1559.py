"""EIP-1559 transactions, byte for byte: what is signed, what goes on the wire, and its hash. No I/O, no keys.

Source: EIP-1559 and EIP-2718. The access list is always empty: no call of ours gains from one.
"""

import msgspec
import rlp

from issuer.hashes import keccak

TYPE = b"\x02"


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
    return TYPE + bytes(rlp.encode(_fields(transaction)))


def signed_bytes(transaction: UnsignedTransaction, *, r: int, s: int, y_parity: int) -> bytes:
    """The raw transaction, as `eth_sendRawTransaction` takes it."""
    return TYPE + bytes(rlp.encode([*_fields(transaction), y_parity, r, s]))


def transaction_hash(raw: bytes) -> str:
    """0x and 64 hex digits, known before any node has seen the bytes."""
    return "0x" + keccak(raw).hex()


def _fields(tx: UnsignedTransaction) -> list[object]:
    to = b"" if tx.to is None else bytes.fromhex(tx.to.removeprefix("0x"))
    if tx.to is not None and len(to) != 20:
        raise ValueError("a recipient has 20 bytes")
    return [tx.chain_id, tx.nonce, tx.tip, tx.max_fee, tx.gas_limit, to, tx.value, tx.data, []]
