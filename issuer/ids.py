"""Ids that are opaque, unique and sort by the time they were made."""

from datetime import datetime

from uuid_utils import uuid7


def new_id(prefix: str) -> str:
    """`case_019aa3…`: the prefix names the kind, the rest is a UUIDv7 in hex (RFC 9562, section 5.7)."""
    return f"{prefix}_{uuid7().hex}"


def first_id(prefix: str, at: datetime) -> str:
    """What every id of this kind that was made at `at` or later is not below."""
    milliseconds = int(at.timestamp() * 1000)
    return f"{prefix}_{max(0, milliseconds):012x}"
