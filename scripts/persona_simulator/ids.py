"""Identifiers in Persona's shape: a prefix, an underscore and 28 base-62 characters."""

from __future__ import annotations

import secrets
import string
import uuid

ALPHABET = string.ascii_letters + string.digits
LENGTH = 28


def new_id(prefix: str) -> str:
    """Return a fresh id such as ``inq_4G5Y92jqjWysUcMhrzZzhaemxiLn``."""
    return f"{prefix}_" + "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def new_webhook_secret() -> str:
    """Return a fresh signing secret; the prefix is part of the key."""
    return f"wbhsec_{uuid.uuid4()}"


def new_code() -> str:
    """Return the opaque part of a one-time link."""
    return "us1-" + secrets.token_urlsafe(24)
