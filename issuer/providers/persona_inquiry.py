"""Persona's inquiry as its API answers it, and the readings made from it. No I/O.

`fields` (name, birth date, address ...) is not declared below, so the decoder skips it without building it.

Source: persona-openapi 2025-12-08, https://docs.withpersona.com/model-lifecycle
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from issuer.providers.protocol import CheckOutcome, Hit, Outcome, Part, Reading
from issuer.providers.wire import identifier, moment, reference, word

# `completed` is the end screen, not a decision.
OUTCOMES: Final[Mapping[str, Outcome]] = {
    "created": Outcome.CREATED,
    "pending": Outcome.STARTED,
    "completed": Outcome.SUBMITTED,
    "needs_review": Outcome.IN_REVIEW,
    "approved": Outcome.APPROVED,
    "declined": Outcome.DECLINED,
    "failed": Outcome.FAILED,
    "expired": Outcome.EXPIRED,
}

PART_OUTCOMES: Final[Mapping[str, CheckOutcome]] = {
    "initiated": CheckOutcome.PENDING,
    "submitted": CheckOutcome.PENDING,
    "requires_retry": CheckOutcome.PENDING,
    "passed": CheckOutcome.PASSED,
    "confirmed": CheckOutcome.PASSED,
    "tentatively_passed": CheckOutcome.PASSED,
    "failed": CheckOutcome.FAILED,
    "tentatively_failed": CheckOutcome.FAILED,
    "skipped": CheckOutcome.SKIPPED,
    "canceled": CheckOutcome.SKIPPED,
}
# Screening reports whose match is a reason of ours, about people and about businesses.
HITS: Final[Mapping[str, str]] = {
    "report/watchlist": "watchlist_hit",
    "report/business-watchlist": "watchlist_hit",
    "report/politically-exposed-person": "pep_hit",
    "report/adverse-media": "adverse_media_hit",
    "report/business-adverse-media": "adverse_media_hit",
}
INCLUDE: Final = "reports,verifications"  # what of an inquiry's surroundings is asked for with it
_VERIFICATION = "verification/"
_MOST_REASONS = 20
_MOST_INCLUDED = 200

_SESSION_LIFE = timedelta(hours=24)  # Persona's default, when a token does not say
_Other = list[Any] | str | int | float | bool | None
_NoList = dict[str, Any] | str | int | float | bool | None


class _Link(msgspec.Struct):
    id: Any = None


class _Relationship(msgspec.Struct):
    data: _Link | _Other = None


class _Relationships(msgspec.Struct, rename="kebab"):
    inquiry_template: _Relationship | _Other = None
    template: _Relationship | _Other = None
    account: _Relationship | _Other = None

    def account_id(self) -> str | None:
        link = self.account.data if isinstance(self.account, _Relationship) else None
        return identifier(link.id) if isinstance(link, _Link) else None


class _Attributes(msgspec.Struct, rename="kebab"):
    status: Any = None
    reference_id: Any = None
    created_at: Any = None
    updated_at: Any = None
    started_at: Any = None
    completed_at: Any = None
    failed_at: Any = None
    marked_for_review_at: Any = None
    decisioned_at: Any = None
    expired_at: Any = None
    redacted_at: Any = None

    def newest(self) -> datetime | None:
        """The time of the newest change. `updated-at` alone is not enough: a blocklist on the key may hide it."""
        times = (
            self.created_at,
            self.updated_at,
            self.started_at,
            self.completed_at,
            self.failed_at,
            self.marked_for_review_at,
            self.decisioned_at,
            self.expired_at,
            self.redacted_at,
        )
        return max((at for at in map(moment, times) if at is not None), default=None)


class _Finding(msgspec.Struct):
    """One line of a verification: which of its checks, and how it ended."""

    name: Any = None
    status: Any = None


class _PartAttributes(msgspec.Struct, rename="kebab"):
    status: Any = None
    has_match: Any = None
    completed_at: Any = None
    checks: list[_Finding | _Other] | _NoList = None


class Included(msgspec.Struct):
    """A verification or a report that came beside the inquiry. What it found about whom is skipped by the decoder."""

    type: Any = None
    id: Any = None
    attributes: _PartAttributes | _Other = None
    relationships: _Relationships | _Other = None

    def is_about(self, account_id: str) -> bool:
        return isinstance(self.relationships, _Relationships) and self.relationships.account_id() == account_id

    def hit(self) -> Hit | None:
        """Of a screening report that is ready and matched somebody. The same find has the same key."""
        code, ref, about = HITS.get(str(self.type)), identifier(self.id), self.attributes
        if code is None or ref is None or not isinstance(about, _PartAttributes) or about.has_match is not True:
            return None
        return Hit(code=code, key=f"{ref}@{word(about.completed_at) or ''}")

    def part(self) -> Part | None:
        kind, ref, about = word(self.type), identifier(self.id), self.attributes
        if kind is None or not kind.startswith(_VERIFICATION) or ref is None or not isinstance(about, _PartAttributes):
            return None
        findings = [one for one in about.checks if isinstance(one, _Finding)] if isinstance(about.checks, list) else []
        failed = [identifier(one.name) for one in findings if one.status == "failed"]
        return Part(
            ref=ref,
            kind=kind.removeprefix(_VERIFICATION)[:64],
            outcome=PART_OUTCOMES.get(word(about.status) or "", CheckOutcome.UNKNOWN),
            reasons=tuple(name for name in failed[:_MOST_REASONS] if name is not None),
        )


class Inquiry(msgspec.Struct):
    """One inquiry. Every accessor checks what it returns."""

    type: Any = None
    id: Any = None
    attributes: _Attributes | _Other = None
    relationships: _Relationships | _Other = None

    def check_ref(self) -> str | None:
        return identifier(self.id) if self.type == "inquiry" else None

    def reference(self) -> str | None:
        return reference(self.attributes.reference_id) if isinstance(self.attributes, _Attributes) else None

    def created_at(self) -> datetime | None:
        return moment(self.attributes.created_at) if isinstance(self.attributes, _Attributes) else None

    def changed_at(self) -> datetime | None:
        return self.attributes.newest() if isinstance(self.attributes, _Attributes) else None

    def account(self) -> str | None:
        return self.relationships.account_id() if isinstance(self.relationships, _Relationships) else None

    def template(self) -> str | None:
        if not isinstance(self.relationships, _Relationships):
            return None
        for link in (self.relationships.inquiry_template, self.relationships.template):
            if isinstance(link, _Relationship) and isinstance(link.data, _Link):
                found = identifier(link.data.id)
                if found is not None:
                    return found
        return None

    def outcome(self) -> Outcome:
        status = word(self.attributes.status) if isinstance(self.attributes, _Attributes) else None
        return OUTCOMES.get(status or "", Outcome.UNKNOWN)

    def reading(self, environment: str, read_at: datetime, included: Sequence[Included] = ()) -> Reading | None:
        """What this says about the check, or None if it has no id, no status or no time at all."""
        check_ref, attributes = self.check_ref(), self.attributes
        if check_ref is None or not isinstance(attributes, _Attributes):
            return None
        status, evidence_at = word(attributes.status), attributes.newest()
        if status is None or evidence_at is None:
            return None
        outcome = self.outcome()
        decided = outcome in (Outcome.APPROVED, Outcome.DECLINED)
        return Reading(
            check_ref=check_ref,
            outcome=outcome,
            status=status,
            reference=self.reference(),
            template=self.template(),
            environment=environment,
            evidence_at=evidence_at,
            decided_at=moment(attributes.decisioned_at) if decided else None,
            redacted=attributes.redacted_at is not None,  # any value: an unreadable time is still an erasure
            read_at=read_at,
            hits=tuple(hit for one in included if (hit := one.hit()) is not None),
            parts=tuple(part for one in included if (part := one.part()) is not None),
            person_ref=self.account(),
        )


class _Meta(msgspec.Struct, rename="kebab"):
    session_token: Any = None
    one_time_link: Any = None

    def __repr__(self) -> str:  # both are bearer secrets
        return "_Meta(***)"


class _Links(msgspec.Struct):
    next: Any = None


class _One(msgspec.Struct):
    data: Inquiry
    meta: _Meta | _Other = None
    included: list[Included | _Other] | _NoList = None


class _Page(msgspec.Struct):
    data: list[Inquiry]
    links: _Links | _Other = None


class _Reports(msgspec.Struct):
    data: list[Included | _Other]


class _Problem(msgspec.Struct):
    title: Any = None
    details: Any = None


class _Problems(msgspec.Struct):
    errors: list[_Problem] = []


_ONE = msgspec.json.Decoder(_One)
_PAGE = msgspec.json.Decoder(_Page)
_REPORTS = msgspec.json.Decoder(_Reports)
_PROBLEMS = msgspec.json.Decoder(_Problems)
_CLAIMS = msgspec.json.Decoder(dict[str, Any])
_BAD = (msgspec.MsgspecError, ValueError, RecursionError)


class Opened(msgspec.Struct, frozen=True):
    """An inquiry with what came beside it. Token and link are bearer secrets."""

    inquiry: Inquiry
    token: str | None
    link: str | None
    included: tuple[Included, ...] = ()

    def __repr__(self) -> str:
        return "Opened(***)"


def read_one(body: bytes) -> Opened | None:
    """The inquiry of a single-object answer, or None if the shape is wrong."""
    try:
        answer = _ONE.decode(body)
    except _BAD:
        return None
    meta = answer.meta if isinstance(answer.meta, _Meta) else _Meta()
    beside = answer.included if isinstance(answer.included, list) else []
    included = tuple(one for one in beside[:_MOST_INCLUDED] if isinstance(one, Included))
    return Opened(answer.data, _secret(meta.session_token), _secret(meta.one_time_link), included)


def read_page(body: bytes) -> tuple[list[Inquiry], bool] | None:
    """The inquiries of a list answer and whether Persona says there are more, or None if the shape is wrong."""
    try:
        page = _PAGE.decode(body)
    except _BAD:
        return None
    return page.data, isinstance(page.links, _Links) and isinstance(page.links.next, str)


def read_hits(body: bytes, account_id: str) -> tuple[Hit, ...] | None:
    """What a list of reports says of this account; None if the shape is wrong.

    A filter that Persona did not understand is a list of other people's reports, so each must name the account.
    """
    try:
        reports = [one for one in _REPORTS.decode(body).data if isinstance(one, Included)]
    except _BAD:
        return None
    return tuple(hit for one in reports if one.is_about(account_id) and (hit := one.hit()) is not None)


def says_already_redacted(body: bytes) -> bool:
    """Whether a 409 is "Inquiry already redacted" and not one of the other conflicts."""
    try:
        problems = _PROBLEMS.decode(body).errors
    except _BAD:
        return False
    return any("already redacted" in f"{problem.title} {problem.details}".lower() for problem in problems)


def session_end(token: str | None, now: datetime) -> datetime:
    """When a session token ends by its own `exp` claim, else a day from `now`.

    The signature is not ours to check: the time is only shown to people, Persona enforces its own.
    """
    end = now + _SESSION_LIFE
    try:
        payload = (token or "").split(".")[1]
        claims = _CLAIMS.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        exp = claims.get("exp")
        if isinstance(exp, int | float) and not isinstance(exp, bool):
            end = datetime.fromtimestamp(exp, UTC)
    except (IndexError, binascii.Error, OverflowError, OSError, *_BAD):
        pass
    return end


def _secret(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= 4096 and value.isascii() else None
