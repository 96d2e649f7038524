"""``Idempotency-Key``: the first result is replayed, whatever it was.

Kept 24 hours of the simulated clock. The code for changed parameters is not documented by
Persona; 409 is used here.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from scripts.persona_simulator.errors import conflict

LIFE = 86_400.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished response: status, header pairs and body bytes."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


@dataclass(slots=True)
class Entry:
    fingerprint: str
    expires_at: float
    answer: asyncio.Future[Answer]


def fingerprint(method: str, path: str, query: bytes, body: bytes) -> str:
    return hashlib.sha256(b"\n".join([method.encode(), path.encode(), query, body])).hexdigest()


class Replays:
    """First results by API key and idempotency key."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Entry] = {}

    async def once(
        self,
        key: tuple[str, str],
        print_: str,
        now: float,
        work: Callable[[], Awaitable[Answer]],
    ) -> Answer:
        """Run the work for a new key, or answer what the first run answered.

        A repeat that arrives while the first is still running waits for it.
        Raises ApiError 409 for the same key with other parameters.
        """
        entry = self._entries.get(key)
        if entry is not None and entry.expires_at > now:
            if entry.fingerprint != print_:
                raise conflict("Idempotency-Key was already used with different parameters")
            return await asyncio.shield(entry.answer)
        entry = Entry(print_, now + LIFE, asyncio.get_running_loop().create_future())
        self._entries[key] = entry
        try:
            answer = await work()
        except BaseException:
            del self._entries[key]
            entry.answer.cancel()
            raise
        entry.answer.set_result(answer)
        return answer
