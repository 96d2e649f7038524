"""What a transaction's fate means for the claims it carries. Called inside the watcher's SQL transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from issuer import metrics
from issuer.chain import contracts
from issuer.chain import store as chain_store
from issuer.chain.gateway import Receipt
from issuer.chain.rules import Purpose
from issuer.chain.tables import Transaction
from issuer.chain.watcher import Fate
from issuer.claims import store, succession
from issuer.claims.moving import Moves
from issuer.claims.plain import Carried, key_of
from issuer.claims.rules import ClaimStatus, on_failure

ISSUE, REVOKE = Purpose.ISSUE, Purpose.REVOKE
FIRST_WAIT = timedelta(seconds=2)


def backoff(failures: int) -> timedelta:
    """2 s, 4 s, 8 s … at most ten minutes."""
    doublings: int = min(max(failures - 1, 0), 10)
    return min(FIRST_WAIT * (1 << doublings), timedelta(minutes=10))


class _Proof(msgspec.Struct, frozen=True):
    """What the events of a receipt show: (identity, claim id) added, (identity, topic, new epoch) revoked."""

    receipt: Receipt
    added: frozenset[tuple[str, bytes]]
    revoked: frozenset[tuple[str, int, int]]

    @property
    def where(self) -> dict[str, object]:
        return {"tx_hash": self.receipt.tx_hash, "block_number": self.receipt.block_number}

    def is_added(self, claim: Carried) -> bool:
        """Only the Identity's own event shows that a claim stands; a missing failure event would prove nothing."""
        return (claim.identity, bytes.fromhex(claim.onchain_id[2:])) in self.added

    def is_revoked(self, claim: Carried) -> bool:
        assert claim.epoch is not None  # only signed claims are revoked on chain
        return (claim.identity, int(claim.topic), claim.epoch + 1) in self.revoked


class _Back(msgspec.Struct, frozen=True):
    """A claim that did not get onto the chain, and where it is to go."""

    claim: Carried
    target: ClaimStatus
    cause: str
    detail: dict[str, object]


class ClaimSettlement:
    """`claim_issuers`: our ClaimIssuer by chain id; events of any other contract prove nothing about revocations."""

    def __init__(self, claim_issuers: Mapping[int, str]) -> None:
        self._issuers = claim_issuers

    async def settle(self, session: AsyncSession, fates: Sequence[Fate], at: datetime) -> None:
        """All that is carried is read and locked once, then each transaction's claims are moved together."""
        links = await chain_store.carried(session, [fate.transaction.id for fate in fates])
        claims = await store.locked_to_settle(session, list(chain.from_iterable(links.values())))
        moves, stand = Moves(at, claims.values()), []
        back: list[_Back] = []
        for fate in fates:
            carried = [claims[claim_id] for claim_id in links.get(fate.transaction.id, ())]
            if fate.unmined:
                self._unmined(moves, fate.transaction, carried)
            if fate.dead:
                back += self._dead(carried, fate.transaction, at)
            if fate.receipt is None:
                continue
            proof = self._proof(fate.transaction, fate.receipt)
            for claim in carried:
                if fate.mined:
                    _mined(moves, fate.transaction, proof, claim)
                if fate.final and _final(moves, back, fate.transaction, proof, claim):
                    stand.append((claim, proof.where))
        await _send_back(session, moves, back)
        await succession.confirm(session, stand, moves, cause="chain")
        await moves.write(session)
        await chain_store.resolve(session, [fate.transaction.id for fate in fates if fate.final or fate.dead], at)

    def _unmined(self, moves: Moves, transaction: Transaction, claims: Sequence[Carried]) -> None:
        """A reorg took the block: the same bytes will be sent again, so the claims wait as they did before it."""
        for claim in claims:
            if transaction.purpose == REVOKE:
                claim.revoked_tx_hash = None
                continue
            claim.tx_hash = claim.block_number = None
            if claim.status == ClaimStatus.MINED:
                moves.add(claim, ClaimStatus.SIGNED, cause="reorg")

    def _dead(self, claims: Sequence[Carried], transaction: Transaction, at: datetime) -> list[_Back]:
        """What it carried is free to be signed on another nonce; a revocation is taken up again by its step."""
        back = []
        for claim in claims:
            claim.next_try_at = at
            if transaction.purpose == ISSUE and claim.status == ClaimStatus.SIGNED:
                back.append(_Back(claim, ClaimStatus.QUEUED, "nonce_lost", {"nonce": transaction.nonce}))
        return back

    def _proof(self, transaction: Transaction, receipt: Receipt) -> _Proof:
        if not receipt.succeeded:
            return _Proof(receipt, frozenset(), frozenset())
        return _Proof(
            receipt,
            added=frozenset(contracts.claims_added(receipt)),
            revoked=frozenset(contracts.subjects_revoked(receipt, self._issuers[transaction.chain_id])),
        )


