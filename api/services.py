"""What the handlers work with, opened when the process starts serving and closed when it stops."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from api.keys import KeyCache
from issuer.cases.levels import Level
from issuer.cases.opening import Opener
from issuer.chain.rules import is_live
from issuer.clock import now as clock_now
from issuer.db import Database
from issuer.inbox.writer import InboxWriter
from issuer.providers import registry
from issuer.providers.breaker import Guarded
from issuer.providers.protocol import Provider, WebhookDoor
from issuer.queue.open import open_queue
from issuer.queue.port import Queue
from issuer.settings import ApiSettings


class Services:
    """Made without a loop and without I/O; `running()` opens the store, the queue, the providers and the inbox.

    `doors`, `providers` and `clock` stand in for the configured ones in tests.
    """

    db: Database
    queue: Queue
    inbox: InboxWriter
    opener: Opener
    keys: KeyCache
    providers: Mapping[tuple[str, str], Provider]

    def __init__(
        self,
        settings: ApiSettings,
        *,
        doors: Mapping[tuple[str, str], WebhookDoor] | None = None,
        providers: Mapping[tuple[str, str], Provider] | None = None,
        clock: Callable[[], datetime] = clock_now,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.doors = registry.doors(settings) if doors is None else doors
        self._given_providers = providers
        self.migrated = False

    def way(self, level: Level, chain_ids: Sequence[int], country: str | None = None) -> registry.Way | None:
        """Where a check at `level` is opened for claims on these chains. None: the level is not set up here."""
        live = any(map(is_live, chain_ids))
        return registry.way(self.settings, level, live=live, country=country, out=self.out())

    def out(self) -> set[tuple[str, str]]:
        """The providers that did not answer lately, and are left alone for a while."""
        return {key for key, one in self.providers.items() if isinstance(one, Guarded) and one.is_out}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        given = self._given_providers
        self.db = Database(self.settings.database_url.reveal())
        self.queue = open_queue(self.db)
        providers = self.providers = registry.providers(self.settings) if given is None else given
        self.inbox = InboxWriter(self.db, self.queue)
        self.opener = Opener(
            self.db,
            self.queue,
            providers,
            silent_seconds=self.settings.silent_seconds,
            checks_per_day=self.settings.checks_per_day,
            clock=self.clock,
        )
        self.keys = KeyCache(self.db)
        self.inbox.start()
        try:
            yield
        finally:
            await self.inbox.aclose()
            if given is None:
                for provider in providers.values():
                    await provider.aclose()
            await self.queue.aclose()
            await self.db.aclose()
