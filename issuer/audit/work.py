"""The daemon's step for the audit chain: link what is new, sign the head, hand it to somebody outside the database."""

import asyncio
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import structlog

from issuer.audit import store
from issuer.audit.rules import AuditKey, Head
from issuer.clock import now as clock_now
from issuer.db import Database

log = structlog.get_logger(__name__)

BATCH = 2000
FIRST_LOOK_BACK = timedelta(days=1)  # a process that starts looks further, for what an earlier one may have missed


class Auditor:
    """`anchor`: a file that heads are appended to, best on a volume that can only grow; the log gets them too."""

    def __init__(
        self,
        db: Database,
        key: AuditKey | None,
        anchor: Path | None,
        *,
        clock: Callable[[], datetime] = clock_now,
    ) -> None:
        self._db = db
        self._key = key
        self._anchor = anchor
        self._clock = clock
        self._look_back = FIRST_LOOK_BACK

    async def step(self) -> bool:
        """True if something was linked. Without a key the chain grows, and nobody vouches for its end."""
        async with self._db.read() as session:
            newest = await store.newest_at(session)
        # The same for all batches of a step: each makes the chain newer, and what is behind it may be old.
        since = None if newest is None else newest - self._look_back
        linked = moved = await self._link(since)
        while moved >= BATCH:
            moved = await self._link(since)
        self._look_back = store.LOOK_BACK
        return linked > 0

    async def _link(self, since: datetime | None) -> int:
        now = self._clock()
        async with self._db.write() as session:
            made = await store.chain(session, at=now, limit=BATCH, since=since)
            head = None
            if made and self._key is not None:
                head = self._key.sign_head(made[-1].seq, made[-1].hash, now)
                await store.add_head(session, head)
        if head is not None:
            log.info("audit_head", seq=head.seq, hash=head.hash)
            if self._anchor is not None:
                await asyncio.to_thread(append, self._anchor, head)
        return len(made)


def append(anchor: Path, head: Head) -> None:
    """One JSON line, on disk before this returns."""
    line = msgspec.json.encode(head) + b"\n"
    descriptor = os.open(anchor, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_anchor(anchor: Path) -> list[Head]:
    """Raises `OSError`, `msgspec.MsgspecError` for a line that is no head."""
    lines = anchor.read_bytes().splitlines()
    return [msgspec.json.decode(line, type=Head) for line in lines if line.strip()]
