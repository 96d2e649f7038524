"""One lane: its lease, its nonces, and the order that never bends: sign, commit, send.

crash before the commit   nothing happened: the nonce is unused and the signed bytes are gone
crash after the commit    the stored bytes are sent again, unchanged, by whoever holds the lane next

What happens to a transaction after it was first sent is `upkeep.py`'s.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NoReturn

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from issuer import crashpoint, metrics
from issuer.chain import fees, leases, rules, store
from issuer.chain.errors import SendOutcome, SendResult
from issuer.chain.fees import Fees, Purse
from issuer.chain.gateway import Gateway, Head
from issuer.chain.leases import Lease, LeaseKeeper
from issuer.chain.rules import ALL, GWEI, ChainProfile, Hold, Share, TxStatus
from issuer.chain.signer import Signer
from issuer.chain.store import InFlight
from issuer.chain.tables import Attempt, Lane, Transaction
from issuer.chain.transactions import Plan, Signed, sign
from issuer.clock import now as clock_now
from issuer.db import Database
from issuer.errors import LaneHeld, SignerFailed
from issuer.ids import new_id

log = structlog.get_logger(__name__)

# Called inside the SQL transaction that stores new transactions: link claims to them and move them, or raise.
Link = Callable[[AsyncSession, Sequence[Transaction]], Awaitable[None]]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator allows a lane. `daily_cap` in wei a day (UTC), None for any amount.

    `reserve_gas`: what issues leave for revocations, at the fee of the moment, on the address `reserve_at` (EIP-55), or
    on this lane's own.
    """

    daily_cap: int | None = None
    reserve_gas: int = 0
    reserve_at: str | None = None


NO_LIMITS = Limits()


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """What a node said of prices and funds: the market's tip in wei per gas, balances in wei.

    `committed`: the most that the lane's unmined transactions could still cost then. `promised`: what it had ever
    promised before that was asked, so that what it promised since is told by the difference.
    """

    tip: int
    balance: int
    reserve_balance: int | None
    committed: int
    promised: int


