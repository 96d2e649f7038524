"""What a transaction may become, what holds a lane, and what each chain is like. No I/O."""

from enum import StrEnum
from hashlib import sha256

import msgspec

from issuer.errors import IllegalMove

LOCAL_CHAIN_IDS = frozenset({31337})
# Public test networks, by https://chainlist.org. What is not here is live: a mistake of ours must not lower a guard.
TEST_CHAIN_IDS = frozenset(
    {
        97,  # BNB Smart Chain testnet
        300,  # zkSync Sepolia
        10200,  # Gnosis Chiado
        17000,  # Holesky
        43113,  # Avalanche Fuji
        59141,  # Linea Sepolia
        80002,  # Polygon Amoy
        84532,  # Base Sepolia
        421614,  # Arbitrum Sepolia
        534351,  # Scroll Sepolia
        560048,  # Hoodi
        11155111,  # Sepolia
        11155420,  # OP Sepolia
    }
)
GWEI = 10**9
SHARDS = 2**15  # a claim's shard fits in a small integer


class Purpose(StrEnum):
    """What a transaction is for. `noop`: it only uses up its nonce."""

    ISSUE = "issue"
    REVOKE = "revoke"
    NOOP = "noop"


# Never refused for the sake of a budget or a reserve, which exist for them: what takes back, and what clears the way.
URGENT = frozenset({Purpose.REVOKE, Purpose.NOOP})


SPEED_UP, CANCEL = "speed-up", "cancel"  # what a person may want of an unmined transaction


class TxStatus(StrEnum):
    """`signed`: bytes are stored and may be on the wire. `mined`: in a block, revocable. `final`: deep enough.

    `dead`: its nonce was used by a transaction that is not ours, in a block that is final.
    """

    SIGNED = "signed"
    MINED = "mined"
    FINAL = "final"
    DEAD = "dead"


MOVES: dict[TxStatus, frozenset[TxStatus]] = {
    TxStatus.SIGNED: frozenset({TxStatus.MINED, TxStatus.DEAD}),
    TxStatus.MINED: frozenset({TxStatus.FINAL, TxStatus.SIGNED}),  # back to signed: a reorg took its block
    TxStatus.FINAL: frozenset(),
    TxStatus.DEAD: frozenset(),
}
OPEN = frozenset({TxStatus.SIGNED, TxStatus.MINED})


def move(source: TxStatus, target: TxStatus) -> TxStatus:
    """The one way to a new status. Raises `IllegalMove`."""
    if target not in MOVES[source]:
        raise IllegalMove("transaction", source, target)
    return target


class Hold(StrEnum):
    """Why a lane signs nothing new. Each ends by itself but `nonce_ahead`, which wants a person."""

    BALANCE = "balance"  # the sender cannot pay the next transaction
    RESERVE = "reserve"  # an issue would leave too little for revocations
    DAILY_CAP = "daily_cap"
    SIGNER = "signer"  # a key, the sender's or the claim signer's, gave no signature or not its own
    FEE_CAP = "fee_cap"  # the lowest unmined transaction cannot enter, and may not cost more
    NONCE_USED = "nonce_used"  # by a transaction that is not ours; until that is final
    NONCE_AHEAD = "nonce_ahead"  # the chain has seen more of this sender than the database


# Nobody knows which nonce is next: not even what is urgent can be signed.
BLOCKS_ALL = frozenset({Hold.NONCE_USED, Hold.NONCE_AHEAD})
# Asked again with every transaction, by what it costs.
OF_MONEY = frozenset({Hold.BALANCE, Hold.RESERVE, Hold.DAILY_CAP})
# What the next transaction finds out by itself, so that nothing need be looked at meanwhile.
FOUND_AGAIN = OF_MONEY | {Hold.SIGNER}


def blocks(hold: Hold | None, purpose: str) -> bool:
    """Does a hold keep a new transaction of this purpose from being signed, whatever it costs?"""
    return hold in BLOCKS_ALL or (hold == Hold.FEE_CAP and purpose not in URGENT)


def shard(identity: str, topic: str) -> int:
    """0 to 32767, for ever the same for one identity and topic: all that concerns them takes one lane, in order."""
    return int.from_bytes(sha256(f"{identity.lower()}:{topic}".encode()).digest()[:2], "big") % SHARDS


class Share(msgspec.Struct, frozen=True):
    """Lane `index` of `count` takes the claims whose shard leaves `index` over when divided by `count`."""

    index: int = 0
    count: int = 1

    def takes(self, shard: int) -> bool:
        return shard % self.count == self.index


ALL = Share()


def is_local(chain_id: int) -> bool:
    """Local development chains."""
    return chain_id in LOCAL_CHAIN_IDS


def is_live(chain_id: int) -> bool:
    """Claims there are believed by contracts that hold money. Unknown ids are live, and forks under a known id."""
    return chain_id not in LOCAL_CHAIN_IDS | TEST_CHAIN_IDS


