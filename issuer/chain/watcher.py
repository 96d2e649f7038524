"""Watch our transactions on one chain: mined, final at depth, or taken back by a reorg. Mined is never final."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from issuer import crashpoint, metrics
from issuer.chain import rules, store
from issuer.chain.gateway import Gateway, Head, Receipt
from issuer.chain.reads import Reads
from issuer.chain.rules import GWEI, OPEN, ChainProfile, TxStatus
from issuer.chain.store import Open
from issuer.chain.tables import Transaction
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

    async def look(self) -> int:
        """One look at every transaction that is not final. Returns how many still are not."""
        async with self._db.read() as session:
            watched = await store.open_transactions(session, self._chain_id)
        if not watched:
            return 0
        node, head = await self._gateway.pinned()
        if head.hash == self._seen and self._clock() < self._again_at:
            return len(watched)
        sightings = await self._sight(node, watched)
        touched = [one.id for one in watched if sightings[one.id].receipt or one.status == TxStatus.MINED]
        if touched:
            crashpoint.reached("receipt.seen")
        done = 0
        for start in range(0, len(touched), JUDGED_TOGETHER):
            async with self._db.write() as session:
                done += await self._judge(session, touched[start : start + JUDGED_TOGETHER], sightings, head)
                crashpoint.reached("receipt.before_commit")
            crashpoint.reached("receipt.committed")
        self._seen, self._again_at = head.hash, self._clock() + timedelta(seconds=self._profile.block_seconds)
        return len(watched) - done

    async def _sight(self, node: Reads, watched: Sequence[Open]) -> dict[str, Sighting]:
        """Receipts are looked for under every attempt's hash: the old one may be the one that was mined."""
        hashes = [attempt_hash for one in watched for attempt_hash in one.hashes]
        found = {receipt.tx_hash: receipt for receipt in await node.receipts(hashes) if receipt is not None}
        blocks: dict[int, str | None] = {}
        for receipt in found.values():
            if receipt.block_number not in blocks:
                blocks[receipt.block_number] = await node.block_hash(receipt.block_number)
        sightings = {}
        for one in watched:
            seen = next((found[attempt_hash] for attempt_hash in one.hashes if attempt_hash in found), None)
            canonical = seen is not None and blocks[seen.block_number] == seen.block_hash
            sightings[one.id] = Sighting(seen, canonical)
        return sightings

    async def _judge(
        self, session: AsyncSession, transaction_ids: Sequence[str], sightings: Mapping[str, Sighting], head: Head
    ) -> int:
        """Move transactions by what was sighted. Returns how many are final now."""
        at = self._clock()
        fates = []
        for transaction in await store.locked(session, transaction_ids):
            if transaction.status in OPEN:
                fates.append(self._fate(transaction, sightings[transaction.id], head, at))
        await self._settlement.settle(session, fates, at)
        return len(transaction_ids) - sum(not fate.final for fate in fates)

    def _fate(self, transaction: Transaction, sighting: Sighting, head: Head, at: datetime) -> Fate:
        receipt = sighting.receipt if sighting.canonical else None
        gone = receipt is None or receipt.block_hash != transaction.block_hash
        unmined = transaction.status == TxStatus.MINED and gone
        if unmined:
            assert transaction.block_number is not None  # a mined one has it
            metrics.REORGS.labels(self._chain_id).inc()
            metrics.REORG_DEPTH.labels(self._chain_id).observe(head.number - transaction.block_number + 1)
            self._move(transaction, TxStatus.SIGNED, at, None)
            log.warning("transaction_unmined", chain_id=self._chain_id, nonce=transaction.nonce)
        mined = receipt is not None and transaction.status == TxStatus.SIGNED
        if mined:
            self._move(transaction, TxStatus.MINED, at, receipt)
        final = receipt is not None and rules.confirmations(head.number, receipt.block_number) >= self._profile.depth
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
