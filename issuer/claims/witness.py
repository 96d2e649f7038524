"""Does the chain show what we were told of an outside issuer's claim? Asked by the daemon, one chain at a time.

The transaction must have emitted the claim, deep enough; the Identity must be the wallet's and show it now; and the
issuer that is named must vouch for it. Identity and issuer may be anybody's code: no answer of theirs reaches further
than this one row.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
import structlog

from issuer import history
from issuer.cases.tables import Case
from issuer.chain import contracts
from issuer.chain.asking import ask_each
from issuer.chain.contracts import PURPOSE_MANAGEMENT, ClaimInput
from issuer.chain.gateway import Gateway, Receipt
from issuer.chain.rules import ChainProfile, confirmations
from issuer.claims import external, rules
from issuer.claims.external import ExternalStatus, Refusal
from issuer.claims.tables import ExternalClaim
from issuer.clock import now as clock_now
from issuer.db import Database

log = structlog.get_logger(__name__)

BATCH = 20
GIVE_UP = timedelta(days=1)  # a transaction that was not mined by then is not coming


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What the chain says: a refusal, or where the claim is. Neither: it is too early to say."""

    refusal: Refusal | None = None
    identity: str | None = None
    block_number: int | None = None


TOO_EARLY = Seen()


class Witness:
    """`factory`, `claim_issuer`: ours, EIP-55."""

    def __init__(
        self,
        db: Database,
        gateway: Gateway,
        *,
        chain_id: int,
        factory: str,
        claim_issuer: str,
        profile: ChainProfile,
        clock: Callable[[], datetime] = clock_now,
    ) -> None:
        self._db = db
        self._gateway = gateway
        self._chain_id = chain_id
        self._factory = factory
        self._issuer = claim_issuer
        self._profile = profile
        self._clock = clock

    async def step(self) -> None:
        """Ask about those that are due."""
        async with self._db.read() as session:
            waiting = await external.pending(session, self._chain_id, now=self._clock(), limit=BATCH)
        for row, case in waiting:
            await self._note(row, await self._look(row, case))

    async def _look(self, row: ExternalClaim, case: Case) -> Seen:
        if row.issuer == self._issuer:
            return Seen(refusal=Refusal.OWN_ISSUER)
        head = await self._gateway.head()
        (receipt,) = await self._gateway.receipts([row.tx_hash])
        if receipt is None:
            late = self._clock() - row.created_at > GIVE_UP
            return Seen(refusal=Refusal.TX_NOT_FOUND) if late else TOO_EARLY
        if confirmations(head.number, receipt.block_number) < self._profile.depth:
            return TOO_EARLY
        if await self._gateway.block_hash(receipt.block_number) != receipt.block_hash:
            return TOO_EARLY
        if not receipt.succeeded:
            return Seen(refusal=Refusal.TX_FAILED)
        identities = _emitted(receipt, row)
        if not identities:
            return Seen(refusal=Refusal.CLAIM_NOT_IN_TX)
        own = [identity for identity in identities if await self._is_of(case, identity)]
        if not own:
            return Seen(refusal=Refusal.IDENTITY_NOT_CONTROLLED)
        refusal = await self._stands(row, own[0])
        return Seen(refusal=refusal, identity=own[0], block_number=receipt.block_number)

    async def _is_of(self, case: Case, identity: str) -> bool:
        managed, *links = await ask_each(
            self._gateway,
            [
                contracts.key_has_purpose(identity, contracts.key_of(case.wallet), PURPOSE_MANAGEMENT),
                *contracts.identity_calls(self._factory, case.wallet, self._issuer),
            ],
        )
        return contracts.says_yes(managed) or contracts.identity_of(*links) == identity

    async def _stands(self, row: ExternalClaim, identity: str) -> Refusal | None:
        claim_id = rules.onchain_id(row.issuer, int(row.topic))
        (answer,) = await ask_each(self._gateway, [contracts.get_claim(identity, claim_id)])
        shown: ClaimInput | None = contracts.decode_claim(answer)
        if shown is None or shown.topic != int(row.topic):
            return Refusal.CLAIM_GONE
        (answer,) = await ask_each(self._gateway, [contracts.is_claim_valid(row.issuer, identity, shown)])
        return None if contracts.says_yes(answer) else Refusal.ISSUER_DENIES

    async def _note(self, asked: ExternalClaim, seen: Seen) -> None:
        at = self._clock()
        async with self._db.write() as session:
            row = await session.get(ExternalClaim, asked.id, with_for_update=not self._db.is_sqlite or None)
            if row is None or row.status != ExternalStatus.PENDING or row.tx_hash != asked.tx_hash:
                return  # told anew meanwhile
            if seen == TOO_EARLY:
                waited = at - row.created_at
                row.next_try_at = at + max(timedelta(seconds=self._profile.block_seconds), waited / 10)
                return
            row.status = ExternalStatus.RECORDED if seen.refusal is None else ExternalStatus.REFUSED
            row.reason, row.updated_at = seen.refusal, at
            row.identity, row.block_number = seen.identity, seen.block_number
            history.record(
                session,
                case_id=row.case_id,
                claim_id=row.id,
                at=at,
                source=ExternalStatus.PENDING,
                target=row.status,
                cause=seen.refusal or "chain",
                detail={"tx_hash": row.tx_hash},
            )
        log.info("external_claim", claim_id=asked.id, case_id=asked.case_id, result=str(row.status), reason=row.reason)


def _emitted(receipt: Receipt, row: ExternalClaim) -> list[str]:
    """The Identities that say in this transaction that they took the claim."""
    claim_id = rules.onchain_id(row.issuer, int(row.topic))
    return sorted(identity for identity, added in contracts.claims_added(receipt) if added == claim_id)
