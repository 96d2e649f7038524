"""What the chaos switches do to an event before it is sent.

Lies about an event replace it (`unknown_status`, `extra_keys`, `missing_included`); strange
events come beside the true one (`unknown_event`, `foreign_inquiry`, `other_template`), with
event ids of their own. Nothing here touches the stored event.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from scripts.persona_simulator.chaos import UNKNOWN_EVENT, UNKNOWN_STATUS
from scripts.persona_simulator.ids import new_id
from scripts.persona_simulator.model import Delivery, Event, Snapshot, Webhook
from scripts.persona_simulator.wire import seconds

if TYPE_CHECKING:
    from scripts.persona_simulator.state import World


def deliveries(world: World, webhook: Webhook, event: Event) -> Iterator[Delivery]:
    """Yield the deliveries that one event leads to: one, unless a switch is on."""
    prepare = world.courier.prepare
    true = _altered(world, event)
    yield prepare(webhook, true)
    if world.chaos.take("duplicate", event.name):
        yield prepare(webhook, true)
    if world.chaos.take("unknown_event", event.name):
        yield prepare(webhook, replace(event, id=new_id("evt"), name=UNKNOWN_EVENT))
    if event.payload.data["type"] != "inquiry":
        return
    if world.chaos.take("foreign_inquiry", event.name):
        yield prepare(webhook, _stranger(world, event, template_id=None))
    if world.chaos.take("other_template", event.name):
        yield prepare(webhook, _stranger(world, event, template_id=new_id("itmpl")))


def _altered(world: World, event: Event) -> Event:
    altered = event
    if world.chaos.take("unknown_status", event.name):
        data = copy.deepcopy(event.payload.data)
        data["attributes"]["status"] = UNKNOWN_STATUS
        altered = replace(altered, payload=Snapshot(data, event.payload.included))
    if world.chaos.take("extra_keys", event.name):
        extra = {"context": {"previous-step-name": "start"}, "redacted-at": None}
        altered = replace(altered, extra=extra | {"not-in-any-schema": {"added": True}})
    if world.chaos.take("missing_included", event.name):
        altered = replace(altered, drop_included=True)
    return altered


def _stranger(world: World, event: Event, template_id: str | None) -> Event:
    """The same event about an inquiry that the receiver never created.

    The inquiry really exists, with the same reference and status, so asking the API about
    it does not give it away.
    """
    original = world.inquiries[event.payload.data["id"]]
    clone = copy.deepcopy(original)
    clone.id = new_id("inq")
    if template_id is not None:
        clone.template_id = template_id
        clone.template_version_id = new_id("itmplv")
    world.inquiries[clone.id] = clone
    data = copy.deepcopy(event.payload.data)
    data["id"] = clone.id
    data["attributes"]["updated-at"] = seconds(world.clock.now())
    relationships = data["relationships"]
    relationships["inquiry-template"]["data"]["id"] = clone.template_id
    relationships["inquiry-template-version"]["data"]["id"] = clone.template_version_id
    return replace(event, id=new_id("evt"), payload=Snapshot(data, []))
