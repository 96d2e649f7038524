"""Persona's inquiry as its API answers it, and the readings made from it. No I/O.

`fields` (name, birth date, address ...) is not declared below, so the decoder skips it without building it.

Source: persona-openapi 2025-12-08, https://docs.withpersona.com/model-lifecycle
"""

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from issuer.providers.protocol import Outcome, Reading
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

_SESSION_LIFE = timedelta(hours=24)  # Persona's default, when a token does not say
_Other = list[Any] | str | int | float | bool | None


class _Link(msgspec.Struct):
    id: Any = None


class _Relationship(msgspec.Struct):
    data: _Link | _Other = None


class _Relationships(msgspec.Struct, rename="kebab"):
    inquiry_template: _Relationship | _Other = None
    template: _Relationship | _Other = None


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

    def template(self) -> str | None:
        if not isinstance(self.relationships, _Relationships):
            return None
        for link in (self.relationships.inquiry_template, self.relationships.template):
            if isinstance(link, _Relationship) and isinstance(link.data, _Link):
                found = identifier(link.data.id)
                if found is not None:
                    return found
        return None

    def reading(self, environment: str, read_at: datetime) -> Reading | None:
        """What this says about the check, or None if it has no id, no status or no time at all."""
        check_ref, attributes = self.check_ref(), self.attributes
        if check_ref is None or not isinstance(attributes, _Attributes):
            return None
        status, evidence_at = word(attributes.status), attributes.newest()
        if status is None or evidence_at is None:
            return None
        outcome = OUTCOMES.get(status, Outcome.UNKNOWN)
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


class _Page(msgspec.Struct):
    data: list[Inquiry]
    links: _Links | _Other = None


class _Problem(msgspec.Struct):
    title: Any = None
    details: Any = None


class _Problems(msgspec.Struct):
    errors: list[_Problem] = []


_ONE = msgspec.json.Decoder(_One)
_PAGE = msgspec.json.Decoder(_Page)
_PROBLEMS = msgspec.json.Decoder(_Problems)
_CLAIMS = msgspec.json.Decoder(dict[str, Any])
_BAD = (msgspec.MsgspecError, ValueError, RecursionError)


class Opened(msgspec.Struct, frozen=True):
    """An inquiry with what came beside it. Token and link are bearer secrets."""

    inquiry: Inquiry
    token: str | None
    link: str | None

    def __repr__(self) -> str:
        return "Opened(***)"


def read_one(body: bytes) -> Opened | None:
    """The inquiry of a single-object answer, or None if the shape is wrong."""
    try:
        answer = _ONE.decode(body)
    except _BAD:
        return None
    meta = answer.meta if isinstance(answer.meta, _Meta) else _Meta()
    return Opened(answer.data, _secret(meta.session_token), _secret(meta.one_time_link))


def read_page(body: bytes) -> tuple[list[Inquiry], bool] | None:
    """The inquiries of a list answer and whether Persona says there are more, or None if the shape is wrong."""
    try:
        page = _PAGE.decode(body)
    except _BAD:
        return None
    return page.data, isinstance(page.links, _Links) and isinstance(page.links.next, str)


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
