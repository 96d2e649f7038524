"""Build and sign one attempt of a transaction. No database here: what is signed is stored before it is sent."""

import msgspec

from issuer.chain.eip1559 import UnsignedTransaction, signed_bytes, signing_message, transaction_hash
from issuer.chain.fees import Fees
from issuer.chain.rules import Purpose
from issuer.chain.signer import Signer, checked_sign


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a transaction is to do; fixed for its life. `recipient` EIP-55, `gas_limit` in gas."""

    purpose: str
    recipient: str
    calldata: bytes
    gas_limit: int


def noop(sender: str, gas_limit: int) -> Plan:
    """Nothing, sent to the sender itself: it only uses up a nonce."""
    return Plan(purpose=Purpose.NOOP, recipient=sender, calldata=b"", gas_limit=gas_limit)


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes ready for the wire, and their hash (0x…)."""

    raw: bytes
    hash: str
    fees: Fees


async def sign(signer: Signer, plan: Plan, *, chain_id: int, nonce: int, fees: Fees) -> Signed:
    """One EIP-1559 attempt, its signature checked by recovery. Raises `SignerFailed`."""
    unsigned = UnsignedTransaction(
        chain_id=chain_id,
        nonce=nonce,
        tip=fees.tip,
        max_fee=fees.max_fee,
        gas_limit=plan.gas_limit,
        to=plan.recipient,
        data=plan.calldata,
    )
    signature = await checked_sign(signer, signing_message(unsigned))
    raw = signed_bytes(unsigned, r=signature.r, s=signature.s, y_parity=signature.y_parity)
    return Signed(raw=raw, hash=transaction_hash(raw), fees=fees)
