"""What a transaction may become, and what each chain is like. No I/O."""

from enum import StrEnum

import msgspec

from issuer.errors import IllegalMove

LOCAL_CHAIN_IDS = frozenset({31337})


class TxStatus(StrEnum):
    """`signed`: bytes are stored and may be on the wire. `mined`: in a block, revocable. `final`: deep enough."""

    SIGNED = "signed"
    MINED = "mined"
    FINAL = "final"


MOVES: dict[TxStatus, frozenset[TxStatus]] = {
    TxStatus.SIGNED: frozenset({TxStatus.MINED}),
    TxStatus.MINED: frozenset({TxStatus.FINAL, TxStatus.SIGNED}),  # back to signed: a reorg took its block
    TxStatus.FINAL: frozenset(),
}


def move(source: TxStatus, target: TxStatus) -> TxStatus:
    """The one way to a new status. Raises `IllegalMove`."""
    if target not in MOVES[source]:
        raise IllegalMove("transaction", source, target)
    return target


def is_local(chain_id: int) -> bool:
    """Local development chains. Every other chain id, known or not, is live."""
    return chain_id in LOCAL_CHAIN_IDS


class ChainProfile(msgspec.Struct, frozen=True, kw_only=True):
    """How a chain is treated. `depth` 1 means the block that includes a transaction confirms it.

    Seconds: `block_seconds` how long new claims gather while a transaction is unmined, `poll_seconds` between looks
    at the head, `resend_seconds` before stored bytes are sent again. Fees in wei per gas.
    """

    depth: int
    block_seconds: float
    poll_seconds: float
    resend_seconds: float
    min_tip: int
    max_fee: int


LOCAL = ChainProfile(
    depth=1, block_seconds=1.0, poll_seconds=0.05, resend_seconds=2.0, min_tip=10**6, max_fee=500 * 10**9
)
LIVE = ChainProfile(
    depth=12, block_seconds=12.0, poll_seconds=2.0, resend_seconds=30.0, min_tip=10**8, max_fee=500 * 10**9
)


def profile(chain_id: int, *, depth: int | None = None) -> ChainProfile:
    """The profile of a chain, with its depth replaced if the operator set one."""
    base = LOCAL if is_local(chain_id) else LIVE
    return base if depth is None else msgspec.structs.replace(base, depth=depth)


def confirmations(head: int, mined_in: int) -> int:
    """A transaction in the newest block has one."""
    return max(0, head - mined_in + 1)
