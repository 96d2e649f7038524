"""What a transaction's fate means for the claims it carries. Called inside the watcher's SQL transaction."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from issuer import metrics
from issuer.chain import contracts
from issuer.chain import store as chain_store
from issuer.chain.gateway import Receipt
from issuer.chain.tables import Transaction, TransactionClaim
from issuer.claims import store, succession
from issuer.claims.rules import ClaimStatus, on_failure
from issuer.claims.tables import Claim

ISSUE, REVOKE = "issue", "revoke"
FIRST_WAIT = timedelta(seconds=2)


def backoff(failures: int) -> timedelta:
    """2 s, 4 s, 8 s … at most ten minutes."""
    doublings: int = min(max(failures - 1, 0), 10)
    return min(FIRST_WAIT * (1 << doublings), timedelta(minutes=10))


class ClaimSettlement:
    """`claim_issuers`: our ClaimIssuer by chain id; events of any other contract prove nothing about revocations."""

    def __init__(self, claim_issuers: Mapping[int, str]) -> None:
        self._issuers = claim_issuers

    async def mined(self, session: AsyncSession, transaction: Transaction, receipt: Receipt, at: datetime) -> None:
        """In a block: the claims that its events show are `mined`. What failed waits for finality to be believed."""
        for _, claim in await self._carried(session, transaction):
            if transaction.purpose == REVOKE:
                if self._is_revoked(transaction, receipt, claim):
                    if claim.status == ClaimStatus.REVOKING:  # since it was last updated
                        since = (at - claim.updated_at).total_seconds()
                        metrics.DECISION_TO_REVOKED.labels(claim.chain_id).observe(since)
                    claim.revoked_tx_hash = receipt.tx_hash
                    claim.updated_at = at
                continue
            if not _is_added(receipt, claim):
                continue
            claim.tx_hash, claim.block_number = receipt.tx_hash, receipt.block_number
            if claim.status == ClaimStatus.SIGNED:
                store.move(session, claim, ClaimStatus.MINED, at=at, cause="chain", detail=_where(receipt))

    async def unmined(self, session: AsyncSession, transaction: Transaction, at: datetime) -> None:
        """A reorg took the block: the same bytes will be sent again, so the claims wait as they did before it."""
        for _, claim in await self._carried(session, transaction):
            if transaction.purpose == REVOKE:
                claim.revoked_tx_hash = None
                continue
            claim.tx_hash = claim.block_number = None
            if claim.status == ClaimStatus.MINED:
                store.move(session, claim, ClaimStatus.SIGNED, at=at, cause="reorg")

    async def final(self, session: AsyncSession, transaction: Transaction, receipt: Receipt, at: datetime) -> None:
        """Deep enough: each claim is confirmed or revoked, or goes back to be tried again, and its link is settled."""
        stand = []
        for link, claim in await self._carried(session, transaction):
            link.resolved_at = at
            if transaction.purpose == REVOKE:
                self._final_revocation(session, transaction, receipt, claim, at)
            elif not _is_added(receipt, claim):
                _not_added(session, receipt, claim, at)
            elif claim.status == ClaimStatus.MINED:
                stand.append((claim, _where(receipt)))
                metrics.VERIFIED_TO_FINAL.labels(claim.chain_id).observe((at - claim.created_at).total_seconds())
        await succession.confirm(session, stand, at=at, cause="chain")

    def _final_revocation(
        self, session: AsyncSession, transaction: Transaction, receipt: Receipt, claim: Claim, at: datetime
    ) -> None:
        if claim.status != ClaimStatus.REVOKING:
            return
        if self._is_revoked(transaction, receipt, claim):
            claim.revoked_tx_hash = receipt.tx_hash
            store.move(session, claim, ClaimStatus.REVOKED, at=at, cause="chain", detail=_where(receipt))
        else:
            # Reverted, or its epoch had moved already: the next look at the chain tells which.
            claim.failures += 1
            claim.next_try_at = at + backoff(claim.failures)

    def _is_revoked(self, transaction: Transaction, receipt: Receipt, claim: Claim) -> bool:
        assert claim.epoch is not None  # only signed claims are revoked on chain
        revoked = contracts.subjects_revoked(receipt, self._issuers[transaction.chain_id])
        return receipt.succeeded and (claim.identity, int(claim.topic), claim.epoch + 1) in revoked

    async def _carried(self, session: AsyncSession, transaction: Transaction) -> list[tuple[TransactionClaim, Claim]]:
        links = await chain_store.carried(session, transaction.id)
        claims = {claim.id: claim for claim in await store.locked(session, [link.claim_id for link in links])}
        return [(link, claims[link.claim_id]) for link in links]


def _is_added(receipt: Receipt, claim: Claim) -> bool:
    """Only the Identity's own event shows that a claim stands; a missing failure event would prove nothing."""
    added = contracts.claims_added(receipt)
    return receipt.succeeded and (claim.identity, bytes.fromhex(claim.onchain_id[2:])) in added


def _not_added(session: AsyncSession, receipt: Receipt, claim: Claim, at: datetime) -> None:
    claim.failures += 1
    target = on_failure(ClaimStatus(claim.status), claim.failures)
    if target is not None:
        claim.next_try_at = at + backoff(claim.failures)
        store.move(session, claim, target, at=at, cause="chain_refused", detail={"tx_hash": receipt.tx_hash})


def _where(receipt: Receipt) -> dict[str, object]:
    return {"tx_hash": receipt.tx_hash, "block_number": receipt.block_number}
