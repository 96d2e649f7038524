"""How attempts end: of one subject, and of all in a period, so that somebody can see where people are lost."""

from collections import Counter, defaultdict
from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy.ext.asyncio import AsyncSession

from issuer.cases import store
from issuer.cases.reasons import Audience, shown
from issuer.cases.rules import CaseStatus
from issuer.cases.tables import Case, Check
from issuer.db import EPOCH
from issuer.history import History
from issuer.ids import first_id
from issuer.providers.protocol import CheckOutcome

_CODES = msgspec.json.Decoder(list[str])
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


class Reasoned(msgspec.Struct, frozen=True, kw_only=True):
    """How many of the lost cases give this reason code now; one may give several."""

    code: str
    count: int


class FailedCheck(msgspec.Struct, frozen=True, kw_only=True):
    """How many verifications of lost cases failed for what the provider calls `code`; for compliance alone."""

    provider: str
    kind: str
    code: str
    count: int


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """`day` in UTC, `2026-11-26`: how many cases were opened, approved and lost."""

    day: str
    opened: int
    approved: int
    lost: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What became of cases between two times. Lists have the largest first; one case may be lost more than once.

    `checks` is there for compliance alone.
    """

    since: datetime
    until: datetime
    opened: int
    approved: int
    losses: list[Loss]
    reasons: list[Reasoned]
    days: list[Day]
    checks: list[FailedCheck] | UnsetType = UNSET


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


async def of_period(
    session: AsyncSession, tenant_id: str, since: datetime, until: datetime, audience: Audience = Audience.DAPP
) -> Report:
    """From `since` on and before `until`, by the history: what a case became later changes nothing about it.

    Reason codes are those that the lost cases have now, as far as the audience may read them.
    """
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
    lost = sa.select(History.case_id).where(*within, really, History.target.in_(LOST))
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
        reasons=await _reasons(session, lost, audience),
        days=days,
        checks=await _failed_checks(session, lost) if audience is Audience.COMPLIANCE else UNSET,
    )


async def _reasons(session: AsyncSession, lost: sa.Select[str], audience: Audience) -> list[Reasoned]:
    codes = sa.cast(Case.reasons, sa.Text)  # few different lists, and PostgreSQL groups no JSON
    rows = await session.execute(sa.select(codes, sa.func.count()).where(Case.id.in_(lost)).group_by(codes))
    counts: Counter[str] = Counter()
    for text, count in rows:
        counts.update(dict.fromkeys(shown(_CODES.decode(text), audience), count))
    return [Reasoned(code=code, count=count) for code, count in counts.most_common()]


async def _failed_checks(session: AsyncSession, lost: sa.Select[str]) -> list[FailedCheck]:
    codes = sa.cast(Check.reasons, sa.Text)
    columns = (Case.provider, Check.kind, codes)
    rows = await session.execute(
        sa.select(*columns, sa.func.count())
        .join(Case, Case.id == Check.case_id)
        .where(Case.id.in_(lost), Check.outcome == CheckOutcome.FAILED)
        .group_by(*columns)
    )
    counts: Counter[tuple[str, str, str]] = Counter()
    for provider, kind, text, count in rows:
        counts.update(dict.fromkeys(((provider, kind, code) for code in _CODES.decode(text) or [""]), count))
    return [
        FailedCheck(provider=provider, kind=kind, code=code, count=count)
        for (provider, kind, code), count in counts.most_common()
    ]


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
