"""Who is calling: API keys, remembered for a few seconds."""

import hmac
import time
from collections.abc import Callable
from hashlib import sha256

import msgspec

from issuer.access import rules, store
from issuer.db import Database
from issuer.errors import NotAuthenticated

CACHE_SECONDS = 5.0
MOST_CACHED = 1000


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """A proved caller. `secret` is derived from its key and never stored: with it a request can be told from
    another without keeping a hash that could be guessed back into a name or a birthday.
    """

    key_id: str
    tenant_id: str
    scopes: frozenset[str]
    secret: bytes

    def __repr__(self) -> str:
        return f"Caller(key_id={self.key_id!r})"

    def fingerprint(self, message: bytes) -> str:
        """HMAC-SHA256 in hex."""
        return hmac.new(self.secret, message, sha256).hexdigest()


class KeyCache:
    """Good keys are asked of the store once each five seconds, so a revoked key may live that long in a process."""

    def __init__(
        self, db: Database, *, seconds: float = CACHE_SECONDS, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._db = db
        self._seconds = seconds
        self._monotonic = monotonic
        self._good: dict[str, tuple[float, Caller]] = {}

    async def caller(self, key: str) -> Caller:
        """Raises `NotAuthenticated` for a key that is unknown, revoked or no key at all; never says which."""
        if not rules.is_key(key):
            raise NotAuthenticated("a valid API key is needed: Authorization: Bearer cwk_...")
        hashed = rules.key_hash(key)
        now = self._monotonic()
        until, known = self._good.get(hashed, (0.0, None))
        if known is not None and now < until:
            return known
        self._good.pop(hashed, None)
        async with self._db.read() as session:
            row = await store.find_key(session, key)
        if row is None:
            raise NotAuthenticated("a valid API key is needed: Authorization: Bearer cwk_...")
        caller = Caller(
            key_id=row.id,
            tenant_id=row.tenant_id,
            scopes=frozenset(row.scopes),
            secret=hmac.digest(key.encode(), b"claimwright/request", "sha256"),
        )
        if len(self._good) >= MOST_CACHED:
            self._good.clear()
        self._good[hashed] = (now + self._seconds, caller)
        return caller
