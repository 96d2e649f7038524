"""Ids that are opaque, unique and sort by the time they were made."""

from uuid_utils import uuid7


def new_id(prefix: str) -> str:
    """`case_019aa3…`: the prefix names the kind, the rest is a UUIDv7 in hex (RFC 9562, section 5.7)."""
    return f"{prefix}_{uuid7().hex}"