class ChainProfile(msgspec.Struct, frozen=True, kw_only=True):
    """How a chain is treated. `depth` 1 means the block that includes a transaction confirms it.

    `max_unmined` bounds a lane: a node promises an account few places in its pool (go-ethereum: 16; anvil has no end).
    `uses_finalized`: its `finalized` tag is asked instead of `depth`. Seconds: `block_seconds` how long new claims
    gather while a transaction is unmined, `poll_seconds` between looks at the head, `resend_seconds` before stored
    bytes are sent again, `bump_seconds` before an unmined transaction offers more, `lag_seconds` how long a head that
    is lower than one seen before is taken for a slow node's. `no_mempool`: a sequencer takes transactions in the order
    in which they come, so that offering more moves nothing. Fees in wei per gas; the tip is the `tip_percentile` of
    recent blocks.
    """

    name: str = "live"
    depth: int = 12
    max_unmined: int = 16
    uses_finalized: bool = False
    block_seconds: float = 12.0
    poll_seconds: float = 2.0
    resend_seconds: float = 30.0
    bump_seconds: float = 60.0
    lag_seconds: float = 600.0
    no_mempool: bool = False
    tip_percentile: int = 50
    min_tip: int = GWEI // 10
    max_tip: int = 50 * GWEI
    max_fee: int = 500 * GWEI
    noop_gas: int = 21_000


LIVE = ChainProfile()
LOCAL = ChainProfile(
    name="local",
    depth=1,
    max_unmined=512,
    block_seconds=1.0,
    poll_seconds=0.05,
    resend_seconds=2.0,
    bump_seconds=30.0,
    lag_seconds=5.0,
    min_tip=10**6,
)
_ETHEREUM = ChainProfile(name="Ethereum", depth=64, uses_finalized=True, min_tip=GWEI // 100, max_fee=300 * GWEI)
# Blocks of one sequencer: a depth of some minutes, because their `finalized` waits for Ethereum's and is a quarter of
# an hour behind. Whoever wants that sets a depth.
_OPTIMISM = ChainProfile(
    name="Optimism",
    depth=120,
    block_seconds=2.0,
    poll_seconds=1.0,
    resend_seconds=10.0,
    bump_seconds=20.0,
    min_tip=10**5,
    max_tip=5 * GWEI,
    max_fee=50 * GWEI,
)
_AVALANCHE = ChainProfile(
    name="Avalanche",  # what its nodes show is accepted, and nothing accepted goes away
    depth=2,
    block_seconds=2.0,
    poll_seconds=1.0,
    resend_seconds=10.0,
    bump_seconds=20.0,
    min_tip=10**6,
)

# Known chains. Depth counts where `finalized` is not asked, or where the operator set one.
PROFILES: dict[int, ChainProfile] = {
    1: _ETHEREUM,
    11155111: msgspec.structs.replace(_ETHEREUM, name="Sepolia", max_fee=1000 * GWEI),
    137: ChainProfile(
        name="Polygon",
        depth=128,
        uses_finalized=True,
        block_seconds=2.0,
        poll_seconds=1.0,
        resend_seconds=10.0,
        bump_seconds=20.0,
        min_tip=25 * GWEI,  # its nodes drop what offers less
        max_tip=500 * GWEI,
        max_fee=2000 * GWEI,
    ),
    10: _OPTIMISM,
    8453: msgspec.structs.replace(_OPTIMISM, name="Base"),
    42161: ChainProfile(
        name="Arbitrum",
        depth=240,
        block_seconds=1.0,
        poll_seconds=1.0,
        resend_seconds=10.0,
        no_mempool=True,
        min_tip=0,
        max_tip=0,  # its sequencer gives nothing for a tip
        max_fee=50 * GWEI,
        noop_gas=1_000_000,  # calldata on Ethereum is paid in gas of this chain
    ),
    56: ChainProfile(
        name="BSC",
        depth=15,
        uses_finalized=True,
        block_seconds=1.0,
        poll_seconds=1.0,
        resend_seconds=10.0,
        bump_seconds=20.0,
        min_tip=GWEI // 20,
        max_tip=5 * GWEI,
        max_fee=20 * GWEI,
    ),
    100: ChainProfile(
        name="Gnosis",
        depth=64,
        uses_finalized=True,
        block_seconds=5.0,
        resend_seconds=15.0,
        bump_seconds=30.0,
        min_tip=10**6,
        max_fee=100 * GWEI,
    ),
    43114: _AVALANCHE,
}


def profile(chain_id: int, *, depth: int | None = None) -> ChainProfile:
    """The profile of a chain. A depth that the operator set counts instead of the `finalized` tag."""
    base = LOCAL if is_local(chain_id) else PROFILES.get(chain_id, LIVE)
    return base if depth is None else msgspec.structs.replace(base, depth=depth, uses_finalized=False)


def confirmations(head: int, mined_in: int) -> int:
    """A transaction in the newest block has one."""
    return max(0, head - mined_in + 1)
