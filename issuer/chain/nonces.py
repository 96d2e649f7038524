"""A lane's nonces against the chain's: those that a stranger used, and those that nothing of ours fills any more.

A nonce that somebody else used holds the lane. Only when the block that shows it is final is our transaction dead, and
only then may what it carried be signed again on another nonce: before, both could be mined (invariant I4).
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from issuer import metrics
from issuer.chain import fees, leases, rules, store
from issuer.chain.gateway import Head
from issuer.chain.lanes import LaneKeeper
from issuer.chain.reads import Reads
from issuer.chain.rules import OPEN, Hold, TxStatus
from issuer.chain.tables import Attempt, Lane, Transaction
from issuer.chain.transactions import noop
from issuer.chain.watcher import Fate, Settlement

log = structlog.get_logger(__name__)

MOST_HOLES = 32  # filled in one look


class Look(msgspec.Struct, kw_only=True):
    """One look at a lane: what is unmined here, and by one node the chain's next `nonce` and a block not before it."""

    lane: Lane
    unmined: Sequence[Transaction]
    attempts: dict[str, list[Attempt]]
    node: Reads
    nonce: int
    head: Head

    @property
    def passed(self) -> list[Transaction]:
        """The chain has used up their nonces."""
        return [one for one in self.unmined if one.nonce < self.nonce]

    @property
    def waiting(self) -> list[Transaction]:
        """Lowest nonce first."""
        return [one for one in self.unmined if one.nonce >= self.nonce]

    def hashes(self, transactions: Sequence[Transaction]) -> list[str]:
        return [attempt.hash for transaction in transactions for attempt in self.attempts[transaction.id]]


class Evidence(msgspec.Struct, frozen=True):
    """At block `head` the chain's next nonce for the sender was `nonce` or higher."""

    head: Head
    nonce: int


