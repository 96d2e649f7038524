"""The whole app on a store of its own, spoken to over ASGI, with a provider in memory."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from litestar import Litestar

from api.app import build_app
from api.services import Services
from issuer.access.store import create_key
from issuer.db import Database
from tests.factories import api_settings, signature
from tests.fakes import FakeProvider


class Api:
    """A running app: `client` has an admin key, `anonymous` has none."""

    def __init__(
        self,
        app: Litestar,
        client: httpx.AsyncClient,
        anonymous: httpx.AsyncClient,
        provider: FakeProvider,
        owner: Database | None = None,
    ) -> None:
        self.app = app
        self.client = client
        self.anonymous = anonymous
        self.provider = provider
        self.services: Services = app.state.services
        self.owner = owner or self.services.db

    @property
    def db(self) -> Database:
        return self.services.db

    async def key(self, *scopes: str, tenant_id: str = "default") -> dict[str, str]:
        """The header of a new key."""
        async with self.owner.write() as session:
            _, key = await create_key(session, "test", list(scopes), datetime.now(UTC), tenant_id)
        return {"authorization": f"Bearer {key.reveal()}"}

    async def deliver(self, body: bytes, path: str = "/webhooks/persona", **headers: str) -> httpx.Response:
        """A signed delivery; a header given here stands in for the true one."""
        given = {"persona-signature": signature(body)} | {name.replace("_", "-"): v for name, v in headers.items()}
        return await self.anonymous.post(path, content=body, headers=given)


@asynccontextmanager
async def serving(app: Litestar) -> AsyncIterator[None]:
    """The app's lifespan in a task of its own: its cancel scopes must end in the task that they began in."""
    started, stop = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        async with app.lifespan():
            started.set()
            await stop.wait()

    task = asyncio.create_task(live())
    begun = asyncio.create_task(started.wait())
    await asyncio.wait({task, begun}, return_when=asyncio.FIRST_COMPLETED)
    begun.cancel()
    try:
        yield
    finally:
        stop.set()
        await task


@asynccontextmanager
async def run_api(
    store_url: str, *, provider: FakeProvider | None = None, owner: Database | None = None, **settings: Any
) -> AsyncIterator[Api]:
    """`owner` makes the keys when the app's own database role may not."""
    provider = provider or FakeProvider()
    app_options = {name: settings.pop(name) for name in ("doors", "clock") if name in settings}
    app = build_app(
        api_settings(store_url, **settings),
        providers={(provider.name, provider.environment): provider},
        **app_options,
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving(app))

        def client() -> httpx.AsyncClient:
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
            return httpx.AsyncClient(transport=transport, base_url="http://api.invalid")

        api = Api(
            app,
            await stack.enter_async_context(client()),
            await stack.enter_async_context(client()),
            provider,
            owner,
        )
        api.client.headers.update(await api.key("*"))
        yield api


@pytest.fixture
async def api(store_url: str) -> AsyncIterator[Api]:
    async with run_api(store_url) as running:
        yield running


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 5.0) -> None:
    """Wait for a condition, or fail."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - what is waited for is in a database
            await asyncio.sleep(0.02)
