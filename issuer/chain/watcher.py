"""Watch our transactions on one chain: mined, final at depth, or taken back by a reorg. Mined is never final."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Protocol

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from issuer import crashpoint, metrics
from issuer.chain import leases, rules, store
from issuer.chain.gateway import Gateway, Head, Receipt
from issuer.chain.leases import Lease, LeaseKeeper
from issuer.chain.reads import Reads
from issuer.chain.rules import GWEI, OPEN, ChainProfile, TxStatus
from issuer.chain.store import Open
from issuer.chain.tables import Chain, Transaction
from issuer.clock import now as clock_now
from issuer.db import EPOCH, Database

log = structlog.get_logger(__name__)

JUDGED_TOGETHER = 16  # transactions to one SQL transaction: SQLite's one write lock is not held for long


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What one look found out about a transaction. `receipt` is None while no block holds it.

    `unmined`: a reorg took its block; `mined`: it is in a block now and was not; `final`: deep enough; `dead`:
    a stranger used its nonce, finally.
    """

    transaction: Transaction
    receipt: Receipt | None
    unmined: bool
    mined: bool
    final: bool
    dead: bool = False

    @classmethod
    def of_dead(cls, transaction: Transaction) -> "Fate":
        return cls(transaction=transaction, receipt=None, unmined=False, mined=False, final=False, dead=True)


class Settlement(Protocol):
    """What the fates of transactions mean for what they carry. Called inside the watcher's SQL transaction."""

    async def settle(self, session: AsyncSession, fates: Sequence[Fate], at: datetime) -> None: ...


class Sighting(msgspec.Struct, frozen=True):
    """What the chain says of one transaction now. `canonical`: its block is still the one at that height."""

    receipt: Receipt | None
    canonical: bool


class _Look(msgspec.Struct):
    """One look at the chain, all by one node: its head, and the number of the newest block that stays."""

    node: Reads
    head: Head
    last_final: int
    blocks: dict[int, str | None] = {}  # the hashes that were asked for

    async def know(self, numbers: Iterable[int]) -> None:
        """Ask for the hashes of these blocks, if they are not known yet."""
        unknown = sorted(set(numbers) - self.blocks.keys())
        if unknown:
            self.blocks |= zip(unknown, await self.node.block_hashes(unknown), strict=True)

    def may_tell(self, one: Open) -> bool:
        """Is anything to be found out? Not of one whose block is still the same and not final yet."""
        if one.status != TxStatus.MINED or one.block_number is None:
            return True
        return one.block_number <= self.last_final or self.blocks[one.block_number] != one.block_hash

    def is_later(self, sighting: Sighting) -> bool:
        """It is in a block that came after the head: whether that one is final is the next look's to say."""
        return sighting.receipt is not None and sighting.receipt.block_number > self.head.number