def _mined(moves: Moves, transaction: Transaction, proof: _Proof, claim: Carried) -> None:
    """In a block: what its events show is `mined`. What failed waits for finality to be believed."""
    if transaction.purpose == REVOKE:
        if proof.is_revoked(claim):
            if claim.status == ClaimStatus.REVOKING:  # since it was last updated
                since = (moves.at - claim.updated_at).total_seconds()
                metrics.DECISION_TO_REVOKED.labels(claim.chain_id).observe(since)
            claim.revoked_tx_hash, claim.updated_at = proof.receipt.tx_hash, moves.at
    elif proof.is_added(claim):
        claim.tx_hash, claim.block_number = proof.receipt.tx_hash, proof.receipt.block_number
        if claim.status == ClaimStatus.SIGNED:
            moves.add(claim, ClaimStatus.MINED, cause="chain", detail=proof.where)


def _final(moves: Moves, back: list[_Back], transaction: Transaction, proof: _Proof, claim: Carried) -> bool:
    """Deep enough: a claim is revoked, or goes back to be tried again, alone. True: it stands, to be confirmed."""
    if transaction.purpose == REVOKE:
        _final_revocation(moves, proof, claim)
        return False
    if proof.is_added(claim):
        if claim.status == ClaimStatus.MINED:
            metrics.VERIFIED_TO_FINAL.labels(claim.chain_id).observe((moves.at - claim.created_at).total_seconds())
        return claim.status == ClaimStatus.MINED
    claim.failures += 1
    target = on_failure(ClaimStatus(claim.status), claim.failures)
    if target is not None:
        claim.next_try_at = moves.at + backoff(claim.failures)
        back.append(_Back(claim, target, "chain_refused", {"tx_hash": proof.receipt.tx_hash}))
    return False


def _final_revocation(moves: Moves, proof: _Proof, claim: Carried) -> None:
    if claim.status != ClaimStatus.REVOKING:
        return
    if proof.is_revoked(claim):
        claim.revoked_tx_hash = proof.receipt.tx_hash
        moves.add(claim, ClaimStatus.REVOKED, cause="chain", detail=proof.where)
    else:
        # Reverted, or its epoch had moved already: the next look at the chain tells which.
        claim.failures += 1
        claim.next_try_at = moves.at + backoff(claim.failures)


async def _send_back(session: AsyncSession, moves: Moves, back: Sequence[_Back]) -> None:
    """To wait again, unless a newer claim waits already: then that one goes instead."""
    again = [one.claim for one in back if one.target == ClaimStatus.QUEUED]
    newer = await store.waiting_beside(session, again)
    for one in back:
        claim = one.claim
        if one.target == ClaimStatus.QUEUED and key_of(claim) in newer:
            moves.add(claim, ClaimStatus.FAILED, cause="superseded", detail=one.detail)
        else:
            moves.add(claim, one.target, cause=one.cause, detail=one.detail)
