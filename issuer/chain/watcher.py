"""Watch our transactions on one chain: mined, final at depth, or taken back by a reorg. Mined is never final."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import msgspec
import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from issuer import crashpoint, metrics
from issuer.chain import rules, store
from issuer.chain.gateway import Gateway, Head, Receipt
from issuer.chain.reads import Reads
from issuer.chain.rules import ChainProfile, TxStatus
from issuer.chain.tables import Attempt, Transaction
from issuer.clock import now as clock_now
from issuer.db import Database, for_update

log = structlog.get_logger(__name__)


class Settlement(Protocol):
    """What a transaction's fate means for what it carries. Each is called inside the watcher's SQL transaction."""

    async def mined(self, session: AsyncSession, transaction: Transaction, receipt: Receipt, at: datetime) -> None: ...

    async def unmined(self, session: AsyncSession, transaction: Transaction, at: datetime) -> None: ...

    async def final(self, session: AsyncSession, transaction: Transaction, receipt: Receipt, at: datetime) -> None: ...


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

    async def look(self) -> int:
        """One look at every transaction that is not final. Returns how many still are not."""
        async with self._db.read() as session:
            open_ids = list(
                await session.scalars(
                    sa.select(Transaction.id)
                    .where(Transaction.chain_id == self._chain_id, Transaction.status != TxStatus.FINAL)
                    .order_by(Transaction.nonce)
                )
            )
            attempts = await store.attempts(session, open_ids)
        if not open_ids:
            return 0
        node, head = await self._gateway.pinned()
        sightings = await self._sight(node, attempts)
        if any(sighting.receipt for sighting in sightings.values()):
            crashpoint.reached("receipt.seen")
        left = 0
        for transaction_id in open_ids:
            async with self._db.write() as session:
                left += await self._judge(session, transaction_id, sightings[transaction_id], head)
                if sightings[transaction_id].receipt:
                    crashpoint.reached("receipt.before_commit")
            if sightings[transaction_id].receipt:
                crashpoint.reached("receipt.committed")
        return left

    async def _sight(self, node: Reads, attempts: dict[str, list[Attempt]]) -> dict[str, Sighting]:
        """Receipts are looked for under every attempt's hash: the old one may be the one that was mined."""
        hashes = [attempt.hash for rows in attempts.values() for attempt in rows]
        found = {receipt.tx_hash: receipt for receipt in await node.receipts(hashes) if receipt is not None}
        blocks: dict[int, str | None] = {}
        for receipt in found.values():
            if receipt.block_number not in blocks:
                blocks[receipt.block_number] = await node.block_hash(receipt.block_number)
        sightings = {}
        for transaction_id, rows in attempts.items():
            seen = next((found[row.hash] for row in rows if row.hash in found), None)
            canonical = seen is not None and blocks[seen.block_number] == seen.block_hash
            sightings[transaction_id] = Sighting(seen, canonical)
        return sightings

    async def _judge(self, session: AsyncSession, transaction_id: str, sighting: Sighting, head: Head) -> bool:
        """Move one transaction by one sighting. True while it is not final."""
        statement = for_update(sa.select(Transaction).where(Transaction.id == transaction_id), session)
        transaction: Transaction | None = await session.scalar(statement)
        if transaction is None or transaction.status == TxStatus.FINAL:
            return False
        at = self._clock()
        receipt = sighting.receipt if sighting.canonical else None
        if transaction.status == TxStatus.MINED and (receipt is None or receipt.block_hash != transaction.block_hash):
            assert transaction.block_number is not None  # a mined one has it
            metrics.REORGS.labels(self._chain_id).inc()
            metrics.REORG_DEPTH.labels(self._chain_id).observe(head.number - transaction.block_number + 1)
            self._move(transaction, TxStatus.SIGNED, at, None)
            await self._settlement.unmined(session, transaction, at)
            log.warning("transaction_unmined", chain_id=self._chain_id, nonce=transaction.nonce)
        if receipt is None:
            return True
        if transaction.status == TxStatus.SIGNED:
            self._move(transaction, TxStatus.MINED, at, receipt)
            await self._settlement.mined(session, transaction, receipt, at)
        if rules.confirmations(head.number, receipt.block_number) < self._profile.depth:
            return True
        self._move(transaction, TxStatus.FINAL, at, receipt)
        await self._settlement.final(session, transaction, receipt, at)
        metrics.FINALIZED.labels(self._chain_id, "success" if receipt.succeeded else "reverted").inc()
        return False

    def _move(self, transaction: Transaction, target: TxStatus, at: datetime, receipt: Receipt | None) -> None:
        transaction.status = rules.move(TxStatus(transaction.status), target)
        transaction.updated_at = at
        transaction.mined_hash = receipt.tx_hash if receipt else None
        transaction.block_number = receipt.block_number if receipt else None
        transaction.block_hash = receipt.block_hash if receipt else None
        transaction.succeeded = receipt.succeeded if receipt else None
