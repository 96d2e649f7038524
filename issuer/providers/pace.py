"""Slowing down before a provider's rate limit instead of running into it.

When less than 15 % of a window's calls are left, those are spread over the rest of the window. Sandbox keys and live
traffic share limits with everything else that uses the account, so each answer's own numbers count, not ours.

Source: https://docs.withpersona.com/rate-limiting (RateLimit-Limit, -Remaining, -Reset in seconds)
"""

import re
from collections.abc import Mapping
from typing import Final

LOW: Final = 0.15
LONGEST: Final = 2.0  # seconds that one call waits at most: somebody may be waiting for its answer
_NUMBER = re.compile(r"[0-9]{1,9}")


class Pace:
    """When may the next call leave? Times are seconds of one clock that only goes forward."""

    def __init__(self) -> None:
        self._interval = 0.0
        self._until = 0.0
        self._next = 0.0

    def answered(self, headers: Mapping[str, str], now: float) -> None:
        """Note what an answer says is left. One that says nothing changes nothing."""
        named = (headers.get(f"ratelimit-{name}", "") for name in ("limit", "remaining", "reset"))
        numbers = [int(text) for text in named if _NUMBER.fullmatch(text)]
        if len(numbers) != 3:
            return
        limit, remaining, reset = numbers
        if remaining >= limit * LOW:
            self._interval = 0.0
            return
        self._interval, self._until = reset / max(remaining, 1), now + reset

    def wait(self, now: float) -> float:
        """Seconds until this call may leave; each call takes a slot of its own."""
        if self._interval == 0.0 or now >= self._until:
            return 0.0
        waited = min(max(0.0, self._next - now), LONGEST)
        self._next = now + waited + self._interval
        return waited
