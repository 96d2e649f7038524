"""How attempts end: of one subject, and of all in a period, so that somebody can see where people are lost."""

from collections import Counter, defaultdict
from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from issuer.cases import store
from issuer.cases.rules import CaseStatus
from issuer.cases.tables import Case
from issuer.db import EPOCH
from issuer.history import History
from issuer.ids import first_id

DAY_MICROSECONDS = 86_400_000_000
LOST = (CaseStatus.DECLINED, CaseStatus.FAILED, CaseStatus.EXPIRED, CaseStatus.CANCELLED, CaseStatus.REVOKED)


class Attempts(msgspec.Struct, frozen=True, kw_only=True):
    """Cases of one subject: how many by status and by level, and when the first and the last were opened."""

    total: int
    by_status: dict[str, int]
    by_level: dict[str, int]
    first_at: datetime | None
    last_at: datetime | None


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """`count` cases ended as `ended` while they were in `step`, the last thing the person had done."""

    level: str
    provider: str
    template: str
    step: str
    ended: str
    cause: str
    count: int


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """`day` in UTC, `2026-11-26`: how many cases were opened, approved and lost."""

    day: str
    opened: int
    approved: int
    lost: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What became of cases between two times. `losses` with the largest first; one case may be lost more than once."""

    since: datetime
    until: datetime
    opened: int
    approved: int
    losses: list[Loss]
    days: list[Day]


async def of_subject(session: AsyncSession, subject_id: str) -> Attempts:
    """Of the person behind it, with all wallets."""
    everyone = await store.subjects_of_person(session, subject_id)
    statement = sa.select(Case.status, Case.level, Case.created_at).where(Case.subject_id.in_(everyone))
    rows = list(await session.execute(statement))
    times = [row.created_at for row in rows]
    return Attempts(
        total=len(rows),
        by_status=dict(Counter(str(row.status) for row in rows)),
        by_level=dict(Counter(row.level for row in rows)),
        first_at=min(times, default=None),
        last_at=max(times, default=None),
    )


async def of_period(session: AsyncSession, tenant_id: str, since: datetime, until: datetime) -> Report:
    """From `since` on and before `until`, by the history: what a case became later changes nothing about it."""
    within = (
        History.tenant_id == tenant_id,
        History.claim_id.is_(None),
        History.id >= first_id("his", since),
        History.id < first_id("his", until),
    )
    day = sa.type_coerce(History.at, sa.BigInteger) // DAY_MICROSECONDS
    really = History.source.is_distinct_from(History.target)
    moves = await session.execute(
        sa.select(day, History.target, sa.func.count()).where(*within, really).group_by(day, History.target)
    )
    lost_in = (Case.level, Case.provider, Case.template, History.source, History.target, History.cause)
    losses = await session.execute(
        sa.select(*lost_in, sa.func.count())
        .join(Case, Case.id == History.case_id)
        .where(*within, really, History.target.in_(LOST))
        .group_by(*lost_in)
    )
    by_day: dict[int, Counter[str]] = defaultdict(Counter)
    for number, target, count in moves:
        by_day[number][target] += count
    days = [_day(number, by_day[number]) for number in sorted(by_day)]
    return Report(
        since=since,
        until=until,
        opened=sum(one.opened for one in days),
        approved=sum(one.approved for one in days),
        losses=sorted((_loss(*row) for row in losses), key=lambda loss: -loss.count),
        days=days,
    )


def chart(report: Report, *, width: int = 50) -> list[str]:
    """Lines for a terminal: a bar for each day, `#` approved, `-` lost, `.` still open or opened before."""
    most = max((max(day.opened, day.approved + day.lost) for day in report.days), default=0) or 1
    lines = []
    for day in report.days:
        approved, lost = (round(width * number / most) for number in (day.approved, day.lost))
        rest = max(0, round(width * day.opened / most) - approved - lost)
        bar = "#" * approved + "-" * lost + "." * rest
        lines.append(f"{day.day}  {bar}  {day.opened} opened, {day.approved} approved, {day.lost} lost")
    return lines


def _day(number: int, counts: Counter[str]) -> Day:
    return Day(
        day=(EPOCH + timedelta(days=number)).date().isoformat(),
        opened=counts[CaseStatus.CREATED],
        approved=counts[CaseStatus.APPROVED],
        lost=sum(counts[status] for status in LOST),
    )


def _loss(level: str, provider: str, template: str, step: str | None, ended: str, cause: str, count: int) -> Loss:
    return Loss(
        level=level, provider=provider, template=template, step=step or "", ended=ended, cause=cause, count=count
    )
