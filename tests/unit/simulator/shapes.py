"""A structural comparison of JSON bodies: same keys, same types, values free.

The shape of a body is derived from examples rather than written down again. A key whose
example value is null may hold anything, because the examples do not say what.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parents[2] / "fixtures" / "persona"
FREE_KEYS = frozenset({"fields", "behaviors", "context", "payload-filter"})
"""Maps whose keys belong to the template or the customer, not to the format."""


def example(name: str) -> Any:
    return json.loads((FIXTURES / "synthetic" / f"webhook.{name}.json").read_text())


def kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    kinds: dict[type, str] = {dict: "object", list: "array", str: "string"}
    return kinds.get(type(value), "number")


def differences(
    expected: Any, actual: Any, *, path: str = "", free_keys: frozenset[str] = FREE_KEYS, extra: bool = False
) -> list[str]:
    """Where `actual` is not built like `expected`; `extra` permits keys the example lacks."""
    if expected is None or actual is None:
        return []
    if kind(expected) != kind(actual):
        return [f"{path}: {kind(actual)} instead of {kind(expected)}"]
    found: list[str] = []
    if isinstance(expected, dict):
        name = path.rsplit("/", 1)[-1]
        if name in free_keys:
            return _field_differences(actual, path) if name == "fields" else []
        # Official examples write an empty relationship as {"data": {}}, captures as null.
        if expected in ({}, {"data": {}}, {"data": None}) or actual == {"data": None}:
            return []
        found += [f"{path}/{key}: missing" for key in expected if key not in actual]
        if not extra:
            found += [f"{path}/{key}: not in the example" for key in actual if key not in expected]
        for key in expected.keys() & actual.keys():
            more = differences(expected[key], actual[key], path=f"{path}/{key}", free_keys=free_keys, extra=extra)
            found += more
    elif isinstance(expected, list) and expected:
        for index, item in enumerate(actual):
            model = _alike(expected, item)
            found += differences(model, item, path=f"{path}/{index}", free_keys=free_keys, extra=extra)
    return found


def _alike(models: list[Any], item: Any) -> Any:
    """The example element of the same JSON:API type, else the first."""
    if isinstance(item, dict):
        for model in models:
            if isinstance(model, dict) and model.get("type") == item.get("type"):
                return model
    return models[0]


def _field_differences(fields: dict[str, Any], path: str) -> list[str]:
    return [
        f"{path}/{key}: not a field"
        for key, field in fields.items()
        if not (isinstance(field, dict) and set(field) == {"type", "value"} and isinstance(field["type"], str))
    ]
