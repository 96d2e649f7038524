"""What Persona's cases and transactions share: links, and statuses that are words of the customer's own. No I/O.

Source: persona-openapi 2025-12-08
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from issuer.errors import SettingsError
from issuer.providers.wire import identifier


class Link(msgspec.Struct):
    id: Any = None


class One(msgspec.Struct):
    """A relationship to one other object."""

    data: Link | None = None


def linked(relationship: One | None) -> str | None:
    """The id of what a relationship names; None: nothing, or nothing readable."""
    return None if relationship is None or relationship.data is None else identifier(relationship.data.id)


def words(text: str) -> frozenset[str]:
    """A list of texts with commas between them, in lower case."""
    return frozenset(filter(None, (part.strip().lower() for part in text.split(","))))


def yes_and_no(options: Mapping[str, str], yes: str, no: str) -> tuple[frozenset[str], frozenset[str]]:
    """The words of two settings. Raises `SettingsError` if one is empty, or a word is in both."""
    approved, declined = words(options[yes]), words(options[no])
    if not approved or not declined or approved & declined:
        raise SettingsError(yes, f"and {no} must list words, none of them twice")
    return approved, declined
