"""The door for Persona's webhooks: verify the raw bytes, then read them through an allow-list.

No network, no API key and no HTTP client: this half runs in the process that faces the internet.

Signature: https://docs.withpersona.com/webhooks-best-practices
Envelope:  https://docs.withpersona.com/events
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from issuer.errors import SettingsError, WebhookRefused
from issuer.providers.persona_transaction import MARK
from issuer.providers.protocol import Event, WebhookDoor
from issuer.providers.vendors import ProviderSettings
from issuer.providers.wire import identifier, moment, reference, word

SIGNATURE_HEADER: Final = "persona-signature"

_SCREENED = (
    "watchlist",
    "politically-exposed-person",
    "adverse-media",
    "business-watchlist",
    "business-adverse-media",
)
_FOLLOWED: Final[Mapping[str, str]] = {
    "inquiry": "created started completed failed expired marked-for-review approved declined redacted",
    "account": "redacted",
    "case": "resolved reopened status-updated redacted",
    "transaction": "created status-updated",
    **{f"report/{kind}": "matched dismissed" for kind in _SCREENED},
}
# Events after which the check is worth reading again. Everything else is kept and answered 2xx, and nothing more.
KNOWN_EVENTS: Final = frozenset(f"{family}.{what}" for family, names in _FOLLOWED.items() for what in names.split())

# One group per live secret, separated by a space; inside a group a comma. This is not Stripe's `t=,v1=,v1=`.
_GROUP = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")
_MOST_GROUPS = 4  # rotation needs two; each further one would cost an HMAC over the whole body
_SHORTEST_SECRET = 16


class PersonaDoor(WebhookDoor):
    """Verifies and reads the webhooks of one Persona environment.

    `secrets` are whole strings as Persona shows them, `wbhsec_` included; several while one is being rotated.
    `tolerance_seconds` is our policy, Persona documents none: replays inside it are stopped by the event key.
    Raises `SettingsError` for no secret or a short one.
    """

    name = "persona"

    def __init__(self, environment: str, secrets: Sequence[str], tolerance_seconds: int = 300) -> None:
        if not secrets:
            raise SettingsError("PERSONA_WEBHOOK_SECRET", "at least one webhook secret is needed")
        if any(len(secret) < _SHORTEST_SECRET or secret != secret.strip() for secret in secrets):
            raise SettingsError("PERSONA_WEBHOOK_SECRET", "each secret must be the whole wbhsec_ text, without spaces")
        if tolerance_seconds <= 0:
            raise SettingsError("CLAIMWRIGHT_WEBHOOK_TOLERANCE_SECONDS", "must be a positive number of seconds")
        self._environment = environment
        self._keys = tuple(secret.encode() for secret in secrets)
        self._tolerance = tolerance_seconds

    def __repr__(self) -> str:
        return f"PersonaDoor(environment={self._environment!r}, secrets={len(self._keys)})"

    @property
    def environment(self) -> str:
        return self._environment

    def verify(self, headers: Mapping[str, str], body: bytes, now: float) -> None:
        """Raise `WebhookRefused` unless one group is a fresh HMAC-SHA256 of `t.body` under one of our secrets.

        Reasons: `unsigned` (no header), `malformed-signature`, `bad-signature`, and `stale` (ours, but older or
        newer than the tolerance). `now` in Unix seconds.
        """
        header = _signature(headers)
        if not header:
            raise WebhookRefused("unsigned")
        texts = header.split(" ", _MOST_GROUPS)
        groups = [group for text in texts if (group := _GROUP.fullmatch(text))]
        if len(groups) != len(texts) or len(groups) > _MOST_GROUPS:
            raise WebhookRefused("malformed-signature")
        ours = False
        for at, digest in (group.groups() for group in groups):
            if self._signed(at, digest, body):
                if abs(now - int(at)) <= self._tolerance:
                    return
                ours = True
        raise WebhookRefused("stale" if ours else "bad-signature")

    def _signed(self, at: str, digest: str, body: bytes) -> bool:
        message = at.encode() + b"." + body
        claimed = bytes.fromhex(digest)
        # Bytes, since compare_digest raises on non-ASCII text; every key is tried, so time tells nothing of which fits.
        matches = [hmac.compare_digest(hmac.digest(key, message, "sha256"), claimed) for key in self._keys]
        return any(matches)

    def parse(self, body: bytes) -> Event:
        """Read a verified body. Raises `WebhookRefused("malformed")` if it is no JSON or has no event id to keep."""
        event = read_event(body)
        # Raised here and not in an except clause: a decoder's error may quote the body and must not be chained.
        if event is None:
            raise WebhookRefused("malformed")
        return event


def open_door(settings: ProviderSettings, tolerance_seconds: int) -> WebhookDoor:
    """The door of one configured environment. Raises `SettingsError`."""
    return PersonaDoor(
        settings.environment, [secret.reveal() for secret in settings.webhook_secrets], tolerance_seconds
    )


def _signature(headers: Mapping[str, str]) -> str:
    found = headers.get(SIGNATURE_HEADER)
    if found is None:
        found = next((value for key, value in headers.items() if key.lower() == SIGNATURE_HEADER), "")
    return found


# ---- the envelope -------------------------------------------------------------------------------------------
# Every object may in truth be any JSON value, so each type below is a union that no JSON value falls out of;
# what is not named is skipped by the decoder without being built. Key casing is a setting of the webhook at
# Persona, hence three names for one thing.

_Other = list[Any] | str | int | float | bool | None


class _Link(msgspec.Struct):
    id: Any = None


class _Relationship(msgspec.Struct):
    data: _Link | _Other = None


class _Relationships(msgspec.Struct):
    kebab: _Relationship | _Other = msgspec.field(name="inquiry-template", default=None)
    camel: _Relationship | _Other = msgspec.field(name="inquiryTemplate", default=None)
    snake: _Relationship | _Other = msgspec.field(name="inquiry_template", default=None)
    legacy: _Relationship | _Other = msgspec.field(name="template", default=None)
    inquiry: _Relationship | _Other = None
    account: _Relationship | _Other = None

    def check(self) -> str | None:
        """The inquiry that a report is about."""
        return _linked(self.inquiry)

    def person(self) -> str | None:
        """The account that a report is about; one that monitors a person belongs to no inquiry."""
        return _linked(self.account)

    def template(self) -> str | None:
        found = map(_linked, (self.kebab, self.camel, self.snake, self.legacy))
        return next((one for one in found if one is not None), None)


def _linked(relationship: _Relationship | _Other) -> str | None:
    if isinstance(relationship, _Relationship) and isinstance(relationship.data, _Link):
        return identifier(relationship.data.id)
    return None


class _SubjectAttributes(msgspec.Struct):
    status: Any = None
    kebab: Any = msgspec.field(name="reference-id", default=None)
    camel: Any = msgspec.field(name="referenceId", default=None)
    snake: Any = msgspec.field(name="reference_id", default=None)


class _Subject(msgspec.Struct):
    """What the event is about: an inquiry, an account, a report ..."""

    type: Any = None
    id: Any = None
    attributes: _SubjectAttributes | _Other = None
    relationships: _Relationships | _Other = None


class _Payload(msgspec.Struct):
    data: _Subject | _Other = None


class _EventAttributes(msgspec.Struct):
    name: Any = None
    payload: _Payload | _Other = None
    kebab: Any = msgspec.field(name="created-at", default=None)
    camel: Any = msgspec.field(name="createdAt", default=None)
    snake: Any = msgspec.field(name="created_at", default=None)


class _EventObject(msgspec.Struct):
    id: Any = None
    attributes: _EventAttributes | _Other = None


class _Envelope(msgspec.Struct):
    data: _EventObject | _Other = None


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_NO_EVENT = _EventAttributes()
_NO_SUBJECT = _Subject()
_NO_ATTRIBUTES = _SubjectAttributes()
_NO_LINKS = _Relationships()


def read_event(body: bytes) -> Event | None:
    """One event, from a webhook or a list of them. None if it has no id to keep."""
    try:
        envelope = _ENVELOPE.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    outer = envelope.data
    if not isinstance(outer, _EventObject):
        return None
    key = word(outer.id)
    if key is None:
        return None
    attributes = outer.attributes if isinstance(outer.attributes, _EventAttributes) else _NO_EVENT
    payload = attributes.payload
    subject = payload.data if isinstance(payload, _Payload) and isinstance(payload.data, _Subject) else _NO_SUBJECT
    about = subject.attributes if isinstance(subject.attributes, _SubjectAttributes) else _NO_ATTRIBUTES
    is_check = subject.type == "inquiry"
    links = subject.relationships if isinstance(subject.relationships, _Relationships) else _NO_LINKS
    is_report = isinstance(subject.type, str) and subject.type.startswith("report/")
    check_ref = identifier(subject.id) if is_check else links.check() if is_report else None
    if subject.type == "transaction" and identifier(subject.id) is not None:
        check_ref = f"{MARK}{subject.id}"
    group = {"account": subject.id, "case": subject.id}.get(str(subject.type), links.person() if is_report else None)
    kind = "case" if subject.type == "case" else "account"
    name = word(attributes.name) or "unknown"
    return Event(
        key=key,
        name=name,
        known=name in KNOWN_EVENTS,
        check_ref=check_ref,
        template=links.template() if is_check else None,
        reference=reference(about.kebab) or reference(about.camel) or reference(about.snake),
        status=word(about.status),
        occurred_at=moment(attributes.kebab) or moment(attributes.camel) or moment(attributes.snake),
        group_ref=f"{kind}:{group}" if check_ref is None and identifier(group) is not None else None,
    )
