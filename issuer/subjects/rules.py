"""How long what is kept. No I/O; the clock is an argument."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from issuer.cases.rules import OPEN, CaseStatus
from issuer.claims.rules import ClaimStatus

# A claim that may still count, or is about to.
LIVE = frozenset(
    {ClaimStatus.QUEUED, ClaimStatus.SIGNED, ClaimStatus.MINED, ClaimStatus.CONFIRMED, ClaimStatus.REVOKING}
)


class Periods(msgspec.Struct, frozen=True, kw_only=True):
    """`decisions`: after the relationship has ended. `logs`: handled provider events, refusals, unused challenges."""

    decisions: timedelta
    logs: timedelta


class CaseEnd(msgspec.Struct, frozen=True, kw_only=True):
    status: CaseStatus
    updated_at: datetime


class ClaimEnd(msgspec.Struct, frozen=True, kw_only=True):
    status: ClaimStatus
    valid_until: datetime | None
    updated_at: datetime


def ended_at(cases: Iterable[CaseEnd], claims: Iterable[ClaimEnd], now: datetime) -> datetime | None:
    """When the relationship with a subject ended: its last case decided or over, its last claim run out or taken back.

    None while it lasts.
    """
    ends = []
    for case in cases:
        if case.status in OPEN:
            return None
        ends.append(case.updated_at)
    for claim in claims:
        if claim.status in LIVE:
            over = claim.status == ClaimStatus.CONFIRMED and claim.valid_until is not None and claim.valid_until <= now
            if not over or claim.valid_until is None:
                return None
            ends.append(claim.valid_until)
        ends.append(claim.updated_at)
    return max(ends, default=None)


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """When a subject can be erased, and why not now: `claims_stand`, `retention`, `legal_hold`; None if now."""

    due_at: datetime | None
    waits_for: str | None


def erasure(ended: datetime | None, *, held: bool, periods: Periods, now: datetime) -> Erasure:
    due = None if ended is None else ended + periods.decisions
    if held:
        return Erasure(due_at=due, waits_for="legal_hold")
    if due is None:
        return Erasure(due_at=None, waits_for="claims_stand")
    return Erasure(due_at=due, waits_for="retention" if due > now else None)
