"""How a case moves. No I/O, no clock of its own: functions of values.

Evidence is a provider's reading; newer evidence wins, people outrank it, and whatever is no legal move is kept
as an outcome with a reason and changes nothing.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

import msgspec

from issuer.errors import IllegalMove
from issuer.providers.protocol import CheckOutcome, Glance, Hit, Outcome, Reading


class CaseStatus(StrEnum):
    CREATED = "created"
    STARTED = "started"
    SUBMITTED = "submitted"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    DECLINED = "declined"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    REVOKED = "revoked"


S = CaseStatus
_DECIDED_NEXT = frozenset({S.IN_REVIEW, S.APPROVED, S.DECLINED})

# Every legal move. A reading may skip steps, since webhooks come in any order; it may not go back.
MOVES: dict[CaseStatus, frozenset[CaseStatus]] = {
    S.CREATED: _DECIDED_NEXT | {S.STARTED, S.SUBMITTED, S.FAILED, S.EXPIRED, S.CANCELLED},
    S.STARTED: _DECIDED_NEXT | {S.SUBMITTED, S.FAILED, S.EXPIRED, S.CANCELLED},
    S.SUBMITTED: _DECIDED_NEXT | {S.FAILED, S.EXPIRED, S.CANCELLED},
    S.IN_REVIEW: frozenset({S.APPROVED, S.DECLINED, S.CANCELLED}),
    S.APPROVED: frozenset({S.DECLINED, S.REVOKED}),
    S.DECLINED: frozenset({S.APPROVED}),
    S.FAILED: _DECIDED_NEXT,
    S.EXPIRED: _DECIDED_NEXT | {S.STARTED},
    S.CANCELLED: frozenset(),
    S.REVOKED: frozenset({S.APPROVED, S.DECLINED}),  # once a person has lifted it
}

SUMMARIES: dict[CaseStatus, str] = {
    S.CREATED: "pending",
    S.STARTED: "pending",
    S.SUBMITTED: "pending",
    S.IN_REVIEW: "pending",
    S.APPROVED: "verified",
    S.DECLINED: "rejected",
    S.REVOKED: "rejected",
    S.FAILED: "not_verified",
    S.EXPIRED: "not_verified",
    S.CANCELLED: "not_verified",
}

# Why a case stands where it stands, in codes that a dapp may see. Nothing of the provider's own findings is in them.
REASONS: dict[CaseStatus, list[str]] = {
    S.DECLINED: ["declined_by_provider"],
    S.FAILED: ["check_failed"],
    S.EXPIRED: ["check_expired"],
    S.REVOKED: ["revoked_by_person"],
}

# Cases that may still move without anybody's webhook: the sweep reads them again.
OPEN = frozenset({S.CREATED, S.STARTED, S.SUBMITTED, S.IN_REVIEW})

# Where a person has not finished. Behind it somebody else has to act, however long that takes.
UNFINISHED = frozenset({S.CREATED, S.STARTED})

# An attempt that is used up without an approval. A case that was given up or ran out of time took nobody's decision.
UNSUCCESSFUL = frozenset({S.DECLINED, S.FAILED, S.REVOKED})

# What an answer that names nobody can never say.
DECIDING = frozenset({Outcome.APPROVED, Outcome.DECLINED})

# A provider's word for a check is ours for a case; `unknown` has no status on purpose.
STATUS_OF: dict[Outcome, CaseStatus] = {
    outcome: CaseStatus(outcome.value) for outcome in Outcome if outcome is not Outcome.UNKNOWN
}


def move(source: CaseStatus, target: CaseStatus) -> CaseStatus:
    """The one way to a new status. Raises `IllegalMove`."""
    if target not in MOVES[source]:
        raise IllegalMove("case", source, target)
    return target


def reasons(status: CaseStatus) -> list[str]:
    """Empty for a status that needs none."""
    return list(REASONS.get(status, ()))


REQUIRED_CHECK_MISSING = "required_check_missing"
DUPLICATE_PERSON = "duplicate_person"

OnHit = Literal["review", "revoke", "ignore"]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules need to know of a case. `hits`: keys of finds that were seen before; `flag` waits for a person.

    `crowded`: the person is verified with as many other wallets as the level allows.
    """

    status: CaseStatus
    check_ref: str
    reference: str
    template: str
    environment: str
    evidence_at: datetime | None
    person_ruling: str | None
    hits: frozenset[str] = frozenset()
    flag: str | None = None
    crowded: bool = False


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a reading does to a case: `target` is None when it changes nothing, `outcome` says why in one word.

    `forbid_issue`: the provider's record is gone or not ours, so claims that are not signed yet must not be. `hits`:
    what screening has found that was not known before. `doubts`: in reason codes, why an approval waits.
    """

    outcome: str
    target: CaseStatus | None = None
    forbid_issue: bool = False
    hits: tuple[Hit, ...] = ()
    doubts: tuple[str, ...] = ()


def weigh(
    case: Standing, reading: Reading, on_hit: OnHit = "review", required: frozenset[str] = frozenset()
) -> Verdict:
    """Compare a case with what the provider says of its check now.

    A hit that is `review`ed keeps an approval from being made until a person has looked, and takes none back; one that
    `revoke`s is a decline for as long as the provider shows it. An approval that lacks a `required` verification, or is
    one too many for the person, waits until that has changed, or for a person.
    """
    mismatch = _mismatch(case, reading)
    if mismatch:
        return Verdict(outcome=mismatch)
    if reading.redacted:
        return Verdict(outcome="redacted", forbid_issue=True)
    if reading.outcome is Outcome.UNKNOWN:
        return Verdict(outcome="unknown_status")
    if case.person_ruling is not None:
        return Verdict(outcome="person_ruled")
    found = tuple(hit for hit in reading.hits if hit.key not in case.hits)
    revoked = on_hit == "revoke" and bool(reading.hits)
    if not revoked and case.evidence_at is not None and reading.evidence_at < case.evidence_at:
        return Verdict(outcome="older_evidence", hits=found)
    target = S.DECLINED if revoked else STATUS_OF[reading.outcome]
    looked_at = on_hit == "review" and (bool(found) or case.flag is not None)
    doubts: tuple[str, ...] = ()
    if target is S.APPROVED and case.status is not S.APPROVED:
        doubts = _doubts(case, reading, required)
        target = S.IN_REVIEW if looked_at or doubts else target
    if target is case.status:
        return Verdict(outcome="no_change", hits=found, doubts=doubts)
    if target not in MOVES[case.status]:
        return Verdict(outcome="not_a_move", hits=found, doubts=doubts)
    return Verdict(outcome="moved", target=target, hits=found, doubts=doubts)


def is_worth_reading(status: CaseStatus, evidence_at: datetime | None, glance: Glance | None) -> bool:
    """Does a list show anything of a check that the case has not seen? Two changes may bear the same time."""
    if glance is None or evidence_at is None:
        return True
    return glance.changed_at > evidence_at or STATUS_OF.get(glance.outcome) is not status


def is_overdue(
    status: CaseStatus, created_at: datetime, evidence_at: datetime | None, expire_seconds: int | None, now: datetime
) -> bool:
    """Has a check stood unfinished for too long? Not every provider has a clock of its own that says so.

    Counted from the provider's last word, so that one who comes back to a check is given the time again.
    """
    if status not in UNFINISHED or expire_seconds is None:
        return False
    return max(filter(None, (created_at, evidence_at))) + timedelta(seconds=expire_seconds) <= now


def _doubts(case: Standing, reading: Reading, required: frozenset[str]) -> tuple[str, ...]:
    passed = {part.kind for part in reading.parts if part.outcome is CheckOutcome.PASSED}
    found = {REQUIRED_CHECK_MISSING: bool(required - passed), DUPLICATE_PERSON: case.crowded}
    return tuple(code for code, there in found.items() if there)


def _mismatch(case: Standing, reading: Reading) -> str | None:
    """An answer about another check, person, template or environment is nobody's evidence."""
    if reading.check_ref != case.check_ref:
        return "other_check"
    if reading.environment != case.environment:
        return "other_environment"
    if reading.template != case.template:
        return "other_template"
    if reading.reference != case.reference and (reading.reference is not None or reading.outcome in DECIDING):
        return "other_reference"
    return None
