"""What the periodic sweep looks for in the tables: work whose wake-up was lost, and cases that fell silent."""

from collections.abc import Collection
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from issuer.bulk import among
from issuer.cases.rules import CaseStatus
from issuer.cases.tables import Case, Decision
from issuer.claims.tables import Claim
from issuer.inbox.tables import InboxEvent

GRACE = timedelta(seconds=5)  # a fresh event has a job of its own; only an older one was forgotten
AGAIN = timedelta(seconds=30)


async def forgotten_events(session: AsyncSession, *, now: datetime, limit: int) -> list[str]:
    """Unhandled events that are due, oldest first."""
    statement = (
        sa.select(InboxEvent.id)
        .where(InboxEvent.handled_at.is_(None), InboxEvent.next_try_at <= now, InboxEvent.received_at <= now - GRACE)
        .order_by(InboxEvent.id)
        .limit(limit)
    )
    return list(await session.scalars(statement))


async def put_off(session: AsyncSession, event_ids: list[str], now: datetime) -> None:
    """They have a job again; the next sweeps leave them alone for a while."""
    statement = sa.update(InboxEvent).where(among(InboxEvent.id, event_ids), InboxEvent.handled_at.is_(None))
    await session.execute(statement.values(next_try_at=now + AGAIN))


async def case_of_check(session: AsyncSession, provider: str, environment: str, check_ref: str) -> Case | None:
    """The case that opened this check at this provider, in this environment."""
    statement = sa.select(Case).where(
        Case.provider == provider, Case.environment == environment, Case.check_ref == check_ref
    )
    case: Case | None = await session.scalar(statement)
    return case


async def silent_cases(
    session: AsyncSession, statuses: Collection[CaseStatus], *, now: datetime, limit: int
) -> list[Case]:
    """Cases in these states that nobody told us about for a while, the longest silent first.

    Those whose check was never opened, too: their clock runs.
    """
    statement = (
        sa.select(Case)
        .where(Case.status.in_(statuses), Case.next_check_at <= now)
        .order_by(Case.next_check_at)
        .limit(limit)
    )
    return list(await session.scalars(statement))


async def approved_without_claims(session: AsyncSession, *, now: datetime, limit: int) -> list[str]:
    """Approved cases whose newest decision lacks claims on some chain: it was away, or an older claim in the way."""
    newer = sa.orm.aliased(Decision)
    chains = sa.select(sa.func.count(sa.distinct(Claim.chain_id))).where(Claim.decision_id == Decision.id)
    statement = (
        sa.select(Case.id)
        .join(Decision, Decision.case_id == Case.id)
        .where(
            Case.backs_claims,
            Case.next_check_at <= now,
            Decision.outcome == CaseStatus.APPROVED,
            ~sa.exists().where(newer.case_id == Case.id, newer.id > Decision.id),
            chains.correlate(Decision).scalar_subquery() < sa.func.json_array_length(Case.chain_ids),
        )
        .order_by(Decision.id)
        .limit(limit)
    )
    return list(await session.scalars(statement))
