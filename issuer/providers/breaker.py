"""A provider that is out is left alone for a while, so that whoever waits for another one need not wait for it.

Five calls in a row without an answer open the breaker for 5 seconds; a provider that asks us to wait twice in a row is
left alone for as long as it says (a minute at most). While it is open every call fails at once. Then one call is let
through, and its answer decides.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from time import monotonic
from typing import TypeVar

import structlog

from issuer.errors import ProviderError, ProviderUnavailable
from issuer.providers.protocol import Glance, Provider, Reading, Session, StartCheck, Started

log = structlog.get_logger(__name__)

FAILURES = 5
PAUSE_SECONDS = 5.0
LONGEST_PAUSE = 60.0
TOO_MANY = 429

R = TypeVar("R")


class Breaker:
    """When may the next call be made? Times are seconds of one clock that only goes forward."""

    def __init__(self) -> None:
        self._failures = 0
        self._asked = 0  # of them those that asked us to wait
        self._until: float | None = None

    def wait(self, now: float) -> float:
        """Seconds until the next call may be made; 0: now."""
        return 0.0 if self._until is None else max(0.0, self._until - now)

    @property
    def is_open(self) -> bool:
        """Has it failed, and not answered since?"""
        return self._until is not None

    def tried(self, now: float) -> None:
        """A call goes out. After a pause it is the only one until its answer is there."""
        if self._until is not None:
            self._until = now + PAUSE_SECONDS

    def answered(self) -> None:
        self._failures, self._asked, self._until = 0, 0, None

    def failed(self, now: float, *, pause: float | None = None) -> bool:
        """No answer came, or one that asks for a `pause` in seconds. True if this has opened it."""
        self._failures += 1
        self._asked += pause is not None
        was_open = self.is_open
        if pause is not None and self._asked > 1:
            self._until = now + min(pause, LONGEST_PAUSE)
        elif was_open or self._failures >= FAILURES:
            self._until = now + PAUSE_SECONDS
        return self.is_open and not was_open


class Guarded(Provider):
    """A provider behind its breaker."""

    def __init__(self, inner: Provider, *, clock: Callable[[], float] = monotonic) -> None:
        self.inner = inner
        self.breaker = Breaker()
        self._clock = clock

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def environment(self) -> str:
        return self.inner.environment

    @property
    def clock_ahead(self) -> float | None:
        return self.inner.clock_ahead

    @property
    def is_out(self) -> bool:
        """Would a call fail at once?"""
        return self.breaker.wait(self._clock()) > 0

    async def check(self) -> object:
        return await self.inner.check()  # whoever asks this wants to know, whatever came before

    async def start(self, request: StartCheck) -> Started:
        return await self._through(lambda: self.inner.start(request))

    async def find(self, reference: str, template: str, created_since: datetime) -> list[Reading]:
        return await self._through(lambda: self.inner.find(reference, template, created_since))

    async def fetch(self, check_ref: str) -> Reading:
        return await self._through(lambda: self.inner.fetch(check_ref))

    async def glance(self, check_refs: Sequence[str]) -> Mapping[str, Glance]:
        return await self._through(lambda: self.inner.glance(check_refs))

    async def checks_of(self, group_ref: str) -> list[str]:
        return await self._through(lambda: self.inner.checks_of(group_ref))

    async def resume(self, check_ref: str) -> Session:
        return await self._through(lambda: self.inner.resume(check_ref))

    async def one_time_link(self, check_ref: str) -> Session:
        return await self._through(lambda: self.inner.one_time_link(check_ref))

    async def expire(self, check_ref: str) -> None:
        await self._through(lambda: self.inner.expire(check_ref))

    async def approve(self, check_ref: str, comment: str | None = None) -> None:
        await self._through(lambda: self.inner.approve(check_ref, comment))

    async def decline(self, check_ref: str, comment: str | None = None) -> None:
        await self._through(lambda: self.inner.decline(check_ref, comment))

    async def redact(self, check_ref: str) -> None:
        await self._through(lambda: self.inner.redact(check_ref))

    async def aclose(self) -> None:
        await self.inner.aclose()

    async def _through(self, call: Callable[[], Awaitable[R]]) -> R:
        wait = self.breaker.wait(self._clock())
        if wait > 0:
            raise ProviderUnavailable(f"{self.name} did not answer lately and is left alone", retry_after=wait)
        self.breaker.tried(self._clock())
        try:
            result = await call()
        except ProviderUnavailable as error:
            pause = error.retry_after if error.status == TOO_MANY else None
            if self.breaker.failed(self._clock(), pause=pause):
                log.warning("provider_out", provider=self.name, environment=self.environment, error_code=error.code)
            raise
        except ProviderError:
            self.breaker.answered()  # it said no, and so it is there
            raise
        self.breaker.answered()
        return result
