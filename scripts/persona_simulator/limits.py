"""The rate limit of one environment: always shown, counted and enforced only when switched on.

A client that heeds what is shown slows down, and a developer's runs and benchmarks are not about that.
"""

from __future__ import annotations

LIMIT = 300
WINDOW = 60.0


class RateLimit:
    """Counts requests in fixed windows of one simulated minute."""

    def __init__(self) -> None:
        self.enforced = False
        self.limit = LIMIT
        self._window = 0.0
        self._used = 0

    def hit(self, now: float) -> bool:
        """Count one request, if limits are enforced; False if it is over."""
        if not self.enforced:
            return True
        if not self._window <= now < self._window + WINDOW:
            self._window, self._used = now, 0
        self._used += 1
        return self._used <= self.limit

    def headers(self, now: float) -> list[tuple[str, str]]:
        reset = max(0, round(self._window + WINDOW - now)) if self.enforced else round(WINDOW)
        return [
            ("RateLimit-Limit", str(self.limit)),
            ("RateLimit-Remaining", str(max(self.limit - self._used, 0))),
            ("RateLimit-Reset", str(reset)),
        ]
