"""Persona's case: what decides a business whose owners are checked too. No I/O.

The check that we open is the business's inquiry. A workflow at Persona collects it with one inquiry for each owner in a
case, and the case is what people there resolve. Its `status` and `resolution` are words of the customer's own, so
which of them mean yes and no is configured; of every other word nothing is repeated.

Source: https://docs.withpersona.com/integration-guide-understanding-a-persona-api-payload, persona-openapi 2025-12-08
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from issuer.errors import SettingsError
from issuer.providers.persona_custom import Link, One, linked, yes_and_no
from issuer.providers.persona_inquiry import Inquiry
from issuer.providers.protocol import CheckOutcome, Outcome, Part, Reading
from issuer.providers.wire import identifier, moment

MOST_OWNERS: Final = 99  # with the business itself as many as one list of inquiries shows

# What an owner's inquiry says in a case that is approved. One that is only completed is the reviewer's to judge.
OWNERS: Final[Mapping[Outcome, CheckOutcome]] = {
    Outcome.APPROVED: CheckOutcome.PASSED,
    Outcome.SUBMITTED: CheckOutcome.PASSED,
    Outcome.IN_REVIEW: CheckOutcome.PASSED,
    Outcome.DECLINED: CheckOutcome.FAILED,
    Outcome.FAILED: CheckOutcome.FAILED,
}
DONE: Final = frozenset({Outcome.SUBMITTED, Outcome.IN_REVIEW, Outcome.APPROVED, Outcome.DECLINED})


class CaseRules(msgspec.Struct, frozen=True, kw_only=True):
    """`templates`: by inquiry template, the case template whose cases decide it. Words in lower case."""

    templates: Mapping[str, str] = {}
    approved: frozenset[str] = frozenset({"approved"})
    declined: frozenset[str] = frozenset({"declined"})


class _Many(msgspec.Struct):
    data: list[Link] | Link | None = None  # an empty one may be written `{}`


class _Relationships(msgspec.Struct, rename="kebab"):
    case_template: One | None = None
    inquiries: _Many | None = None


class _Attributes(msgspec.Struct, rename="kebab"):
    status: Any = None
    resolution: Any = None
    created_at: Any = None
    updated_at: Any = None
    resolved_at: Any = None
    redacted_at: Any = None


class Case(msgspec.Struct):
    """One case, without its fields, names and people."""

    type: str
    id: str
    attributes: _Attributes
    relationships: _Relationships

    def template(self) -> str | None:
        return linked(self.relationships.case_template)

    def inquiries(self) -> list[str]:
        there = self.relationships.inquiries
        links = there.data if there is not None and isinstance(there.data, list) else []
        return [ref for link in links[: MOST_OWNERS + 1] if (ref := identifier(link.id)) is not None]

    def says(self, rules: CaseRules) -> Outcome | None:
        """None: neither yes nor no."""
        said = {text.strip().lower() for text in (self.attributes.resolution, self.attributes.status) if _is_text(text)}
        yes, no = bool(said & rules.approved), bool(said & rules.declined)
        if yes is no:
            return None
        return Outcome.APPROVED if yes else Outcome.DECLINED

    def newest(self) -> datetime | None:
        about = self.attributes
        times = map(moment, (about.created_at, about.updated_at, about.resolved_at, about.redacted_at))
        return max((at for at in times if at is not None), default=None)


class _Page(msgspec.Struct):
    data: list[Case]


class _Single(msgspec.Struct):
    data: Case


_PAGE = msgspec.json.Decoder(_Page)
_SINGLE = msgspec.json.Decoder(_Single)
_BAD = (msgspec.MsgspecError, ValueError, RecursionError)


def rules_from(options: Mapping[str, str]) -> CaseRules:
    """Raises `SettingsError`."""
    templates: dict[str, str] = {}
    for pair in re.split(r"[\s,]+", options["PERSONA_CASE_TEMPLATES"].strip()):
        inquiry, _, case = pair.partition(":")
        if pair and (identifier(inquiry) is None or identifier(case) is None):
            raise SettingsError("PERSONA_CASE_TEMPLATES", "must list pairs, each as itmpl_...:ctmpl_...")
        templates |= {inquiry: case} if pair else {}
    approved, declined = yes_and_no(options, "PERSONA_CASE_APPROVED", "PERSONA_CASE_DECLINED")
    return CaseRules(templates=templates, approved=approved, declined=declined)


def read_cases(body: bytes) -> list[Case] | None:
    """The cases of a list answer, newest first; None if the shape is wrong."""
    try:
        return [one for one in _PAGE.decode(body).data if one.type == "case"]
    except _BAD:
        return None


def read_case(body: bytes) -> Case | None:
    try:
        found = _SINGLE.decode(body).data
    except _BAD:
        return None
    return found if found.type == "case" else None


def decided(reading: Reading, case: Case | None, owners: Sequence[Inquiry], rules: CaseRules) -> Reading:
    """What a business's own inquiry and its case say together.

    Until the case says yes or no there is no decision. A case that says yes while the inquiry of an owner was declined,
    failed, is still open or is not shown waits for a person.
    """
    done = Outcome.SUBMITTED if reading.outcome in DONE else reading.outcome
    if case is None:
        return msgspec.structs.replace(reading, outcome=done, decided_at=None)
    shown = {ref: one for one in owners if (ref := one.check_ref()) is not None}
    named = [ref for ref in case.inquiries() if ref != reading.check_ref]
    parts = tuple(Part(ref=ref, kind="owner", outcome=_owner(shown.get(ref))) for ref in named)
    said, changed_at = case.says(rules), case.newest() or reading.evidence_at
    outcome = said or done
    if said is Outcome.APPROVED and any(part.outcome is not CheckOutcome.PASSED for part in parts):
        outcome = Outcome.IN_REVIEW
    return msgspec.structs.replace(
        reading,
        outcome=outcome,
        status=f"case.{said or 'open'}",
        evidence_at=max(reading.evidence_at, changed_at),
        decided_at=(moment(case.attributes.resolved_at) or changed_at) if outcome is said else None,
        redacted=reading.redacted or case.attributes.redacted_at is not None,
        parts=reading.parts + parts,
    )


def _owner(inquiry: Inquiry | None) -> CheckOutcome:
    return CheckOutcome.PENDING if inquiry is None else OWNERS.get(inquiry.outcome(), CheckOutcome.PENDING)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 200
