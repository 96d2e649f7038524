"""The objects that the simulated Persona keeps, all in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from scripts.persona_simulator.people import empty_fields
from scripts.persona_simulator.wire import JsonObject

INQUIRY_TIMES = (
    "updated-at",
    "created-at",
    "started-at",
    "expires-at",
    "completed-at",
    "failed-at",
    "marked-for-review-at",
    "decisioned-at",
    "expired-at",
    "redacted-at",
)
"""The inquiry's timestamps, in the order in which Persona writes them."""

STATUSES = (
    "created",
    "pending",
    "completed",
    "failed",
    "expired",
    "needs_review",
    "approved",
    "declined",
)


@dataclass(slots=True)
class Account:
    id: str
    reference_id: str | None
    type_id: str
    created_at: float
    updated_at: float
    redacted_at: float | None = None
    tags: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Session:
    """One visit to the flow; its token is a bearer secret."""

    id: str
    inquiry_id: str
    created_at: float
    expires_at: float
    status: str = "new"
    started_at: float | None = None
    expired_at: float | None = None


@dataclass(slots=True)
class Link:
    """A one-time link: usable once, plus a grace of five minutes after that first use."""

    code: str
    inquiry_id: str
    session_id: str
    expires_at: float
    used_at: float | None = None


@dataclass(slots=True)
class Part:
    """A verification, document, selfie or report: something made during a run."""

    type: str
    id: str
    attributes: JsonObject
    inquiry_id: str | None
    account_id: str | None


@dataclass(slots=True)
class Inquiry:
    id: str
    template_id: str
    template_version_id: str
    reference_id: str | None
    account_id: str | None
    status: str = "created"
    times: dict[str, float | None] = field(default_factory=dict)
    fields: dict[str, dict[str, Any]] = field(default_factory=empty_fields)
    note: str | None = None
    tags: list[str] = field(default_factory=list)
    behaviors: JsonObject = field(default_factory=dict)
    creator: str = "API"
    reviewer_comment: str | None = None
    redirect_uri: str | None = None
    previous_step: str | None = None
    next_step: str | None = "start"
    reviewer: tuple[str, str] | None = None
    verifications: list[str] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    selfies: list[str] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    life_seconds: dict[str, float] = field(default_factory=dict)
    """Seconds until expiry after ``create``, ``start`` and ``resume``; 24 h if not given."""
    extra_attributes: JsonObject = field(default_factory=dict)
    """Attributes Persona does not have; only the control surface sets them."""


@dataclass(slots=True)
class Case:
    """`status` and `resolution` are texts of the customer's own."""

    id: str
    template_id: str
    name: str
    inquiries: list[str]
    created_at: float
    updated_at: float
    status: str = "Open"
    resolution: str | None = None
    resolved_at: float | None = None
    redacted_at: float | None = None


@dataclass(slots=True)
class Transaction:
    id: str
    type_id: str
    reference: str | None
    created_at: float
    updated_at: float
    status: str = "created"
    fields: JsonObject = field(default_factory=dict)


@dataclass(slots=True)
class Snapshot:
    """Resources as they stood at one moment, in neutral form (kebab keys, raw field keys)."""

    data: JsonObject
    included: list[JsonObject]


@dataclass(slots=True)
class Event:
    id: str
    name: str
    created_at: float
    payload: Snapshot
    extra: JsonObject = field(default_factory=dict)
    drop_included: bool = False


@dataclass(slots=True)
class Secret:
    value: str
    expires_at: float | None = None


@dataclass(slots=True)
class Webhook:
    id: str
    url: str
    created_at: float
    secrets: list[Secret]
    """Newest first."""
    enabled_events: list[str]
    status: str = "disabled"
    name: str | None = None
    description: str | None = None
    api_version: str = "2025-12-08"
    api_key_inflection: str = "kebab"
    attributes_blocklist: list[str] = field(default_factory=list)
    file_access_token_expires_in: int = 21600
    payload_filter: JsonObject | None = None
    custom_http_headers: JsonObject = field(default_factory=dict)
    included_allowlist: JsonObject = field(default_factory=lambda: {"state": "include_none"})
    relationship_allowlist: JsonObject = field(default_factory=lambda: {"state": "include_all"})


@dataclass(slots=True)
class Attempt:
    at: float
    t: int
    signature: str
    status: int | None
    error: str | None
    latency_ms: float
    """Milliseconds between the event being recorded, or the retry being due, and the send."""


@dataclass(slots=True)
class Delivery:
    id: str
    event_id: str
    event_name: str
    inquiry_id: str | None
    webhook_id: str
    body: bytes
    created_at: float
    status: str = "pending"
    note: str | None = None
    corrupt: bool = False
    attempts: list[Attempt] = field(default_factory=list)