class LaneKeeper:
    """One task at a time commits; what is asked ahead of it and sent behind it may run beside it.

    Raises `LaneLost` when another process took over, `LaneHeld` when it may not sign.
    """

    def __init__(
        self,
        db: Database,
        gateway: Gateway,
        sender: Signer,
        *,
        chain_id: int,
        profile: ChainProfile,
        share: Share = ALL,
        limits: Limits = NO_LIMITS,
        clock: Callable[[], datetime] = clock_now,
    ) -> None:
        self.db = db
        self.gateway = gateway
        self.chain_id = chain_id
        self.profile = profile
        self.share = share
        self.limits = limits
        self.clock = clock
        self.restless = False  # a node's answer asks for a look at what is unmined before its time
        self._signer = sender
        self._promised = 0  # the most that all it ever committed could cost, in wei
        self._turn = asyncio.Lock()  # what was committed first is sent first
        self._failed: str | None = None  # whose signature was no use when it was last asked for
        self._lease = LeaseKeeper(db, self._take)

    @property
    def sender(self) -> str:
        return self._signer.address

    async def ensure(self) -> bool:
        """Hold the lane: take it, or renew before the lease runs out. False while another process has it."""
        return await self._lease.ensure()

    async def renew(self) -> None:
        """Keep the lane, if it is held, through a step that takes longer than its lease; for a task of its own."""
        await self._lease.renew()

    async def release(self) -> None:
        """Let the next process start at once."""
        await self._lease.release()

    def lease(self) -> Lease:
        """Raises `LaneLost` when it is not held."""
        return self._lease.held()

    async def in_flight(self) -> InFlight:
        async with self.db.read() as session:
            return await store.in_flight(session, str(self.lease().key))

    async def next_nonce(self) -> int:
        """What `submit` will use, unless the lane is lost meanwhile."""
        async with self.db.read() as session:
            return (await self.row(session)).next_nonce

    async def row(self, session: AsyncSession) -> Lane:
        lane = await session.get(Lane, self.lease().key, populate_existing=True)
        assert lane is not None  # leased, and never deleted
        return lane

    async def submit(self, plans: Sequence[Plan], head: Head, link: Link) -> None:
        """`commit`, then send in the order of their nonces."""
        await self.send_first(await self.commit(plans, head, link), plans[0].purpose)

    async def commit(self, plans: Sequence[Plan], head: Head, link: Link, quoted: Quote | None = None) -> list[bytes]:
        """Give each plan the next nonce, sign them, commit them with what `link` writes. They may be sent from then on.

        `quoted` spares the question to a node: what was spent since only made it smaller. It holds no lane.
        If anything fails up to the commit, nothing was used up and nothing was sent. Plans at the end that the lane
        may not pay for are left out: `link` is given as many transactions as there will be, in the plans' order.
        """
        await self.ensure()  # what led here, remote signatures above all, may have taken most of the lease
        lease, purpose = self.lease(), plans[0].purpose
        lane = await self._read_row()
        self._may_sign(lane, purpose)
        price, purse = await self._priced(lane, head, quoted or await self.quote())
        paid = _payable(plans, price, purse)
        if quoted is not None and len(paid) < len(plans):
            price, purse = await self._priced(lane, head, await self.quote())
            paid = _payable(plans, price, purse)
        if not paid:
            await self._hold_for_money(lane, plans[0], price, purse)
        if lane.hold in rules.OF_MONEY and purpose not in rules.URGENT:
            await self.hold(lane, None)
        nonce = lane.next_nonce
        signed = [await self.sign(plan, nonce + place, price) for place, plan in enumerate(paid)]
        crashpoint.reached(f"{purpose}.signed")
        async with self.db.write() as session:
            await store.take_nonces(session, lease, nonce, len(paid))
            transactions = [self.new_transaction(plan, nonce + place) for place, plan in enumerate(paid)]
            session.add_all(transactions)
            await session.flush()
            session.add_all(self.new_attempt(row.id, made) for row, made in zip(transactions, signed, strict=True))
            await link(session, transactions)
            crashpoint.reached(f"{purpose}.before_commit")
        self.promise(sum(plan.gas_limit * price.max_fee for plan in paid))
        crashpoint.reached(f"{purpose}.committed")
        return [made.raw for made in signed]

    async def send_first(self, raw: list[bytes], purpose: str) -> None:
        """What was committed, for the first time."""
        await self.send("first", raw)
        crashpoint.reached(f"{purpose}.sent")

    async def hold(self, lane: Lane, hold: Hold | None, reason: str | None = None) -> None:
        """Say why nothing new is signed here, or that it is again. Written, and told in the log, when it changes."""
        if (lane.hold, lane.held_because) == (hold, reason):
            return
        if hold is None:
            log.info("lane_free_again", chain_id=self.chain_id, lane=lane.id, reason=str(lane.hold))
        elif hold != lane.hold:
            log.error("lane_held", chain_id=self.chain_id, lane=lane.id, reason=reason, status=str(hold))
        since = None if hold is None else self.clock()
        async with self.db.write() as session:
            await leases.fenced(session, self.lease(), hold=hold, held_because=reason, held_since=since)
        lane.hold, lane.held_because = hold, reason

    async def tip(self) -> int:
        """What the market asks for now, in wei per gas."""
        rewards = await self.gateway.tips(self.profile.tip_percentile)
        return fees.market_tip(rewards, min_tip=self.profile.min_tip, max_tip=self.profile.max_tip)

    async def quote(self) -> Quote:
        """What the market asks now, and what this lane has for it."""
        promised = self._promised  # first: what is promised from here on counts, even if the next line knows it
        committed = (await self.in_flight()).cost
        reserve_at = self.limits.reserve_at
        elsewhere = () if reserve_at in (None, self.sender) else (reserve_at,)
        tip, balance, *reserve = await asyncio.gather(
            self.tip(), *(self.gateway.balance(address) for address in (self.sender, *elsewhere))
        )
        return Quote(
            tip=tip,
            balance=balance,
            reserve_balance=reserve[0] if reserve else None,
            committed=committed,
            promised=promised,
        )

    async def purse(self, lane: Lane, price: Fees, quote: Quote) -> Purse:
        """What the lane has for one more transaction at this price."""
        spent = 0
        if self.limits.daily_cap is not None:
            midnight = self.clock().replace(hour=0, minute=0, second=0, microsecond=0)
            async with self.db.read() as session:
                spent = await store.spent_gwei(session, lane.id, midnight) * GWEI
        return Purse(
            balance=quote.balance,
            committed=quote.committed + self._promised - quote.promised,
            reserve=self.limits.reserve_gas * price.max_fee,
            reserve_balance=quote.reserve_balance,
            spent=spent,
            daily_cap=self.limits.daily_cap,
        )

    def promise(self, cost: int) -> None:
        """So much more may be spent, in wei: to be called once it is committed."""
        self._promised += cost

    async def sign(self, plan: Plan, nonce: int, price: Fees) -> Signed:
        async with self.signatures_of(self.sender):
            return await sign(self._signer, plan, chain_id=self.chain_id, nonce=nonce, fees=price)

    @asynccontextmanager
    async def signatures_of(self, address: str, *, wanted: bool = True) -> AsyncIterator[None]:
        """All that is signed for this lane is signed in such a block. Raises `LaneHeld` for `SignerFailed`.

        A key that fails holds the lane by name; the next block in which it signs again ends that. The hold keeps
        nothing back, for only by asking can it end: what does not need the key goes on. `wanted`: is it asked at all?
        If not, nothing is learnt of it.
        """
        try:
            yield
        except SignerFailed as error:
            self._failed = address
            await self.hold(await self._read_row(), Hold.SIGNER, error.message)
            raise LaneHeld(error.message) from None
        if wanted and self._failed == address:
            self._failed = None
            lane = await self._read_row()
            if lane.hold == Hold.SIGNER:
                await self.hold(lane, None)

    async def _read_row(self) -> Lane:
        async with self.db.read() as session:
            return await self.row(session)

    async def send(self, kind: str, raw: list[bytes]) -> list[SendOutcome]:
        """Every answer but none is fine: the receipt alone says what happened (invariant I10)."""
        metrics.ATTEMPTS.labels(self.chain_id, self.lease().key, kind).inc(len(raw))
        async with self._turn:
            outcomes = await self.gateway.send(raw)
        for outcome in outcomes:
            metrics.SENDS.labels(self.chain_id, outcome.result).inc()
            log.info("sent", chain_id=self.chain_id, result=str(outcome.result))
        if kind == "first" and any(outcome.result is SendResult.NONCE_LOW for outcome in outcomes):
            self.restless = True  # somebody may have used it: that is looked into at once
        return outcomes

    def new_transaction(self, plan: Plan, nonce: int) -> Transaction:
        at = self.clock()
        return Transaction(
            id=new_id("txn"),
            lane_id=str(self.lease().key),
            chain_id=self.chain_id,
            nonce=nonce,
            purpose=plan.purpose,
            recipient=plan.recipient,
            calldata=plan.calldata,
            gas_limit=plan.gas_limit,
            status=TxStatus.SIGNED,
            created_at=at,
            updated_at=at,
        )

    def new_attempt(self, transaction_id: str, signed: Signed, *, noop: bool = False) -> Attempt:
        return Attempt(
            id=new_id("att"),
            transaction_id=transaction_id,
            hash=signed.hash,
            raw=signed.raw,
            max_fee_per_gas=signed.fees.max_fee,
            max_priority_fee_per_gas=signed.fees.tip,
            noop=noop,
            signed_at=self.clock(),
        )

    def _may_sign(self, lane: Lane, purpose: str) -> None:
        if lane.paused_by is not None:
            raise LaneHeld(f"paused by {lane.paused_by}; `claimwright lane resume {lane.id}` lifts it")
        if rules.blocks(lane.hold, purpose):
            raise LaneHeld(lane.held_because or str(lane.hold))

    async def _priced(self, lane: Lane, head: Head, quote: Quote) -> tuple[Fees, Purse]:
        """What a new transaction offers, and what the lane has for it."""
        price = fees.opening(
            base_fee=head.base_fee,
            suggested_tip=quote.tip,
            min_tip=self.profile.min_tip,
            max_fee=self.profile.max_fee,
        )
        return price, await self.purse(lane, price, quote)

    async def _hold_for_money(self, lane: Lane, plan: Plan, price: Fees, purse: Purse) -> NoReturn:
        """Nothing is signed, and the lane says why; the hold lifts itself. Raises `LaneHeld`."""
        cost = plan.gas_limit * price.max_fee
        hold = fees.refusal(purse, cost, plan.purpose)
        assert hold is not None  # or it would be paid
        reason = _in_words(hold, self.sender, self.limits.reserve_at or self.sender, purse, cost)
        await self.hold(lane, hold, reason)
        raise LaneHeld(reason)

    async def _take(self, owner: str) -> Lease | None:
        """Take the lane, and compare its next nonce with the chain's before anything is signed."""
        alone = self.db.is_sqlite
        async with self.db.read() as session:
            lane = await store.lane_of(session, self.chain_id, self.sender)
            if lane is not None and not await leases.free(session, Lane, lane.id, alone=alone):
                return None
        genesis = await self.gateway.genesis_hash()
        nonce = await self.gateway.nonce(self.sender)
        async with self.db.write() as session:
            await store.remember_chain(session, self.chain_id, genesis, self.clock())
            lane = await store.lane_of(session, self.chain_id, self.sender)
            if lane is None:
                lane = await store.make_lane(session, self.chain_id, self.sender, nonce)
            lease = await leases.acquire(session, Lane, lane.id, owner, alone=alone)
            if lease is None:
                return None
            hold, reason = _at_start(lane, nonce)
            since = lane.held_since if hold == lane.hold else self.clock()
            await leases.fenced(
                session, lease, hold=hold, held_because=reason, held_since=None if hold is None else since
            )
        log.info("lane_taken", chain_id=self.chain_id, lane=lease.key)
        if hold == Hold.NONCE_AHEAD:
            log.error("lane_held", chain_id=self.chain_id, lane=lease.key, reason=reason, status=str(hold))
        return lease


