"""Vendors' words, read with suspicion: the pieces that webhook doors and API clients share.

Keys, types, statuses, event names and id lengths may change without a version change, so nothing here assumes more
than it needs. Every value that leaves is either matched against an alphabet that a name, an e-mail or a phone number
does not fit, or dropped. No I/O.

Source: https://docs.withpersona.com/versioning, https://docs.withpersona.com/api-key-inflection
"""

import re
from datetime import UTC, datetime

# Opaque today and allowed to grow; no slash, dot or percent sign may ever reach a path.
_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,128}")
# Ours are `sub_...`; another integration in the same environment may have used an e-mail, which must not get in.
_REFERENCE = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
# Event ids, event names (`report/watchlist.matched`) and statuses: one printable word, safe in a log line.
_WORD = re.compile(r"[A-Za-z0-9_./:-]{1,128}")


def identifier(value: object) -> str | None:
    """An object id, or None if `value` is not one."""
    return value if isinstance(value, str) and _IDENTIFIER.fullmatch(value) else None


def reference(value: object) -> str | None:
    """A reference of the shape we give out, or None."""
    return value if isinstance(value, str) and _REFERENCE.fullmatch(value) else None


def word(value: object) -> str | None:
    """A status, an event name or an event id, or None."""
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None


def moment(value: object) -> datetime | None:
    """An RFC 3339 time as an aware UTC datetime; None for anything else, a time without a zone included."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        parsed = datetime.fromisoformat(value)
        return parsed.astimezone(UTC) if parsed.tzinfo else None
    except (ValueError, OverflowError):
        return None


def since_epoch(value: object) -> datetime | None:
    """Unix seconds as an aware UTC datetime; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**33:
        return None
    return datetime.fromtimestamp(value, UTC)
