"""What most vendors have in common, so that an adapter is only its vendor's words.

Signed webhooks: a hex HMAC over the raw body in one header, no time in it. A right signature therefore says nothing
about freshness; the event key stops replays and the decision is read again anyway.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import NoReturn, TypeVar

import msgspec

from issuer.errors import ProviderRefused, SettingsError, WebhookRefused
from issuer.providers.http import Answer, ProviderHttp, unexpected
from issuer.providers.protocol import (
    CheckOutcome,
    Event,
    Glance,
    Outcome,
    Part,
    Provider,
    Reading,
    Session,
    StartCheck,
    WebhookDoor,
)
from issuer.providers.vendors import VENDORS, ProviderSettings
from issuer.providers.wire import identifier

T = TypeVar("T")
MOST_CODES = 20
_HEX = re.compile(r"[0-9a-f]+")


class HmacDoor(WebhookDoor):
    """Verifies webhooks of one environment. Subclasses name the vendor and its header, and read the body."""

    name: str
    header: str
    algorithm = "sha256"

    def __init__(self, settings: ProviderSettings) -> None:
        """Raises `SettingsError` without a secret."""
        if not settings.webhook_secrets:
            raise SettingsError(VENDORS[settings.vendor].webhook_secret, "at least one webhook secret is needed")
        self._environment = settings.environment
        self._secrets = tuple(secret.reveal().encode() for secret in settings.webhook_secrets)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(environment={self._environment!r}, secrets={len(self._secrets)})"

    @property
    def environment(self) -> str:
        return self._environment

    def verify(self, headers: Mapping[str, str], body: bytes, now: float) -> None:
        """Raise `WebhookRefused`: `unsigned` (no header), `malformed-signature`, `bad-signature`."""
        given = header(headers, self.header)
        if not given:
            raise WebhookRefused("unsigned")
        if len(given) != 2 * hmac.new(b"", b"", self.algorithm).digest_size or not _HEX.fullmatch(given):
            raise WebhookRefused("malformed-signature")
        # Every secret is tried, so that the time taken does not tell which one it was.
        digests = [hmac.new(secret, body, self.algorithm).hexdigest() for secret in self._secrets]
        matches = [hmac.compare_digest(digest.encode(), given.encode()) for digest in digests]
        if not any(matches):
            raise WebhookRefused("bad-signature")

    def parse(self, body: bytes) -> Event:
        event = self.event(body)
        if event is None:
            raise WebhookRefused("malformed")
        return event

    def event(self, body: bytes) -> Event | None:
        """A verified body through an allow-list of fields; None if there is no check in it to tell about."""
        raise NotImplementedError


class PlainProvider(Provider):
    """A vendor's API with its own checks and few acts. What a vendor does not offer is refused by name."""

    name: str
    label: str  # how messages name the vendor

    def __init__(self, settings: ProviderSettings, http: ProviderHttp) -> None:
        self._environment = settings.environment
        self._template = settings.template
        self._templates = settings.templates
        self._http = http

    def __repr__(self) -> str:
        return f"{type(self).__name__}(environment={self._environment!r}, base_url={self._http.base_url!r})"

    @property
    def environment(self) -> str:
        return self._environment

    @property
    def clock_ahead(self) -> float | None:
        return self._http.clock_ahead

    async def aclose(self) -> None:
        await self._http.aclose()

    async def find(self, reference: str, template: str, created_since: datetime) -> list[Reading]:
        """None is found: a check whose answer was lost stays unused at the vendor and belongs to no case."""
        return []

    async def glance(self, check_refs: Sequence[str]) -> Mapping[str, Glance]:
        return {}

    async def checks_of(self, group_ref: str) -> list[str]:
        self._not_offered("list the checks of a group")

    async def one_time_link(self, check_ref: str) -> Session:
        return await self.resume(check_ref)

    async def resume(self, check_ref: str) -> Session:
        self._not_offered("enter a check again")

    async def expire(self, check_ref: str) -> None:
        self._not_offered("expire a check")

    async def approve(self, check_ref: str, comment: str | None = None) -> None:
        self._not_offered("approve a check")

    async def decline(self, check_ref: str, comment: str | None = None) -> None:
        self._not_offered("decline a check")

    async def redact(self, check_ref: str) -> None:
        self._not_offered("redact a check")

    def _not_offered(self, what: str) -> NoReturn:
        raise ProviderRefused(f"{self.label}, {what}: its API does not offer that")

    def _checked(self, request: StartCheck, what: str) -> None:
        if request.template not in self._templates:
            raise ProviderRefused(f"{self.label}, {what}: the template is not one of the configured ones")

    def _decoded(self, what: str, answer: Answer, kind: type[T]) -> T:
        """The fields of `kind` and no others. Raises `ProviderError`s for a bad status or another shape."""
        self._http.refuse(what, answer)
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            pass  # outside the except clause: the error may quote a person
        raise self._unexpected(what, "answered in another shape than documented", answer)

    def _unexpected(self, what: str, problem: str, answer: Answer) -> ProviderRefused:
        return unexpected(self.label, what, problem, answer)


def header(headers: Mapping[str, str], name: str) -> str:
    """A header's value whatever its case; empty if it is absent."""
    found = headers.get(name.lower())
    return found if found is not None else next((v for key, v in headers.items() if key.lower() == name.lower()), "")


def whole(kind: str, outcome: Outcome, codes: object, *, ref: str | None = None) -> tuple[Part, ...]:
    """The one verification that a check is, where the vendor's answer names no smaller ones. `codes`: why it failed.

    None before there is anything to say. Of `codes` only what has the shape of a code is kept.
    """
    ended = {Outcome.APPROVED: CheckOutcome.PASSED, Outcome.DECLINED: CheckOutcome.FAILED}.get(outcome)
    listed = codes if isinstance(codes, list) else [codes]
    reasons = [code for one in listed[:MOST_CODES] if (code := identifier(str(one) if _is_number(one) else one))]
    if ended is None and not reasons:
        return ()
    return (Part(ref=ref or kind, kind=kind, outcome=ended or CheckOutcome.PENDING, reasons=tuple(reasons)),)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def event_key(body: bytes, *parts: str | None) -> str:
    """A de-duplication key where the vendor gives no delivery id: what the event is about, and its exact bytes."""
    return ":".join([*(part or "-" for part in parts), sha256(body).hexdigest()[:32]])


def short_hash(text: str) -> str:
    """12 hex digits that stand for one try of one case in a vendor's own id for it."""
    return sha256(text.encode()).hexdigest()[:12]


def own_reference(value: str | None) -> str | None:
    """Our subject id from `SUBJECT-HASH`, which is what some vendors get as the id of one attempt."""
    subject, dash, attempt = (value or "").rpartition("-")
    return subject if dash and re.fullmatch(r"[0-9a-f]{12}", attempt) else None


def now() -> datetime:
    return datetime.now(UTC)


def secrets_of(settings: ProviderSettings, names: Sequence[str]) -> list[str]:
    """The API's secrets in order. Raises `SettingsError` for one that could not stand in a header."""
    found = [settings.keys[name].reveal() for name in names]
    for name, value in zip(names, found, strict=True):
        if not re.fullmatch(r"[!-~]{8,512}", value):
            raise SettingsError(name, "has characters that no key has")
    return found
