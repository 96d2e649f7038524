"""Every query on rulings, and what people do to them. Nothing here commits."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from issuer.access import operators
from issuer.access import store as access
from issuer.access.tables import Operator
from issuer.cases import reasons
from issuer.cases import store as cases
from issuer.cases.levels import LEVELS
from issuer.cases.rules import CaseStatus
from issuer.cases.tables import Case
from issuer.db import for_update
from issuer.errors import Conflict, IllegalMove, InvalidInput, NotAllowed, NotFound
from issuer.reviews import rules
from issuer.reviews.rules import PROPOSE, SECOND, Act, RulingStatus, Signed, Terms
from issuer.reviews.tables import Ruling

UNTOLD = frozenset({Act.APPROVE, Act.DECLINE})
_IS_OPEN = Ruling.status.in_([RulingStatus.PROPOSED, RulingStatus.READY])


def seen(case: Case) -> str:
    return rules.seen(case.status, case.evidence_at, case.person_ruling, len(case.hits or ()))


def refusal(act: Act, case: Case) -> str | None:
    """Why this act is none for this case; None if it is."""
    return rules.refusal(
        act,
        CaseStatus(case.status),
        case.person_ruling,
        redacted=case.redacted_at is not None,
        flagged=case.flag is not None,
    )


def needs_two(act: Act, case: Case) -> bool:
    """A level that is no more asks for two people."""
    level = LEVELS.get(case.level)
    return rules.needs_two(act, "two" if level is None else level.review)


async def propose(
    session: AsyncSession, terms: Terms, by: Signed, *, at: datetime, tenant_id: str = "default"
) -> Ruling:
    """Keep a signed proposal; one person's is enough where the act or the level's rule say so.

    Raises `NotFound`, `InvalidInput` for a reason that is none for the act, `NotAllowed` for a signature that does not
    hold, and `Conflict` if the case has moved on, has an open ruling, or the act is none for it.
    """
    reasons.checked(terms.reason, terms.act)
    await cases.get(session, terms.case_id, tenant_id)
    case = await cases.locked(session, terms.case_id)
    if terms.seen != seen(case):
        raise Conflict(f"the case has moved since it was looked at; it is {seen(case)} now")
    why = refusal(terms.act, case)
    if why is not None:
        raise Conflict(f"{terms.act} is not for this case: {why}")
    if await open_of(session, case.id) is not None:
        raise Conflict("the case has an open ruling; second it or withdraw it first")
    if await session.get(Ruling, terms.id) is not None:
        raise Conflict("this proposal was handed in before")
    await _check(session, terms, PROPOSE, by, at, tenant_id)
    two = needs_two(terms.act, case)
    row = Ruling(
        id=terms.id,
        tenant_id=tenant_id,
        case_id=case.id,
        act=terms.act,
        reason=terms.reason,
        seen=terms.seen,
        four_eyes=two,
        status=RulingStatus.PROPOSED if two else RulingStatus.READY,
        proposed_by=by.operator_id,
        proposed_at=by.at,
        proposal_signature=by.signature,
        updated_at=at,
    )
    session.add(row)
    await session.flush()
    return row


async def second(
    session: AsyncSession, ruling_id: str, by: Signed, *, at: datetime, tenant_id: str = "default"
) -> Ruling:
    """Another person agrees. Raises `NotFound`, `NotAllowed`; `Conflict` for the proposer or a ruling that is over."""
    row = await locked(session, ruling_id, tenant_id)
    if by.operator_id == row.proposed_by:
        raise Conflict("four eyes: whoever proposed a ruling cannot second it")
    if row.status != RulingStatus.PROPOSED:
        raise Conflict(f"the ruling is {row.status}; only a proposed one waits for a second person")
    await _check(session, terms_of(row), SECOND, by, at, tenant_id)
    move(row, RulingStatus.READY, at)
    row.seconded_by, row.seconded_at, row.second_signature = by.operator_id, by.at, by.signature
    return row


async def withdraw(session: AsyncSession, ruling_id: str, *, at: datetime, tenant_id: str = "default") -> Ruling:
    """Nothing comes of a proposal. Anybody who may review can do that. Raises `NotFound`, `Conflict`."""
    row = await locked(session, ruling_id, tenant_id)
    if row.status != RulingStatus.PROPOSED:
        raise Conflict(f"the ruling is {row.status}; only a proposed one can be withdrawn")
    move(row, RulingStatus.WITHDRAWN, at)
    return row


def move(row: Ruling, target: RulingStatus, at: datetime) -> None:
    """The one way to a new status. Raises `IllegalMove`."""
    if target not in rules.MOVES[RulingStatus(row.status)]:
        raise IllegalMove("ruling", row.status, target)
    row.status, row.updated_at = target, at


def terms_of(row: Ruling) -> Terms:
    return Terms(id=row.id, case_id=row.case_id, act=Act(row.act), reason=row.reason, seen=row.seen)


async def locked(session: AsyncSession, ruling_id: str, tenant_id: str | None = None) -> Ruling:
    """Raises `NotFound`."""
    statement = for_update(sa.select(Ruling).where(Ruling.id == ruling_id), session)
    row: Ruling | None = await session.scalar(statement.execution_options(populate_existing=True))
    if row is None or tenant_id not in (None, row.tenant_id):
        raise NotFound("no such ruling")
    return row


async def open_of(session: AsyncSession, case_id: str) -> Ruling | None:
    row: Ruling | None = await session.scalar(sa.select(Ruling).where(Ruling.case_id == case_id, _IS_OPEN))
    return row


async def of_case(session: AsyncSession, case_id: str) -> list[Ruling]:
    """Oldest first."""
    return list(await session.scalars(sa.select(Ruling).where(Ruling.case_id == case_id).order_by(Ruling.id)))


async def waiting(
    session: AsyncSession, *, limit: int, after: str = "", tenant_id: str = "default"
) -> list[tuple[Case, Ruling | None]]:
    """Cases in review or flagged, the oldest first, and those with a ruling that waits for a second person."""
    mine = sa.select(Case).where(Case.tenant_id == tenant_id, Case.id > after).order_by(Case.id).limit(limit)
    in_review = await session.scalars(mine.where(Case.status == CaseStatus.IN_REVIEW))
    ruled_on = await session.scalars(mine.join(Ruling, Ruling.case_id == Case.id).where(_IS_OPEN))
    flagged = await session.scalars(mine.where(Case.flag.is_not(None)))
    by_id = {case.id: case for case in (*in_review, *ruled_on, *flagged)}
    found = [by_id[case_id] for case_id in sorted(by_id)[:limit]]
    rulings = await session.scalars(sa.select(Ruling).where(_IS_OPEN, Ruling.case_id.in_([case.id for case in found])))
    by_case = {ruling.case_id: ruling for ruling in rulings}
    return [(case, by_case.get(case.id)) for case in found]


async def to_do(session: AsyncSession, *, limit: int) -> list[str]:
    """Rulings that the daemon has still to apply, or to tell the provider of."""
    untold = sa.and_(Ruling.status == RulingStatus.APPLIED, Ruling.told.is_(None), Ruling.act.in_(UNTOLD))
    statement = sa.select(Ruling.id).where(sa.or_(Ruling.status == RulingStatus.READY, untold)).order_by(Ruling.id)
    return list(await session.scalars(statement.limit(limit)))


async def signers_of(session: AsyncSession, row: Ruling) -> dict[str, Operator]:
    ids = [one for one in (row.proposed_by, row.seconded_by) if one is not None]
    return {one.id: one for one in await session.scalars(sa.select(Operator).where(Operator.id.in_(ids)))}


async def _check(session: AsyncSession, terms: Terms, role: str, by: Signed, at: datetime, tenant_id: str) -> None:
    """The daemon checks again; here so that a mistake is said at once."""
    try:
        operator = await access.get_operator(session, by.operator_id, tenant_id)
    except NotFound:
        raise NotAllowed("no operator of that id") from None
    if operator.revoked_at is not None:
        raise NotAllowed("the operator's token was revoked")
    if abs(by.at - at) > rules.FRESH:
        raise InvalidInput("at", "is more than 10 minutes from now; sign again")
    if not operators.is_signed(operator.public_key, terms.message(role, by.operator_id, by.at), by.signature):
        raise NotAllowed("the signature is not the operator's for this ruling")
