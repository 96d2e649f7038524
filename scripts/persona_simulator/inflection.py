"""Key casing: ``Key-Inflection`` for answers and webhooks, any casing for requests."""

from __future__ import annotations

import re

from scripts.persona_simulator.wire import Json

STYLES = ("kebab", "camel", "snake")
_LETTER = re.compile(r"-([a-z])")
_ANY = re.compile(r"-([a-z0-9])")
_HUMP = re.compile(r"(?<=[a-zA-Z0-9])([A-Z])")
_DIGIT = re.compile(r"(?<=[a-z])(\d)")


def inflect(key: str, style: str) -> str:
    """Write a kebab key in the given style."""
    if style == "camel":
        return _ANY.sub(lambda match: match[1].upper(), key)
    return key.replace("-", "_") if style == "snake" else key


def inflect_field(key: str, style: str) -> str:
    """Write a template's field key as versions before 2025-10-27 did.

    Their camel case leaves a digit segment unjoined: ``addressStreet-1``.
    """
    kebab = key.replace("_", "-")
    if style == "camel":
        return _LETTER.sub(lambda match: match[1].upper(), kebab)
    return inflect(kebab, style)


def inflect_keys(value: Json, style: str) -> Json:
    """Write all keys of a nested structure in the given style."""
    if style == "kebab":
        return value
    if isinstance(value, dict):
        return {inflect(key, style): inflect_keys(item, style) for key, item in value.items()}
    return [inflect_keys(item, style) for item in value] if isinstance(value, list) else value


def kebab(key: str) -> str:
    """Read a key written in any casing."""
    return _HUMP.sub(r"-\1", key).lower().replace("_", "-")


def field_key(key: str) -> str:
    """Read a field key written in any casing into the template's own spelling."""
    joined = kebab(key)
    if key != key.lower():
        joined = _DIGIT.sub(r"-\1", joined)
    return joined.replace("-", "_")


def read_keys(value: Json, *, raw: frozenset[str] = frozenset({"fields", "payload-filter"})) -> Json:
    """Bring a request body to kebab keys; what stands under a `raw` key is left alone."""
    if isinstance(value, dict):
        return {kebab(key): item if kebab(key) in raw else read_keys(item, raw=raw) for key, item in value.items()}
    return [read_keys(item, raw=raw) for item in value] if isinstance(value, list) else value
