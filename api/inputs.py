"""What a caller sends, checked: each function gives the value, or raises an error that names the field."""

import base64
import binascii
import re
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

from issuer.addresses import eip55
from issuer.cases.levels import Level
from issuer.cases.ownership import is_domain
from issuer.errors import InvalidInput, NotFound
from issuer.settings import ApiSettings

LONGEST_URL = 2000
MOST_PER_PAGE = 100
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_COUNTRY = re.compile(r"[A-Z]{2}")
_REFERENCE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOPIC = re.compile(r"[1-9][0-9]{0,77}")
_TX_HASH = re.compile(r"0x[0-9a-fA-F]{64}")
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_ID = re.compile(r"[a-z]{2,8}_[0-9a-f]{32}")
_URL = re.compile(r"[\x21-\x5b\x5d-\x7e]+")  # no space, no control character, no backslash
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def row_id(text: str) -> str:
    """An id in a path. What is not of our shape is nobody's, and never reaches the database."""
    if not _ID.fullmatch(text):
        raise NotFound("no such id")
    return text


def wallet(text: str, field: str = "wallet") -> str:
    """EIP-55. A wrong mixed case is a typing mistake that the checksum caught."""
    if not _ADDRESS.fullmatch(text):
        raise InvalidInput(field, "must be 0x and 40 hex digits")
    checksummed = eip55(text.lower())
    if text not in (checksummed, text.lower()):
        raise InvalidInput(field, "has a wrong checksum; use EIP-55 or all lower case")
    if int(text, 16) == 0:
        raise InvalidInput(field, "the zero address is nobody's")
    return checksummed


def topic(text: str) -> str:
    """A claim topic as a decimal uint256, without leading zeros; 0 is none."""
    if not _TOPIC.fullmatch(text) or int(text) >= 2**256:
        raise InvalidInput("topic", "must be a decimal number from 1 to 2**256 - 1")
    return text


def tx_hash(text: str) -> str:
    """In lower case."""
    if not _TX_HASH.fullmatch(text):
        raise InvalidInput("tx_hash", "must be 0x and 64 hex digits")
    return text.lower()


def reference(text: str | None, field: str = "reference") -> str | None:
    if text is not None and not _REFERENCE.fullmatch(text):
        raise InvalidInput(field, "must be 1 to 64 of A-Z a-z 0-9 _ -")
    return text


def country(text: str | None) -> str | None:
    if text is not None and not _COUNTRY.fullmatch(text):
        raise InvalidInput("country", "must be two capital letters, ISO 3166-1 alpha-2")
    return text


def chain_ids(given: list[int] | None, level: Level, configured: Sequence[int]) -> tuple[int, ...]:
    """Each once, in the order of the configuration; all that the level is for if none is named."""
    open_to = tuple(chain_id for chain_id in configured if chain_id in (level.chains or configured))
    wanted = open_to if given is None else tuple(chain_id for chain_id in open_to if chain_id in given)
    if not wanted or set(given or ()) - set(open_to):
        raise InvalidInput("chain_ids", f"level {level.name} is for {', '.join(map(str, open_to)) or 'no chain here'}")
    return wanted


def redirect_url(text: str | None, settings: ApiSettings) -> str | None:
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        host = (parts.hostname or "").lower()
        _ = parts.port  # raises for one that is no number
    except ValueError:
        raise InvalidInput("redirect_url", "is not a URL") from None
    if not host or len(text) > LONGEST_URL or not _URL.fullmatch(text):
        raise InvalidInput("redirect_url", f"must be a URL of at most {LONGEST_URL} plain characters")
    if parts.username is not None or parts.password is not None or "#" in text:
        raise InvalidInput("redirect_url", "must have no credentials and no fragment")
    plain = parts.scheme == "http" and host in _LOOPBACK and settings.env != "production"
    if parts.scheme != "https" and not plain:
        raise InvalidInput("redirect_url", "must be https")
    if not _is_allowed(host, settings):
        raise InvalidInput("redirect_url", "names a host that is not allowed here")
    return text


def domain(text: str, settings: ApiSettings) -> str:
    """The dapp's host as a wallet will show it: one that people may be sent back to."""
    if not is_domain(text):
        raise InvalidInput("domain", "must be a host in lower case, with its port if it has one of its own")
    if not _is_allowed(text.partition(":")[0], settings):
        raise InvalidInput("domain", "names a host that is not allowed here")
    return text


def _is_allowed(host: str, settings: ApiSettings) -> bool:
    allowed = {name.lower() for name in re.split(r"[\s,]+", settings.redirect_hosts) if name}
    return not allowed or host in allowed


def idempotency_key(text: str | None) -> str | None:
    if text is not None and not _IDEMPOTENCY_KEY.fullmatch(text):
        raise InvalidInput("Idempotency-Key", "must be 1 to 255 visible ASCII characters")
    return text


def reason(text: str) -> str:
    if not 1 <= len(text) <= 200 or not text.isprintable() or not text.strip():
        raise InvalidInput("reason", "must be 1 to 200 printable characters")
    return text


def one_of(field: str, text: str | None, words: list[str]) -> str | None:
    if text is not None and text not in words:
        raise InvalidInput(field, f"must be one of {', '.join(words)}")
    return text


def zoned(field: str, at: datetime | None) -> datetime | None:
    if at is not None and at.tzinfo is None:
        raise InvalidInput(field, "must name its zone, as 2026-11-26T00:00:00Z does")
    return at


def limit(number: int) -> int:
    if not 1 <= number <= MOST_PER_PAGE:
        raise InvalidInput("limit", f"must be 1 to {MOST_PER_PAGE}")
    return number


def to_cursor(last_id: str) -> str:
    return base64.urlsafe_b64encode(last_id.encode()).rstrip(b"=").decode()


def from_cursor(text: str | None) -> str | None:
    """The id that the page before ended with."""
    if text is None:
        return None
    try:
        last_id = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        last_id = ""
    if not _ID.fullmatch(last_id):
        raise InvalidInput("cursor", "is not a cursor that was given out here")
    return last_id
