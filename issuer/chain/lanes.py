"""One lane: its lease, its nonces, and the order that never bends: sign, commit, send.

crash before the commit   nothing happened: the nonce is unused and the signed bytes are gone
crash after the commit    the stored bytes are sent again, unchanged, by whoever holds the lane next
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from itertools import accumulate

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from issuer import crashpoint, metrics
from issuer.chain import fees, store
from issuer.chain.fees import Fees
from issuer.chain.gateway import Gateway, Head
from issuer.chain.rules import ChainProfile, TxStatus
from issuer.chain.signer import Signer
from issuer.chain.store import InFlight, Lease
from issuer.chain.tables import Attempt, Lane, Transaction
from issuer.chain.transactions import Plan, Signed, sign
from issuer.clock import now as clock_now
from issuer.db import Database
from issuer.errors import LaneHeld, LaneLost
from issuer.ids import new_id

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=5)

# Called inside the SQL transaction that stores new transactions: link claims to them and move them, or raise.
Link = Callable[[AsyncSession, Sequence[Transaction]], Awaitable[None]]


class LaneKeeper:
    """Used by one task at a time. Raises `LaneLost` when another process took over, `LaneHeld` when it may not sign."""

    def __init__(
        self,
        db: Database,
        gateway: Gateway,
        sender: Signer,
        *,
        chain_id: int,
        profile: ChainProfile,
        clock: Callable[[], datetime] = clock_now,
    ) -> None:
        self._db = db
        self._gateway = gateway
        self._sender = sender
        self._clock = clock
        self.chain_id = chain_id
        self.profile = profile
        self._owner = f"{socket.gethostname()[:32]}-{os.getpid()}-{new_id('own')[-8:]}"
        self._lease: Lease | None = None
        self._renew_at = 0.0

    async def ensure(self) -> bool:
        """Hold the lane: take it, or renew before the lease runs out. False while another process has it."""
        time = asyncio.get_running_loop().time()
        if self._lease is not None and time < self._renew_at:
            return True
        try:
            if self._lease is None:
                self._lease = await self._take()
            else:
                async with self._db.write() as session:
                    await store.renew(session, self._lease, LEASE)
        except LaneLost:
            self._lease = None
            raise
        self._renew_at = time + LEASE.total_seconds() / 3
        return self._lease is not None

    async def release(self) -> None:
        """Let the next process start at once."""
        if self._lease is not None:
            lease, self._lease = self._lease, None
            async with self._db.write() as session:
                await store.release(session, lease)

    async def in_flight(self) -> InFlight:
        async with self._db.read() as session:
            return await store.in_flight(session, (await self._lane(session)).id)

    @property
    def sender(self) -> str:
        return self._sender.address

    async def next_nonce(self) -> int:
        """What `submit` will use, unless the lane is lost meanwhile."""
        async with self._db.read() as session:
            return (await self._lane(session)).next_nonce

    async def submit(self, plans: Sequence[Plan], head: Head, link: Link) -> None:
        """Give each plan the next nonce, sign them, commit them with what `link` writes, send them in order.

        If anything fails up to the commit, nothing was used up and nothing was sent. Plans at the end that the sender
        could not pay for are left out: `link` is given as many transactions as there will be, in the plans' order.
        """
        lease = self._held()
        nonce = await self.next_nonce()
        price = fees.opening(
            base_fee=head.base_fee,
            suggested_tip=await self._gateway.suggested_tip(),
            min_tip=self.profile.min_tip,
            max_fee=self.profile.max_fee,
        )
        paid = await self._affordable(lease, plans, price)
        signed = [
            await sign(self._sender, plan, chain_id=self.chain_id, nonce=nonce + place, fees=price)
            for place, plan in enumerate(paid)
        ]
        purpose = plans[0].purpose
        crashpoint.reached(f"{purpose}.signed")
        async with self._db.write() as session:
            await store.take_nonces(session, lease, nonce, len(paid))
            transactions = [self._row(lease, plan, nonce + place) for place, plan in enumerate(paid)]
            session.add_all(transactions)
            await session.flush()
            session.add_all(self._attempt(row.id, made) for row, made in zip(transactions, signed, strict=True))
            await link(session, transactions)
            crashpoint.reached(f"{purpose}.before_commit")
        crashpoint.reached(f"{purpose}.committed")
        await self._send("first", [made.raw for made in signed])
        crashpoint.reached(f"{purpose}.sent")

    async def resend(self, head: Head) -> None:
        """Push what is stored and not mined, lowest nonce first; raise the fee of a lowest one that cannot enter."""
        lease = self._held()
        async with self._db.read() as session:
            waiting = await store.transactions(session, lease.lane_id, TxStatus.SIGNED)
            attempts = await store.attempts(session, [transaction.id for transaction in waiting])
        if not waiting:
            return
        await self._check_nonce(lease, waiting)
        newest = attempts[waiting[0].id][-1]
        old = Fees(max_fee=newest.max_fee_per_gas, tip=newest.max_priority_fee_per_gas)
        if not fees.affordable(old, head.base_fee):
            await self._replace(lease, waiting[0], old, head)
        await self._send("rebroadcast", [attempts[transaction.id][-1].raw for transaction in waiting])

    async def _take(self) -> Lease | None:
        genesis = await self._gateway.genesis_hash()
        chain_nonce = await self._gateway.nonce(self._sender.address)
        async with self._db.write() as session:
            await store.remember_chain(session, self.chain_id, genesis, self._clock())
            lane = await store.lane_of(session, self.chain_id, self._sender.address)
            if lane is None:
                lane = await store.make_lane(session, self.chain_id, self._sender.address, chain_nonce)
            lease = await store.acquire(session, lane.id, self._owner, LEASE, alone=self._db.is_sqlite)
            if lease is not None:
                ahead = chain_nonce > lane.next_nonce
                reason = "the sender's nonce on chain is ahead of ours: another wallet, or a restored database"
                await store.hold(session, lease, reason if ahead else None)
        if lease is not None:
            log.info("lane_taken", chain_id=self.chain_id, lane=lease.lane_id)
        return lease

    async def _lane(self, session: AsyncSession) -> Lane:
        lane = await store.lane_of(session, self.chain_id, self._sender.address)
        if lane is None:
            raise LaneLost("the lane is not there yet")
        if lane.held_because is not None and not lane.held_because.startswith("balance"):
            raise LaneHeld(lane.held_because)
        if lane.paused_by is not None:
            raise LaneHeld(f"paused by {lane.paused_by}; `claimwright lane resume {lane.id}` lifts it")
        return lane

    async def _affordable(self, lease: Lease, plans: Sequence[Plan], price: Fees) -> Sequence[Plan]:
        """The leading plans that the sender can pay for beside what is on its way already.

        If that is not even the first, nothing is signed: the lane is held, and the hold lifts itself after a top-up.
        """
        balance = await self._gateway.balance(self._sender.address)
        async with self._db.read() as session:
            lane = await self._lane(session)
            held, spent = lane.held_because, (await store.in_flight(session, lane.id)).gas
        needs = [gas * price.max_fee for gas in accumulate((plan.gas_limit for plan in plans), initial=spent)][1:]
        paid = [plan for plan, need in zip(plans, needs, strict=True) if need <= balance]
        reason = None if paid else f"balance of {self._sender.address} is under {needs[0]} wei; top it up"
        if held != reason and (held is None or reason is None):
            async with self._db.write() as session:
                await store.hold(session, lease, reason)
        if reason is not None:
            raise LaneHeld(reason)
        return paid

    async def _check_nonce(self, lease: Lease, waiting: Sequence[Transaction]) -> None:
        """A nonce that the chain has used up without one of our hashes belongs to somebody else: stop signing."""
        # Of one node: the nonce of one and the receipts of another, a block behind, would accuse a stranger.
        node, _ = await self._gateway.pinned()
        used = await node.nonce(self._sender.address)
        ours = [transaction for transaction in waiting if transaction.nonce < used]
        if not ours:
            return
        async with self._db.read() as session:
            attempts = await store.attempts(session, [transaction.id for transaction in ours])
        hashes = [attempt.hash for rows in attempts.values() for attempt in rows]
        found = {receipt.tx_hash for receipt in await node.receipts(hashes) if receipt is not None}
        for transaction in ours:
            if not found & {attempt.hash for attempt in attempts[transaction.id]}:
                reason = f"nonce {transaction.nonce} was used by a transaction that is not ours"
                async with self._db.write() as session:
                    await store.hold(session, lease, reason)
                raise LaneHeld(reason)

    async def _replace(self, lease: Lease, transaction: Transaction, old: Fees, head: Head) -> None:
        """Another attempt at the same nonce and calldata with both fees raised; kept beside the older ones."""
        tip = await self._gateway.suggested_tip()
        price = fees.bump(old, base_fee=head.base_fee, suggested_tip=tip, max_fee=self.profile.max_fee)
        if price is None:
            log.warning("fee_cap_reached", chain_id=self.chain_id, nonce=transaction.nonce)
            return
        plan = Plan(
            purpose=transaction.purpose,
            recipient=transaction.recipient,
            calldata=transaction.calldata,
            gas_limit=transaction.gas_limit,
        )
        signed = await sign(self._sender, plan, chain_id=self.chain_id, nonce=transaction.nonce, fees=price)
        crashpoint.reached("bump.signed")
        async with self._db.write() as session:
            await store.renew(session, lease, LEASE)
            session.add(self._attempt(transaction.id, signed))
            crashpoint.reached("bump.before_commit")
        crashpoint.reached("bump.committed")
        await self._send("bump", [signed.raw])
        crashpoint.reached("bump.sent")

    async def _send(self, kind: str, raw: list[bytes]) -> None:
        """Every answer but none is fine: the receipt alone says what happened (invariant I10)."""
        metrics.ATTEMPTS.labels(self.chain_id, self._held().lane_id, kind).inc(len(raw))
        for outcome in await self._gateway.send(raw):
            metrics.SENDS.labels(self.chain_id, outcome.result).inc()
            log.info("sent", chain_id=self.chain_id, result=str(outcome.result))

    def _held(self) -> Lease:
        if self._lease is None:
            raise LaneLost("the lane is not held")
        return self._lease

    def _row(self, lease: Lease, plan: Plan, nonce: int) -> Transaction:
        at = self._clock()
        return Transaction(
            id=new_id("txn"),
            lane_id=lease.lane_id,
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

    def _attempt(self, transaction_id: str, signed: Signed) -> Attempt:
        return Attempt(
            id=new_id("att"),
            transaction_id=transaction_id,
            hash=signed.hash,
            raw=signed.raw,
            max_fee_per_gas=signed.fees.max_fee,
            max_priority_fee_per_gas=signed.fees.tip,
            signed_at=self._clock(),
        )
