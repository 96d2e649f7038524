"""Is a wallet verified? One answer from all its cases and claims."""

from datetime import datetime

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from issuer.cases import store
from issuer.cases.rules import OPEN, CaseStatus
from issuer.claims import store as claims
from issuer.claims.rules import ClaimStatus
from issuer.claims.tables import Claim

EFFECTIVE = frozenset({CaseStatus.APPROVED, CaseStatus.DECLINED, CaseStatus.REVOKED})


class WalletStanding(msgspec.Struct, frozen=True, kw_only=True):
    """`topics` have a confirmed claim that has not run out; `verified_until` is the earliest end among them."""

    summary: str
    verified_at: datetime | None = None
    verified_until: datetime | None = None
    topics: tuple[str, ...] = ()


async def of_wallet(session: AsyncSession, tenant_id: str, wallet: str, now: datetime) -> WalletStanding:
    """The newest case with a decision wins; without one, an open case makes it `pending`.

    An approval whose claims have all run out is `not_verified`: the end of a claim is a fact of time.
    """
    case = await store.newest_in(session, tenant_id, wallet, EFFECTIVE)
    if case is None:
        waiting = await store.newest_in(session, tenant_id, wallet, OPEN)
        return WalletStanding(summary="not_verified" if waiting is None else "pending")
    if case.status != CaseStatus.APPROVED:
        return WalletStanding(summary="rejected")
    own = (await claims.of_cases(session, [case.id]))[case.id]
    confirmed = [claim for claim in own if claim.status == ClaimStatus.CONFIRMED]
    living = [claim for claim in confirmed if _lives(claim, now)]
    if confirmed and not living:
        return WalletStanding(summary="not_verified")
    decision = (await claims.newest_decisions(session, [case.id])).get(case.id)
    return WalletStanding(
        summary="verified",
        verified_at=None if decision is None else decision.decided_at,
        verified_until=min((claim.valid_until for claim in living if claim.valid_until is not None), default=None),
        topics=tuple(sorted({claim.topic for claim in living}, key=int)),
    )


def _lives(claim: Claim, now: datetime) -> bool:
    return claim.valid_until is None or claim.valid_until > now
