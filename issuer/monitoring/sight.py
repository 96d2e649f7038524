"""One chain as this process last saw it: its newest block, and what its senders can still pay for."""

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from issuer import metrics
from issuer.chain import fees, store
from issuer.chain.gateway import EndpointStatus, Gateway, Head
from issuer.chain.rules import ChainProfile
from issuer.clock import now as clock_now
from issuer.db import Database

GWEI = 10**9
USUAL_CLAIM_GAS = 210_000  # a new identity with its first claim, in a batch of twenty: docs/contracts.md


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """`age` in seconds: how old the newest block is by this host's clock, so an unreachable node ages too."""

    chain_id: int
    head: int
    age: float


class ChainSight:
    """`look` asks the node; `seen` is what it said last, None before its first answer."""

    def __init__(
        self,
        db: Database,
        gateway: Gateway,
        *,
        chain_id: int,
        profile: ChainProfile,
        daily_fees_gwei: int | None = None,
        clock: Callable[[], datetime] = clock_now,
    ) -> None:
        self._db = db
        self._gateway = gateway
        self.chain_id = chain_id
        self._profile = profile
        self._daily_fees_gwei = daily_fees_gwei
        self._clock = clock
        self._head: Head | None = None

    @property
    def seen(self) -> Seen | None:
        if self._head is None:
            return None
        made = datetime.fromtimestamp(self._head.timestamp, UTC)
        age = max((self._clock() - made).total_seconds(), 0.0)
        return Seen(chain_id=self.chain_id, head=self._head.number, age=age)

    @property
    def endpoints(self) -> list[EndpointStatus]:
        """Each node of this chain, as it was when it was last spoken to."""
        return self._gateway.endpoints()

    async def look(self) -> None:
        """Raises `ChainError` without an answer."""
        head = self._head = await self._gateway.head()
        chain = str(self.chain_id)
        metrics.HEAD_BLOCK.labels(chain).set(head.number)
        price = fees.opening(
            base_fee=head.base_fee,
            suggested_tip=await self._gateway.suggested_tip(),
            min_tip=self._profile.min_tip,
            max_fee=self._profile.max_fee,
        )
        midnight = self._clock().replace(hour=0, minute=0, second=0, microsecond=0)
        async with self._db.read() as session:
            lanes = await store.lanes(session)
            spent = {lane.id: await store.spent_gwei(session, lane.id, midnight) for lane in lanes}
        for lane in lanes:
            if lane.chain_id == self.chain_id:
                balance = await self._gateway.balance(lane.sender)
                metrics.LANE_BALANCE.labels(chain, lane.id).set(balance / GWEI)
                if self._daily_fees_gwei is not None:
                    metrics.GAS_BUDGET.labels(chain, lane.id).set(spent[lane.id] / self._daily_fees_gwei)
                metrics.LANE_CLAIMS.labels(chain, lane.id).set(balance // (USUAL_CLAIM_GAS * price.max_fee))
