"""What a person does to a case. A person's word stands against later provider events until a person lifts it."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from issuer import history
from issuer.cases import rules
from issuer.cases.rules import CaseStatus
from issuer.cases.tables import Case
from issuer.claims import store as claims
from issuer.claims.rules import ClaimStatus, on_reversal
from issuer.claims.tables import Claim
from issuer.db import for_update
from issuer.errors import Conflict, NotFound

REVOKED = "revoked"


async def revoke_claim(
    session: AsyncSession, *, claim_id: str, reason: str, actor: str, at: datetime, tenant_id: str = "default"
) -> Claim:
    """Take one claim back, and with its last effective claim the case. Repeating it changes nothing more.

    The claim leaves for `cancelled` (never signed) or `revoking`; the daemon does the rest. Raises `NotFound`, and
    `Conflict` for a claim that its holder removed or a newer one superseded.
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
    target = on_reversal(ClaimStatus(claim.status), ever_signed=claim.word is not None)
    if target is None:
        raise Conflict(f"a claim that is {claim.status} cannot be revoked")
    claim.revoke_reason = reason
    claim.next_try_at = at
    claims.move(session, claim, target, at=at, cause=history.PERSON, detail={"actor": actor})
    effective = [row for row in all_claims if on_reversal(ClaimStatus(row.status), ever_signed=True) is not None]
    if case.person_ruling is None and not effective:
        case.person_ruling = REVOKED
        if case.status == CaseStatus.APPROVED:
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
        case.updated_at = at
    return claim