class Watcher:
    def __init__(
        self,
        db: Database,
        gateway: Gateway,
        settlement: Settlement,
        *,
        chain_id: int,
        profile: ChainProfile,
        clock: Callable[[], datetime] = clock_now,
    ) -> None:
        self._db = db
        self._gateway = gateway
        self._settlement = settlement
        self._chain_id = chain_id
        self._profile = profile
        self._clock = clock
        # Nothing new is in a block that was looked at; it is looked at again only in case the node lagged behind it.
        self._seen = ""
        self._again_at = EPOCH
        self._behind_since: datetime | None = None
        self._lease = LeaseKeeper(db, self._take)

    async def ensure(self) -> bool:
        """Be the one that watches this chain: one process does, and another takes over when it is gone."""
        return await self._lease.ensure()

    async def release(self) -> None:
        """Let the next process watch at once."""
        await self._lease.release()

    async def unfinished(self) -> int:
        """How many transactions are not final, by the tables alone."""
        async with self._db.read() as session:
            return len(await store.open_transactions(session, self._chain_id))

    async def look(self) -> int:
        """One look at every transaction that is not final. Returns how many still are not."""
        async with self._db.read() as session:
            watched = await store.open_transactions(session, self._chain_id)
            if not watched:
                return 0
            known = await session.get(Chain, self._chain_id)
        node, head = await self._gateway.pinned()
        if head.hash == self._seen and self._clock() < self._again_at:
            return len(watched)
        if known is not None and await self._is_behind(node, head, known):
            return len(watched)
        await self._note(head)
        look = _Look(node, head, await self._last_final(node, head))
        await look.know(one.block_number for one in watched if one.block_number is not None)
        done = 0
        async with aclosing(self._sightings(look, [one for one in watched if look.may_tell(one)])) as sighted:
            async for several, sightings in sighted:
                later = {one.id for one in several if look.is_later(sightings[one.id])}
                done += await self._look_at([one for one in several if one.id not in later], sightings, look)
                if later:
                    return len(watched) - done  # and the next look begins at once, with a newer head
        self._seen, self._again_at = head.hash, self._clock() + timedelta(seconds=self._profile.block_seconds)
        return len(watched) - done

    async def _sightings(
        self, look: _Look, watched: Sequence[Open]
    ) -> AsyncGenerator[tuple[Sequence[Open], dict[str, Sighting]]]:
        """Some at a time, for the receipts of all at once would fill the memory; the next are asked for meanwhile."""
        lists = [watched[start : start + JUDGED_TOGETHER] for start in range(0, len(watched), JUDGED_TOGETHER)]
        asking: asyncio.Task[dict[str, Sighting]] | None = None
        try:
            for place, several in enumerate(lists):
                sightings = await (asking or self._sight(look, several))
                behind = lists[place + 1 : place + 2]
                asking = asyncio.create_task(self._sight(look, behind[0])) if behind else None
                yield several, sightings
        finally:
            if asking is not None:
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)  # what it met is nobody's news any more

    async def _look_at(self, watched: Sequence[Open], sightings: Mapping[str, Sighting], look: _Look) -> int:
        """Move those of which something was sighted. Returns how many are final now."""
        touched = [one.id for one in watched if sightings[one.id].receipt or one.status == TxStatus.MINED]
        if not touched:
            return 0
        crashpoint.reached("receipt.seen")
        async with self._db.write() as session:
            done = await self._judge(session, touched, sightings, look)
            crashpoint.reached("receipt.before_commit")
        crashpoint.reached("receipt.committed")
        return done

    async def _take(self, owner: str) -> Lease | None:
        alone = self._db.is_sqlite
        async with self._db.read() as session:
            known = await session.get(Chain, self._chain_id)
            if known is not None and not await leases.free(session, Chain, self._chain_id, alone=alone):
                return None
        genesis = await self._gateway.genesis_hash()
        async with self._db.write() as session:
            await store.remember_chain(session, self._chain_id, genesis, self._clock())
            await session.flush()
            return await leases.acquire(session, Chain, self._chain_id, owner, alone=alone)

    async def _is_behind(self, node: Reads, head: Head, known: Chain) -> bool:
        """Is this head an earlier one of the chain that was seen already? Nothing moves back for a slow node's sake.

        A lower head that stays is believed in the end: a chain may be wound back, and un-mining only sends stored bytes
        again. Another hash at the height that was seen is a reorg, whoever saw it.
        """
        if known.head_number is None or head.number >= known.head_number:
            self._behind_since = None
            if known.head_number is not None and await node.block_hash(known.head_number) != known.head_hash:
                log.warning("reorg_seen", chain_id=self._chain_id, count=head.number - known.head_number)
            return False
        now = self._clock()
        self._behind_since = self._behind_since or now
        if (now - self._behind_since).total_seconds() >= self._profile.lag_seconds:
            log.warning("lower_head_believed", chain_id=self._chain_id, count=known.head_number - head.number)
            return False
        return True

    async def _note(self, head: Head) -> None:
        async with self._db.write() as session:
            await store.note_head(session, self._chain_id, head, self._clock())

    async def _last_final(self, node: Reads, head: Head) -> int:
        """The number of the newest block that stays."""
        if self._profile.uses_finalized:
            return (await node.finalized()).number
        return head.number - self._profile.depth + 1

    async def _sight(self, look: _Look, watched: Sequence[Open]) -> dict[str, Sighting]:
        """Receipts are looked for under every attempt's hash: the old one may be the one that was mined."""
        hashes = [attempt_hash for one in watched for attempt_hash in one.hashes]
        found = {receipt.tx_hash: receipt for receipt in await look.node.receipts(hashes) if receipt is not None}
        await look.know(receipt.block_number for receipt in found.values())
        sightings = {}
        for one in watched:
            seen = next((found[attempt_hash] for attempt_hash in one.hashes if attempt_hash in found), None)
            canonical = seen is not None and look.blocks[seen.block_number] == seen.block_hash
            sightings[one.id] = Sighting(seen, canonical)
        return sightings

    async def _judge(
        self, session: AsyncSession, transaction_ids: Sequence[str], sightings: Mapping[str, Sighting], look: _Look
    ) -> int:
        """Move transactions by what was sighted. Returns how many are final now."""
        at = self._clock()
        if self._lease.is_held:  # a watcher that slept past its lease changes nothing
            await leases.fenced(session, self._lease.held(), head_at=at)
        fates = []
        for transaction in await store.locked(session, transaction_ids):
            if transaction.status in OPEN:
                fates.append(self._fate(transaction, sightings[transaction.id], look, at))
        await self._settlement.settle(session, fates, at)
        return len(transaction_ids) - sum(not fate.final for fate in fates)

    def _fate(self, transaction: Transaction, sighting: Sighting, look: _Look, at: datetime) -> Fate:
        receipt = sighting.receipt if sighting.canonical else None
        gone = receipt is None or receipt.block_hash != transaction.block_hash
        unmined = transaction.status == TxStatus.MINED and gone
        if unmined:
            assert transaction.block_number is not None  # a mined one has it
            metrics.REORGS.labels(self._chain_id).inc()
            metrics.REORG_DEPTH.labels(self._chain_id).observe(look.head.number - transaction.block_number + 1)
            self._move(transaction, TxStatus.SIGNED, at, None)
            log.warning("transaction_unmined", chain_id=self._chain_id, nonce=transaction.nonce)
        mined = receipt is not None and transaction.status == TxStatus.SIGNED
        if mined:
            self._move(transaction, TxStatus.MINED, at, receipt)
        final = receipt is not None and receipt.block_number <= look.last_final
        if final:
            self._move(transaction, TxStatus.FINAL, at, receipt)
            metrics.FINALIZED.labels(self._chain_id, "success" if transaction.succeeded else "reverted").inc()
            metrics.FEE_GWEI.labels(self._chain_id).observe(transaction.fee_gwei or 0)
        return Fate(transaction=transaction, receipt=receipt, unmined=unmined, mined=mined, final=final)

    def _move(self, transaction: Transaction, target: TxStatus, at: datetime, receipt: Receipt | None) -> None:
        transaction.status = rules.move(TxStatus(transaction.status), target)
        transaction.updated_at = at
        transaction.mined_hash = receipt.tx_hash if receipt else None
        transaction.block_number = receipt.block_number if receipt else None
        transaction.block_hash = receipt.block_hash if receipt else None
        transaction.succeeded = receipt.succeeded if receipt else None
        transaction.fee_gwei = -(-receipt.fee // GWEI) if receipt else None
