"""What a person may do to a case, what is signed for it, and whether it still fits. No I/O, no clock of its own."""

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from issuer.access.operators import Signer
from issuer.cases.rules import CaseStatus
from issuer.db import EPOCH, MICROSECOND

PROPOSE, SECOND = "propose", "second"
FRESH = timedelta(minutes=10)  # how far the time under a signature may be from ours when it is handed in
_DOMAIN = b"claimwright ruling 1\n"


class Act(StrEnum):
    """`lift` takes a person's decline or revocation back: then the provider's word counts again. `clear`: what flagged
    an approved case was looked at, and its claims stay.
    """

    APPROVE = "approve"
    DECLINE = "decline"
    LIFT = "lift"
    CLEAR = "clear"


class RulingStatus(StrEnum):
    PROPOSED = "proposed"  # waits for a second person
    READY = "ready"  # for the daemon
    APPLIED = "applied"
    REFUSED = "refused"  # the daemon found it not proved, or the case no longer what was looked at
    WITHDRAWN = "withdrawn"


R = RulingStatus
MOVES: dict[RulingStatus, frozenset[RulingStatus]] = {
    R.PROPOSED: frozenset({R.READY, R.WITHDRAWN}),
    R.READY: frozenset({R.APPLIED, R.REFUSED}),
    R.APPLIED: frozenset(),
    R.REFUSED: frozenset(),
    R.WITHDRAWN: frozenset(),
}

# Which cases an act is for. A lift asks for the ruling that it takes back, not for a status.
FROM: dict[Act, frozenset[CaseStatus]] = {
    Act.APPROVE: frozenset(
        {CaseStatus.IN_REVIEW, CaseStatus.DECLINED, CaseStatus.FAILED, CaseStatus.REVOKED}  # the last once lifted
    ),
    Act.DECLINE: frozenset(
        {CaseStatus.CREATED, CaseStatus.STARTED, CaseStatus.SUBMITTED, CaseStatus.IN_REVIEW, CaseStatus.APPROVED}
    ),
    Act.CLEAR: frozenset({CaseStatus.APPROVED}),
}


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """One person's half of a ruling. `at`: when it was signed; `signature`: Ed25519 in hex, over `Terms.message`."""

    operator_id: str
    at: datetime
    signature: str


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a ruling says. Who proposes it makes `id`, since it is signed; `seen` is the case as it was looked at."""

    id: str
    case_id: str
    act: Act
    reason: str
    seen: str

    def message(self, role: str, operator_id: str, at: datetime) -> bytes:
        """What an operator signs, in one canonical form: it proves nothing about another case or a later state."""
        parts = {
            "ruling": self.id,
            "case": self.case_id,
            "act": self.act,
            "reason": self.reason,
            "seen": self.seen,
            "role": role,
            "operator": operator_id,
            "at": (at - EPOCH) // MICROSECOND,
        }
        return _DOMAIN + msgspec.json.encode(parts, order="deterministic")

    def sign(self, role: str, signer: Signer, at: datetime) -> Signed:
        at = at - timedelta(microseconds=at.microsecond % 1000)  # what JSON and people carry without loss
        signature = signer.sign(self.message(role, signer.operator_id, at))
        return Signed(operator_id=signer.operator_id, at=at, signature=signature)


def seen(status: str, evidence_at: datetime | None, person_ruling: str | None, hits: int) -> str:
    """What a case was when a person looked at it, in one word: `in_review@1795694400000000`, `+2` after two hits."""
    stamp = 0 if evidence_at is None else (evidence_at - EPOCH) // MICROSECOND
    return f"{status}@{stamp}" + (f"+{hits}" if hits else "") + (f"!{person_ruling}" if person_ruling else "")


def needs_two(act: Act, review: str) -> bool:
    """Four eyes for what may lead to a claim; one pair is enough to say no."""
    return review != "one" and act is not Act.DECLINE


def refusal(
    act: Act, status: CaseStatus, person_ruling: str | None, *, redacted: bool, flagged: bool = False
) -> str | None:
    """Why this act is none for a case that stands so; None if it is."""
    if act is Act.LIFT:
        return None if person_ruling is not None else "nothing_to_lift"
    if person_ruling is not None:
        return "person_ruled"
    if status not in FROM[act]:
        return "not_a_move"
    if act is Act.CLEAR and not flagged:
        return "not_flagged"
    if act is Act.APPROVE and redacted:
        return "redacted"
    return None
