"""Mending a difference through the moves that claims make every day; each in one transaction that looks again first."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from issuer.cases.evidence import locked_case
from issuer.cases.rules import CaseStatus
from issuer.claims import store as claims
from issuer.claims.moving import move
from issuer.claims.rules import ClaimStatus
from issuer.claims.tables import Claim
from issuer.clock import now as clock_now
from issuer.db import Database
from issuer.reconcile.rules import Code, Finding

S = ClaimStatus

# The difference > the status that the claim has here, and the one that it gets.
_MOVES: dict[Code, tuple[ClaimStatus, ClaimStatus]] = {
    Code.REMOVED_BY_HOLDER: (S.CONFIRMED, S.REMOVED),
    Code.PUT_BACK_BY_HOLDER: (S.REMOVED, S.CONFIRMED),
    Code.EPOCH_AHEAD: (S.CONFIRMED, S.REVOKING),  # the daemon sees that it is over already, and sends nothing
    Code.REVOCATION_MISSING: (S.REVOKED, S.REVOKING),
}


class Repairs:
    """`look`: one look of the watcher at what is on its way; without it, that is left."""

    def __init__(
        self,
        db: Database,
        *,
        look: Callable[[], Awaitable[object]] | None = None,
        clock: Callable[[], datetime] = clock_now,
    ) -> None:
        self._db = db
        self._look = look
        self._clock = clock

    async def mend(self, finding: Finding) -> bool:
        """True if it was mended here, or if it was set on its way."""
        if finding.code is Code.PROVIDER_DISAGREES:
            return await self._ask_again(finding)
        if not finding.repairable or finding.claim_id is None:
            return False
        async with self._db.write() as session:
            for claim in await claims.locked(session, [finding.claim_id]):
                if finding.code in _MOVES:
                    return await self._move(session, claim, finding.code)
                if finding.code is not Code.STALE_STATUS:  # it should stand and does not: make it anew
                    claim.renew_at = self._clock()
                    return claim.status == S.CONFIRMED
                if claim.status in (S.QUEUED, S.FAILED, S.REVOKING):
                    self._try_now(session, claim)
                    return True
        return await self._watch()

    async def _move(self, session: AsyncSession, claim: Claim, code: Code) -> bool:
        source, target = _MOVES[code]
        if claim.status != source:
            return False
        if target is S.CONFIRMED and await claims.standing_for(session, [claim]):
            return False  # another one has its place
        at = self._clock()
        claim.next_try_at = at
        move(session, claim, target, at=at, cause=code)
        return True

    def _try_now(self, session: AsyncSession, claim: Claim) -> None:
        """The daemon's own look at the chain settles it: it adopts what stands, and notes what is revoked."""
        claim.next_try_at = self._clock()
        if claim.status == S.FAILED:
            claim.failures = 0
            move(session, claim, S.QUEUED, at=claim.next_try_at, cause=Code.STALE_STATUS)

    async def _watch(self) -> bool:
        if self._look is None:
            return False
        await self._look()
        return True

    async def _ask_again(self, finding: Finding) -> bool:
        """The daemon reads an approval again at its next sweep, and does what follows from it."""
        if finding.case_id is None:
            return False
        async with self._db.write() as session:
            case = await locked_case(session, finding.case_id)
            if case is None or case.status != CaseStatus.APPROVED:
                return False
            case.next_check_at = self._clock()
        return True
