"""The exact bytes: compact JSON with the HTML escapes that a Rails server writes.

A receiver that parses and re-serialises before it checks the signature fails here, as it
would in production.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

Json = Any
"""Whatever a JSON document can hold; a name, so that every use of Any is a decision."""
JsonObject = dict[str, Json]
_ESCAPES = {
    "&": "\\u0026",
    "<": "\\u003c",
    ">": "\\u003e",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


def encode(document: Json) -> bytes:
    """Serialise to UTF-8 JSON bytes without spaces, ``& < >`` written as ``\\u0026`` and so on."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    # These characters can only occur inside JSON strings, so replacing the text is safe.
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return text.encode()


def seconds(when: float | None) -> str | None:
    """Write an object's timestamp: whole seconds, always ``.000Z``."""
    if when is None:
        return None
    return datetime.fromtimestamp(int(when), UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def milliseconds(when: float) -> str:
    """Write an event's timestamp: real milliseconds."""
    # Rounded, because 0.120 s is 119999 microseconds once it has been a float.
    whole, thousandths = divmod(round(when * 1000), 1000)
    second = datetime.fromtimestamp(whole, UTC)
    return second.strftime("%Y-%m-%dT%H:%M:%S.") + f"{thousandths:03d}Z"


def moment(value: str | float | int) -> float:
    """Read an RFC 3339 text or Unix seconds; ValueError if it is neither."""
    if isinstance(value, str):
        parsed = datetime.fromisoformat(value)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    return float(value)
