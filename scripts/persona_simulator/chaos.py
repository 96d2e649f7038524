"""Switches that make webhook deliveries misbehave the way real ones sometimes do."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.persona_simulator.wire import Json, JsonObject

SWITCHES = (
    "duplicate",
    "reorder",
    "drop",
    "delay",
    "corrupt_signature",
    "unknown_event",
    "unknown_status",
    "extra_keys",
    "missing_included",
    "foreign_inquiry",
    "other_template",
    "reuse_first_t",
)
UNKNOWN_EVENT = "inquiry.something-new"
UNKNOWN_STATUS = "under_a_new_kind_of_review"


@dataclass(slots=True)
class Switch:
    count: int | None
    """How many more deliveries it acts on; None for all of them."""
    events: tuple[str, ...] | None
    seconds: float = 0.0

    def as_json(self) -> JsonObject:
        return {"count": self.count, "events": self.events, "seconds": self.seconds}


def read_switch(name: str, value: Json) -> Switch | None:
    """Read ``true``, ``false``, a count, or ``{"count", "events", "seconds"}``.

    A bare number means seconds for ``delay`` and a count for every other switch.
    Raises ValueError for anything else.
    """
    if value is None or value is False or value == 0:
        return None
    if value is True:
        return Switch(None, None, 1.0)
    if isinstance(value, int | float):
        if value < 0:
            raise ValueError(f"{name}: a number must not be negative")
        return Switch(None, None, float(value)) if name == "delay" else Switch(int(value), None)
    if isinstance(value, dict) and set(value) <= {"count", "events", "seconds"}:
        events, count = value.get("events"), value.get("count")
        return Switch(
            int(count) if count is not None else None,
            tuple(events) if events else None,
            float(value.get("seconds", 1.0)),
        )
    raise ValueError(f'{name}: give true, false, a number or {{"count", "events", "seconds"}}')


class Chaos:
    """All switches; every one of them is off at the start."""

    def __init__(self) -> None:
        self._on: dict[str, Switch] = {}

    def set(self, wanted: JsonObject) -> None:
        """Turn the named switches on or off. Raises ValueError and then changes nothing."""
        unknown = sorted(set(wanted) - set(SWITCHES))
        if unknown:
            raise ValueError(f"no such switch: {', '.join(unknown)}")
        read = {name: read_switch(name, value) for name, value in wanted.items()}
        for name, switch in read.items():
            if switch is None:
                self._on.pop(name, None)
            else:
                self._on[name] = switch

    def take(self, name: str, event_name: str) -> Switch | None:
        """Return the switch if it acts on this event, and use up one of its turns."""
        switch = self._on.get(name)
        if switch is None or (switch.events is not None and event_name not in switch.events):
            return None
        if switch.count is not None:
            switch.count -= 1
            if switch.count == 0:
                del self._on[name]
        return switch

    def is_on(self, name: str) -> bool:
        return name in self._on

    def as_json(self) -> JsonObject:
        return {name: switch.as_json() for name, switch in self._on.items()}