class Nonces:
    """One lane's. Used by the task that drives the lane."""

    def __init__(self, lane: LaneKeeper, settlement: Settlement) -> None:
        self._lane = lane
        self._settlement = settlement
        self._evidence: Evidence | None = None

    async def compare(self, look: Look) -> None:
        """Hold the lane for what a stranger did, give up what is lost for ever, and go on when all is right again."""
        await self._adopt(look)
        strange = await self._not_ours(look)
        if not strange:
            self._evidence = None
            if look.lane.hold == Hold.NONCE_USED:
                await self._lane.hold(look.lane, None)
            return
        if look.lane.hold != Hold.NONCE_AHEAD:
            reason = f"nonce {strange[0].nonce} was used by a transaction that is not ours; waiting until that is final"
            await self._lane.hold(look.lane, Hold.NONCE_USED, reason)
        seen = self._evidence = self._evidence or Evidence(look.head, look.nonce)
        if await self._is_final(look, seen.head):
            await self._bury(look, [one for one in strange if one.nonce < seen.nonce], seen)

    async def fill(self, look: Look) -> list[bytes]:
        """Bytes for nonces below the waiting ones that the chain has not seen: what was mined there once, or a NOOP.

        Such a hole comes from a reorg; nothing behind it can be mined while it is there.
        """
        waiting = look.waiting
        holes = range(look.nonce, waiting[0].nonce if waiting else look.lane.next_nonce)[:MOST_HOLES]
        if not holes:
            return []
        async with self._lane.db.read() as session:
            rows = await store.with_nonces(session, look.lane.id, holes)
            attempts = await store.attempts(session, [row.id for row in rows.values()])
        return [await self._filling(look, nonce, rows.get(nonce), attempts) for nonce in holes]

    async def _adopt(self, look: Look) -> None:
        """A lane that is held because the chain is ahead goes on when a person says so, or when it no longer is."""
        lane = look.lane
        if lane.hold != Hold.NONCE_AHEAD or (look.nonce > lane.next_nonce and not lane.adopt_nonce):
            return
        nonce = max(look.nonce, lane.next_nonce)
        async with self._lane.db.write() as session:
            await self._set(session, lane, nonce)
        log.warning("nonce_adopted", chain_id=self._lane.chain_id, lane=lane.id, nonce=nonce)
        lane.next_nonce, lane.hold, lane.held_because, lane.adopt_nonce = nonce, None, None, False

    async def _set(self, session: AsyncSession, lane: Lane, nonce: int) -> None:
        free: dict[str, Any] = {"hold": None, "held_because": None, "held_since": None, "adopt_nonce": False}
        if nonce > lane.next_nonce:
            free["adopted"] = [*(lane.adopted or ()), lane.next_nonce, nonce]
        unchanged = Lane.next_nonce == lane.next_nonce
        await leases.fenced(session, self._lane.lease(), unchanged, next_nonce=nonce, **free)

    async def _not_ours(self, look: Look) -> list[Transaction]:
        """Those passed of which no attempt is mined; the others will be found by the watcher."""
        passed = look.passed
        if not passed:
            return []
        found = await look.node.mined(look.hashes(passed))
        return [one for one in passed if not found.intersection(look.hashes([one]))]

    async def _is_final(self, look: Look, block: Head) -> bool:
        if self._lane.profile.uses_finalized:
            return (await look.node.finalized()).number >= block.number
        return rules.confirmations(look.head.number, block.number) >= self._lane.profile.depth

    async def _bury(self, look: Look, strange: Sequence[Transaction], seen: Evidence) -> None:
        """The proof: the block is still the one that was seen, and by the same node none of our attempts is mined."""
        block_hash, receipts = await look.node.receipts_at(seen.head.number, look.hashes(strange))
        if block_hash != seen.head.hash:
            self._evidence = None  # a reorg: seen anew at the next look, or gone
            return
        if any(receipts):
            return
        nonce = max(look.lane.next_nonce, seen.nonce)
        async with self._lane.db.write() as session:
            at = self._lane.clock()
            dead = await store.locked(session, [one.id for one in strange])
            for transaction in dead:
                transaction.status = rules.move(TxStatus(transaction.status), TxStatus.DEAD)
                metrics.FINALIZED.labels(transaction.chain_id, "superseded").inc()
                transaction.updated_at = at
            await self._settlement.settle(session, [Fate.of_dead(transaction) for transaction in dead], at)
            await self._set(session, look.lane, nonce)
        self._evidence = None
        for transaction in dead:
            log.error("nonce_lost", chain_id=self._lane.chain_id, lane=look.lane.id, nonce=transaction.nonce)
        look.lane.next_nonce, look.lane.hold, look.lane.held_because = nonce, None, None

    async def _filling(
        self, look: Look, nonce: int, row: Transaction | None, attempts: dict[str, list[Attempt]]
    ) -> bytes:
        if row is not None and row.status in OPEN | {TxStatus.FINAL}:
            if row.status == TxStatus.FINAL:
                metrics.FINAL_TAKEN_BACK.labels(self._lane.chain_id).inc()
                log.error("final_block_taken_back", chain_id=self._lane.chain_id, nonce=nonce)
            return await self._raw(_mined_form(row, attempts[row.id]))
        if row is not None and attempts[row.id][-1].noop:
            return await self._raw(attempts[row.id][-1])
        return await self._noop(look, nonce, row)

    async def _raw(self, attempt: Attempt) -> bytes:
        async with self._lane.db.read() as session:
            (raw,) = await store.raw(session, [attempt])
            return raw

    async def _noop(self, look: Look, nonce: int, row: Transaction | None) -> bytes:
        """For a nonce that was a stranger's, or that a restored database does not know."""
        profile = self._lane.profile
        price = fees.opening(
            base_fee=look.head.base_fee,
            suggested_tip=await self._lane.tip(),
            min_tip=profile.min_tip,
            max_fee=profile.max_fee,
        )
        plan = noop(self._lane.sender, profile.noop_gas)
        signed = await self._lane.sign(plan, nonce, price)
        async with self._lane.db.write() as session:
            await leases.renew(session, self._lane.lease())
            if row is None:
                row = self._lane.new_transaction(plan, nonce)
                session.add(row)
                await session.flush()
            session.add(self._lane.new_attempt(row.id, signed, noop=True))
        self._lane.promise(plan.gas_limit * price.max_fee)
        log.warning("nonce_filled", chain_id=self._lane.chain_id, nonce=nonce)
        return signed.raw


def _mined_form(transaction: Transaction, attempts: list[Attempt]) -> Attempt:
    """What was mined once is what is wanted again; else the newest."""
    return next((one for one in attempts if one.hash == transaction.mined_hash), attempts[-1])
