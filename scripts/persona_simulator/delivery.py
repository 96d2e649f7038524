"""Sending events: fan-out, attempts, retries and the delivery log.

Eight attempts, each with five seconds to answer 200, 201, 202 or 204; the waits between
them are measured on the simulated clock (docs.withpersona.com/webhooks).
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import httpx

from scripts.persona_simulator import misbehaviour
from scripts.persona_simulator.blocklist import Blocklist
from scripts.persona_simulator.clock import Timer
from scripts.persona_simulator.filters import matches
from scripts.persona_simulator.ids import new_id
from scripts.persona_simulator.model import Attempt, Delivery, Event, Webhook
from scripts.persona_simulator.serialise import View, select_included
from scripts.persona_simulator.signing import corrupted, signature_header
from scripts.persona_simulator.wire import JsonObject, encode

if TYPE_CHECKING:
    from scripts.persona_simulator.state import World

WAITS = (3, 64, 729, 4096, 15625, 46656, 117649)
"""Seconds before the second to the eighth attempt."""
ACCEPTED = frozenset({200, 201, 202, 204})
AT_ONCE = 64
"""Requests under way at the same time; a burst beyond that waits its turn."""
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Courier:
    """Turns events into deliveries and deliveries into POST requests."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._client: httpx.AsyncClient | None = None
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._timers: dict[str, Timer] = {}
        self._held: dict[str, Delivery] = {}

    async def open(self) -> None:
        # No environment: a proxy variable must not carry loopback traffic elsewhere.
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(None),  # one limit for the whole exchange is set around each request
            trust_env=False,
            follow_redirects=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=16),
        )

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    def fan_out(self, event: Event) -> None:
        """Create one delivery per enabled webhook that subscribed to the event."""
        for webhook in self._world.webhooks.values():
            if webhook.status != "enabled":
                continue
            if "*" in webhook.enabled_events or event.name in webhook.enabled_events:
                for delivery in misbehaviour.deliveries(self._world, webhook, event):
                    self._place(webhook, delivery)

    def prepare(self, webhook: Webhook, event: Event) -> Delivery:
        """Render an event for one webhook and enter it in the delivery log."""
        document = {"data": render(webhook, event)}
        payload = event.payload.data
        delivery = Delivery(
            id=new_id("whev"),
            event_id=event.id,
            event_name=event.name,
            inquiry_id=payload["id"] if payload["type"] == "inquiry" else None,
            webhook_id=webhook.id,
            body=encode(document),
            created_at=self._world.clock.now(),
        )
        rendered = document["data"]["attributes"]["payload"]
        if webhook.payload_filter and not matches(webhook.payload_filter, rendered):
            delivery.status, delivery.note = "skipped", "payload filter"
        self._world.deliveries[delivery.id] = delivery
        return delivery

    def _place(self, webhook: Webhook, delivery: Delivery) -> None:
        if delivery.status == "skipped":
            return
        chaos, due = self._world.chaos, time.perf_counter()
        if chaos.take("drop", delivery.event_name):
            delivery.status, delivery.note = "skipped", "chaos: drop"
            return
        delivery.corrupt = chaos.take("corrupt_signature", delivery.event_name) is not None
        held = self._held.pop(webhook.id, None)
        if held is None and chaos.take("reorder", delivery.event_name):
            self._held[webhook.id] = delivery
            delivery.note = "chaos: held back until the next event is delivered"
            return
        delay = chaos.take("delay", delivery.event_name)

        async def send() -> None:
            await self.attempt(delivery, due if delay is None else time.perf_counter())
            if held is not None:
                await self.attempt(held, time.perf_counter())

        if delay is None:
            self._world.clock.start(send)
        else:
            self._timers[delivery.id] = self._world.clock.after(delay.seconds, send)

    def release_held(self) -> None:
        """Send what ``reorder`` is still holding back."""
        held, self._held = self._held, {}
        for delivery in held.values():
            self._resume(delivery)

    def _resume(self, delivery: Delivery) -> None:
        due = time.perf_counter()

        async def send() -> None:
            await self.attempt(delivery, due)

        self._world.clock.start(send)

    async def attempt(self, delivery: Delivery, due: float) -> Attempt | None:
        """Make one attempt, record it, and arrange the next one if it failed.

        `due` is when it should have started, by `time.perf_counter`.
        """
        async with self._slots:
            return await self._attempt(delivery, due)

    async def _attempt(self, delivery: Delivery, due: float) -> Attempt | None:
        webhook = self._world.webhooks.get(delivery.webhook_id)
        if webhook is None or delivery.status == "failed":
            return None
        now = self._world.clock.now()
        made = len(delivery.attempts) + 1
        first = delivery.attempts[0] if delivery.attempts else None
        t = first.t if first and self._world.chaos.is_on("reuse_first_t") else int(now)
        signature = signature_header(self._world.active_secrets(webhook, now), delivery.body, t)
        if delivery.corrupt:
            signature = corrupted(signature)
        headers = {
            "Persona-Signature": signature,
            "Persona-Webhook-Attempts-Made": str(made),
            "Persona-Webhook-Attempts-Left": str(max(len(WAITS) + 1 - made, 0)),
            "Persona-Webhook-First-Attempted-At": str(int(first.at if first else now)),
            **webhook.custom_http_headers,
        }
        latency = (time.perf_counter() - due) * 1000
        status, error = await self.post(webhook.url, delivery.body, headers)
        attempt = Attempt(now, t, signature, status, error, round(latency, 3))
        delivery.attempts.append(attempt)
        self._settle(delivery, made, now)
        return attempt

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> tuple[int | None, str | None]:
        """POST the bytes once. Answers (status, None), or (None, reason) without an answer."""
        if httpx.URL(url).host not in LOOPBACK:
            return None, "the simulator delivers to loopback addresses only"
        if self._client is None:
            raise RuntimeError("the courier is not open yet")
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Persona-Simulator",
            **headers,
        }
        try:
            async with asyncio.timeout(self._world.settings.delivery_timeout):
                response = await self._client.post(url, content=body, headers=headers)
        except (httpx.HTTPError, TimeoutError) as error:
            return None, type(error).__name__
        return response.status_code, None

    def _settle(self, delivery: Delivery, made: int, now: float) -> None:
        if delivery.attempts[-1].status in ACCEPTED:
            delivery.status = "completed"
        elif delivery.status == "failed":
            return  # the webhook was disabled while the attempt was on its way
        elif made > len(WAITS):
            delivery.status = "failed"
        else:
            self.schedule(delivery, now + WAITS[made - 1])

    def schedule(self, delivery: Delivery, due: float) -> None:
        async def again() -> None:
            await self.attempt(delivery, time.perf_counter())

        self._timers[delivery.id] = self._world.clock.at(due, again)

    async def resend(self, delivery: Delivery) -> Attempt | None:
        """One more attempt by hand, whatever came before."""
        self._cancel(delivery)
        if delivery.status in ("failed", "skipped"):
            delivery.status = "pending"
        return await self.attempt(delivery, time.perf_counter())

    def _cancel(self, delivery: Delivery) -> None:
        timer = self._timers.pop(delivery.id, None)
        if timer is not None:
            timer.cancel()

    def cancel_all(self, webhook: Webhook) -> None:
        """Disabling a webhook cancels its retries and fails what is pending."""
        self._held.pop(webhook.id, None)
        for delivery in self._world.deliveries.values():
            if delivery.webhook_id == webhook.id and delivery.status == "pending":
                self._cancel(delivery)
                delivery.status, delivery.note = "failed", "webhook disabled"


def render(webhook: Webhook, event: Event) -> JsonObject:
    """Serialise an event by the webhook's own settings."""
    view = View(
        version=webhook.api_version,
        inflection=webhook.api_key_inflection,
        blocklist=Blocklist(webhook.attributes_blocklist),
        relationships=webhook.relationship_allowlist["state"] == "include_all",
    )
    allow = webhook.included_allowlist
    names: list[str] | None = []
    if allow["state"] == "include_all":
        names = None
    elif allow["state"] == "custom":
        for entry in allow.get("event-types", []):
            if entry["event-type"] == event.name:
                names = entry["relationships"]
    return view.event(event, select_included(event.payload, names))
