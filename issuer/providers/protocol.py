"""What the house asks of a KYC provider, in words that no vendor owns.

An adapter turns a vendor's vocabulary into `Outcome` and nothing else of the vendor gets through: no
attribute of a person is in any type below.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

import msgspec

NO_EVIDENCE = datetime(1970, 1, 1, tzinfo=UTC)  # the time of an answer that says only "not yet": it outweighs nothing


class Outcome(StrEnum):
    """Where a check stands at the provider."""

    CREATED = "created"
    STARTED = "started"
    SUBMITTED = "submitted"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    DECLINED = "declined"
    FAILED = "failed"
    EXPIRED = "expired"
    UNKNOWN = "unknown"  # a status this version has no word for: never acted on


class CheckOutcome(StrEnum):
    """How one part of a check ended."""

    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One verification inside a check: `kind` in the provider's word for it (`government-id`), never what it found.

    `reasons` are the provider's codes for what failed; compliance alone may read them.
    """

    ref: str
    kind: str
    outcome: CheckOutcome
    reasons: tuple[str, ...] = ()


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A screening report that found somebody. `code` is a reason code of ours; `key` is the same for the same find."""

    code: str
    key: str


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One webhook, read through an allow-list of fields. A doorbell: nothing here is trusted as a decision.

    `key` is the provider's own event id and the de-duplication key; `known` says whether the event name is
    one that should make us read the check again. `group_ref` names what stands around several checks, where the event
    is about that: a person's account, a business's case.
    """

    key: str
    name: str
    known: bool
    check_ref: str | None
    template: str | None
    reference: str | None
    status: str | None
    occurred_at: datetime | None
    group_ref: str | None = None


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """The provider's own answer about one check, as of `read_at`. This, not a webhook, is the truth.

    `evidence_at` is the provider's time of the newest change and orders readings; `decided_at` the time of
    the decision if there is one. `reference` is None where the answer does not say whose check it is, which decides
    nothing. `redacted` means the record was erased: no claim may be issued on it. `hits`: what screening found, of a
    person who is monitored also long after the decision. `parts`: the verifications that the check is made of.
    `person_ref`: the provider's id of the person, where it keeps persons; two references may turn out to be one.
    """

    check_ref: str
    outcome: Outcome
    status: str
    reference: str | None
    template: str | None
    environment: str
    evidence_at: datetime
    decided_at: datetime | None
    redacted: bool
    read_at: datetime
    hits: tuple[Hit, ...] = ()
    parts: tuple[Part, ...] = ()
    person_ref: str | None = None


class Glance(msgspec.Struct, frozen=True, kw_only=True):
    """How a check stands in a list of many: enough to see whether it is worth reading, and never a decision."""

    outcome: Outcome
    changed_at: datetime


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """How a person enters the check. `token` is a bearer secret: shown once, never stored or logged."""

    token: str | None
    url: str
    expires_at: datetime

    def __repr__(self) -> str:
        return "Session(***)"


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """A check that now exists at the provider, and the way into it; None where nobody has to enter it."""

    check_ref: str
    session: Session | None


class StartCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed to open a check. `reference` is our opaque subject id, never a wallet or an e-mail.

    `idempotency_key` makes a repeat of the same call safe. `prefill` goes through untouched and is kept nowhere.
    """

    reference: str
    template: str
    idempotency_key: str
    redirect_url: str | None = None
    prefill: Mapping[str, object] | None = None

    def __repr__(self) -> str:
        return f"StartCheck(reference={self.reference!r}, template={self.template!r})"


class WebhookDoor(Protocol):
    """The half of a provider that faces the internet: verify bytes, then read them. No network, no keys that decide."""

    @property
    def name(self) -> str: ...

    @property
    def environment(self) -> str: ...

    def verify(self, headers: Mapping[str, str], body: bytes, now: float) -> None:
        """Raise `WebhookRefused` unless the raw bytes carry a valid, fresh signature. `now` in Unix seconds."""
        ...

    def parse(self, body: bytes) -> Event:
        """Read a verified body. Raises `WebhookRefused("malformed")` only if there is no event id to keep."""
        ...


class Provider(Protocol):
    """The half that speaks to the provider's API. Every call may raise `ProviderError`s."""

    @property
    def name(self) -> str: ...

    @property
    def environment(self) -> str: ...

    @property
    def clock_ahead(self) -> float | None:
        """Seconds that the provider's clock was ahead of ours at its last answer; None: it did not say."""
        ...

    async def check(self) -> object:
        """Prove the key with one cheap read that changes nothing and names nobody."""
        ...

    async def start(self, request: StartCheck) -> Started:
        """Open a check, or get the one that the same idempotency key opened before."""
        ...

    async def find(self, reference: str, template: str, created_since: datetime) -> list[Reading]:
        """Checks opened for `reference` since a time, newest first: what to look at before opening a second one."""
        ...

    async def fetch(self, check_ref: str) -> Reading: ...

    async def glance(self, check_refs: Sequence[str]) -> Mapping[str, Glance]:
        """Many checks (at most 100) in one call, by ref. Those that a list says too little of are left out, or all."""
        ...

    async def checks_of(self, group_ref: str) -> list[str]:
        """The checks that an event's `group_ref` stands around, newest first; those of others too."""
        ...

    async def resume(self, check_ref: str) -> Session: ...

    async def one_time_link(self, check_ref: str) -> Session: ...

    async def expire(self, check_ref: str) -> None: ...

    async def approve(self, check_ref: str, comment: str | None = None) -> None: ...

    async def decline(self, check_ref: str, comment: str | None = None) -> None: ...

    async def redact(self, check_ref: str) -> None: ...

    async def aclose(self) -> None: ...
