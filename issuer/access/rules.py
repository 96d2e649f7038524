"""API keys: their shape, their hash and what they allow. No I/O."""

import base64
import os
import re
from hashlib import sha256

from issuer.errors import InvalidInput
from issuer.secrets import Secret

ADMIN = "*"
SCOPES = frozenset(
    {"cases:read", "cases:write", "cases:review", "claims:read", "claims:revoke", "subjects:read", ADMIN}
)
KEY_BYTES = 32
NAME_LENGTH = 100
_KEY = re.compile(r"cwk_[A-Za-z0-9_-]{43}")


def new_key() -> Secret:
    """`cwk_` and 32 random bytes in base64url: 47 characters, shown once."""
    return Secret("cwk_" + base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).rstrip(b"=").decode())


def is_key(text: str) -> bool:
    return _KEY.fullmatch(text) is not None


def key_hash(key: str) -> str:
    """What the database keeps. One SHA-256 is enough: a slow hash protects guessable words, not 256 random bits."""
    return sha256(key.encode()).hexdigest()


def allows(scopes: frozenset[str], needed: str) -> bool:
    return needed in scopes or ADMIN in scopes


def checked_scopes(scopes: list[str]) -> list[str]:
    """Sorted, without repeats. Raises `InvalidInput("scopes")` for none or an unknown one."""
    unknown = sorted(set(scopes) - SCOPES)
    if unknown or not scopes:
        raise InvalidInput("scopes", f"must be some of {', '.join(sorted(SCOPES))}")
    return sorted(set(scopes))


def checked_name(name: str) -> str:
    """Raises `InvalidInput("name")` unless it is 1 to 100 printable characters."""
    if not 1 <= len(name) <= NAME_LENGTH or not name.isprintable():
        raise InvalidInput("name", f"must be 1 to {NAME_LENGTH} printable characters")
    return name
