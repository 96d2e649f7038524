"""Payload filters: an Enterprise setting that lets only some payloads through."""

from __future__ import annotations

from scripts.persona_simulator.wire import Json


def matches(wanted: Json, actual: Json) -> bool:
    """Is `wanted` a subset of `actual`? ``$or`` holds a list of alternatives."""
    if isinstance(wanted, dict):
        for key, value in wanted.items():
            if key == "$or":
                if not any(matches(option, actual) for option in value):
                    return False
            elif not isinstance(actual, dict) or key not in actual or not matches(value, actual[key]):
                return False
        return True
    if isinstance(actual, list) and not isinstance(wanted, list):
        return any(matches(wanted, item) for item in actual)
    return bool(wanted == actual)
