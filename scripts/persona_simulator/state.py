"""Everything one simulated Persona environment holds."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from scripts.persona_simulator import resources
from scripts.persona_simulator.chaos import Chaos
from scripts.persona_simulator.clock import Clock
from scripts.persona_simulator.delivery import Courier
from scripts.persona_simulator.faults import Faults
from scripts.persona_simulator.idempotency import Replays
from scripts.persona_simulator.ids import new_id
from scripts.persona_simulator.limits import RateLimit
from scripts.persona_simulator.model import (
    Account,
    Case,
    Delivery,
    Event,
    Inquiry,
    Link,
    Part,
    Secret,
    Session,
    Snapshot,
    Transaction,
    Webhook,
)
from scripts.persona_simulator.settings import Settings
from scripts.persona_simulator.wire import JsonObject


@dataclass(slots=True)
class Workflow:
    """The workflow that decides by itself after ``completed``; off until switched on."""

    enabled: bool = False
    delay_seconds: float = 2.0
    outcome: str = "approve"


class World:
    """The in-memory store, its clock, and what hangs on it. One per process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = Clock()
        self.courier = Courier(self)
        self.token_key = secrets.token_bytes(32)
        self._clear()

    def _clear(self) -> None:
        self.inquiries: dict[str, Inquiry] = {}
        self.accounts: dict[str, Account] = {}
        self.references: dict[str, Account] = {}
        """Live accounts by reference; two cannot share one."""
        self.sessions: dict[str, Session] = {}
        self.links: dict[str, Link] = {}
        self.parts: dict[str, Part] = {}
        self.cases: dict[str, Case] = {}
        self.transactions: dict[str, Transaction] = {}
        self.events: dict[str, Event] = {}
        self.webhooks: dict[str, Webhook] = {}
        self.deliveries: dict[str, Delivery] = {}
        self.template_versions: dict[str, str] = {}
        self.chaos = Chaos()
        self.faults = Faults()
        self.workflow = Workflow()
        self.rate_limit = RateLimit()
        self.replays = Replays()
        self.redaction_delay = 3.0
        self._last_event_ms = 0
        if self.settings.webhook_url and self.settings.webhook_secret:
            webhook = Webhook(
                id=new_id("wbh"),
                url=self.settings.webhook_url,
                created_at=self.clock.now(),
                secrets=[Secret(self.settings.webhook_secret)],
                enabled_events=list(self.settings.webhook_events),
                status="enabled",
                name="Registered at start-up",
            )
            self.webhooks[webhook.id] = webhook

    def reset(self) -> None:
        """Forget everything and register the start-up webhook again."""
        self.clock.reset()
        self._clear()

    def add_account(self, account: Account) -> None:
        self.accounts[account.id] = account
        if account.reference_id is not None:
            self.references.setdefault(account.reference_id, account)

    def record(self, name: str, payload: Snapshot) -> Event:
        """Store an event, then hand it to every webhook that wants it."""
        # Strictly increasing, because receivers order events by this very timestamp.
        self._last_event_ms = max(round(self.clock.now() * 1000), self._last_event_ms + 1)
        event = Event(new_id("evt"), name, self._last_event_ms / 1000, payload)
        self.events[event.id] = event
        self.courier.fan_out(event)
        return event

    def record_inquiry(self, name: str, inquiry: Inquiry) -> Event:
        return self.record(name, resources.inquiry_snapshot(self, inquiry))

    def refs(self, ids: list[str]) -> JsonObject:
        return {"data": [{"type": self.parts[key].type, "id": key} for key in ids]}

    def template_version(self, template_id: str) -> str:
        """The published version of a template; the same one for the life of the process."""
        return self.template_versions.setdefault(template_id, new_id("itmplv"))

    def active_secrets(self, webhook: Webhook, now: float) -> list[str]:
        """The secrets that sign now, newest first."""
        return [s.value for s in webhook.secrets if s.expires_at is None or s.expires_at > now]
