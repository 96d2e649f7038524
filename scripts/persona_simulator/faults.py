"""Faults of the API itself, switched on per method and path; all off at the start."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from scripts.persona_simulator.wire import Json, JsonObject

KINDS = ("rate_limited", "status", "slow", "drop", "lie")
LIES = ("unknown_status", "extra_keys", "missing_relationships")


@dataclass(slots=True)
class Fault:
    kind: str
    method: str = "*"
    path: str = "*"
    times: int = 1
    """How many matching requests it still acts on."""
    status: int = 500
    when: str = "before"
    """For `status`: ``before`` doing the work, or ``after`` it. `drop` is always after."""
    seconds: float = 0.0
    lie: str = "unknown_status"

    def as_json(self) -> JsonObject:
        return {name: getattr(self, name) for name in self.__slots__}


def read_fault(given: Json) -> Fault:
    """Read one fault. Raises ValueError or TypeError with the reason."""
    if not isinstance(given, dict) or set(given) - set(Fault.__slots__):
        raise ValueError(f"a fault is an object with keys from {', '.join(Fault.__slots__)}")
    fault = Fault(**given)
    if fault.kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}")
    if fault.when not in ("before", "after"):
        raise ValueError("when must be before or after")
    if fault.lie not in LIES:
        raise ValueError(f"lie must be one of {', '.join(LIES)}")
    if fault.times < 1:
        raise ValueError("times must be a positive integer")
    if not 400 <= fault.status <= 599:
        raise ValueError("status must be between 400 and 599")
    return fault


class Faults:
    """The faults still waiting for a matching request."""

    def __init__(self) -> None:
        self.waiting: list[Fault] = []

    def take(self, method: str, path: str, kinds: tuple[str, ...]) -> list[Fault]:
        """Return the faults that act on this request, and use up one turn of each."""
        acting = [
            fault
            for fault in self.waiting
            if fault.kind in kinds and fault.method.upper() in ("*", method) and fnmatchcase(path, fault.path)
        ]
        for fault in acting:
            fault.times -= 1
        self.waiting = [fault for fault in self.waiting if fault.times > 0]
        return acting


def tell_lie(lie: str, document: JsonObject) -> JsonObject:
    """Falsify a kebab or snake case answer whose ``data`` is one resource."""
    data = document.get("data")
    if not isinstance(data, dict) or "attributes" not in data:
        return document
    if lie == "unknown_status":
        data = {**data, "attributes": {**data["attributes"], "status": "beyond_review"}}
    elif lie == "extra_keys":
        surprise = {"surprise": {"nested": [1, 2]}}
        data = {**data, **surprise, "attributes": {**data["attributes"], **surprise}}
    else:
        data = {key: value for key, value in data.items() if key != "relationships"}
    return {**document, "data": data}