def _payable(plans: Sequence[Plan], price: Fees, purse: Purse) -> Sequence[Plan]:
    """The leading plans that the sender can pay beside what is on its way and what is reserved."""
    for place, plan in enumerate(plans):
        cost = plan.gas_limit * price.max_fee
        if fees.refusal(purse, cost, plan.purpose) is not None:
            return plans[:place]
        purse = msgspec.structs.replace(purse, committed=purse.committed + cost)
    return plans


def _at_start(lane: Lane, nonce: int) -> tuple[Hold | None, str | None]:
    """A lane is taken after a start, a restored backup or a lost lease: what was known of it may be old."""
    if nonce > lane.next_nonce:
        return Hold.NONCE_AHEAD, (
            f"the chain has seen {nonce} transactions of {lane.sender} and the database {lane.next_nonce}: another "
            "wallet, or a restored database"
        )
    # What money holds is found again with the next transaction, a nonce that somebody used by the next look.
    return None, None


def _in_words(hold: Hold, sender: str, reserve_at: str, purse: Purse, cost: int) -> str:
    if hold == Hold.BALANCE:
        return f"the balance of {sender} is under {purse.committed + cost} wei; top it up"
    if hold == Hold.RESERVE:
        needed = purse.reserve + (purse.committed + cost if purse.reserve_balance is None else 0)
        return f"{reserve_at} would have less than {purse.reserve} wei for revocations; it needs {needed}: top it up"
    return f"the daily cap of {(purse.daily_cap or 0) // GWEI} gwei is reached; it ends at midnight UTC"
