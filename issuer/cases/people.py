"""What a person does to a case. A person's word stands against later provider events until a person lifts it."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from issuer import history
from issuer.cases import rules
from issuer.cases.rules import CaseStatus
from issuer.cases.tables import Case
from issuer.claims import store as claims
from issuer.claims import succession
from issuer.claims.rules import ON_ITS_WAY, ClaimStatus, on_reversal
from issuer.claims.tables import Claim
from issuer.db import for_update
from issuer.errors import Conflict, NotFound

REVOKED = "revoked"
_EFFECTIVE = ON_ITS_WAY | {ClaimStatus.QUEUED, ClaimStatus.CONFIRMED, ClaimStatus.FAILED}


async def revoke_claim(
    session: AsyncSession, *, claim_id: str, reason: str, actor: str, at: datetime, tenant_id: str = "default"
) -> Claim:
    """Take one claim back, and with its last effective claim the case. Repeating it changes nothing more.

    The claim leaves for `cancelled` (never signed) or `revoking`; the daemon does the rest. Raises `NotFound`, and
    `Conflict` for a claim that a newer one superseded.
    """
    found = await claims.get(session, claim_id, tenant_id)
    if found is None:
        raise NotFound("no such claim")
    case = await session.scalar(for_update(sa.select(Case).where(Case.id == found.case_id), session))
    assert case is not None  # a foreign key
    all_claims = await claims.of_case_locked(session, case.id)
    claim = next(row for row in all_claims if row.id == claim_id)
    if claim.status in (ClaimStatus.REVOKING, ClaimStatus.REVOKED, ClaimStatus.CANCELLED):
        return claim
    if claim.status == ClaimStatus.SUPERSEDED:
        raise Conflict("a claim that is superseded cannot be revoked; revoke the one that followed it")
    # With the claim goes its renewal, if one is on its way: a person who says no means both.
    key = (claim.identity, claim.topic, claim.chain_id)
    taken = [row for row in all_claims if (row.identity, row.topic, row.chain_id) == key]
    for row in taken:
        if on_reversal(ClaimStatus(row.status), ever_signed=True) is not None:
            row.revoke_reason = reason
    await succession.take_back(session, taken, at=at, cause=history.PERSON, detail={"actor": actor})
    if case.person_ruling is None and not any(row.status in _EFFECTIVE for row in all_claims):
        _rule(session, case, actor, at)
    return claim


async def close_case(session: AsyncSession, case_id: str, *, actor: str, at: datetime) -> None:
    """Nothing comes of a case any more: an open one is cancelled, an approval taken back. Claims are the caller's."""
    case = await session.scalar(for_update(sa.select(Case).where(Case.id == case_id), session))
    if case is None or case.person_ruling is not None:
        return
    if case.status in rules.OPEN:
        source, case.status = case.status, rules.move(CaseStatus(case.status), CaseStatus.CANCELLED)
        case.updated_at = at
        history.record(
            session,
            case_id=case.id,
            at=at,
            source=source,
            target=case.status,
            cause=history.PERSON,
            detail={"actor": actor},
        )
    else:
        _rule(session, case, actor, at)


def _rule(session: AsyncSession, case: Case, actor: str, at: datetime) -> None:
    case.person_ruling = REVOKED
    case.updated_at = at
    if case.status != CaseStatus.APPROVED:
        return
    case.status = rules.move(CaseStatus(case.status), CaseStatus.REVOKED)
    case.reasons = rules.reasons(case.status)
    history.record(
        session,
        case_id=case.id,
        at=at,
        source=CaseStatus.APPROVED,
        target=CaseStatus.REVOKED,
        cause=history.PERSON,
        detail={"actor": actor},
    )
