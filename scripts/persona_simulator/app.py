"""The Litestar application: API, control surface and pages over one `World`."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from litestar import Litestar, Request, Response, Router
from litestar.di import Provide
from litestar.exceptions import HTTPException

from scripts.persona_simulator import actions, cases, control, inquiries, listings, pages, transactions, webhooks
from scripts.persona_simulator.calls import answer
from scripts.persona_simulator.edge import Edge
from scripts.persona_simulator.errors import ApiError
from scripts.persona_simulator.settings import Settings
from scripts.persona_simulator.state import World


def _api_error(_: Request[Any, Any, Any], error: ApiError) -> Response[bytes]:
    return answer(error.status, error.document())


def _http_error(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Litestar's own refusals (no route, wrong method) in Persona's form."""
    status = 404 if error.status_code == 405 else error.status_code
    return answer(status, ApiError(status).document())


def _crash(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    traceback.print_exception(error)
    return answer(500, ApiError(500).document())


def create_app(settings: Settings) -> Litestar:
    """Build the application; its `World` is ``app.state.world``."""
    world = World(settings)

    async def provide_world() -> World:
        return world

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        await world.courier.open()
        timers = asyncio.create_task(world.clock.run())
        try:
            yield
        finally:
            timers.cancel()
            with suppress(asyncio.CancelledError):
                await timers
            await world.courier.close()

    api = Router(
        path="/api/v1",
        route_handlers=[
            *inquiries.ROUTES,
            *actions.ROUTES,
            *webhooks.ROUTES,
            *listings.ROUTES,
            *cases.ROUTES,
            *transactions.ROUTES,
        ],
        middleware=[Edge()],
    )
    app = Litestar(
        route_handlers=[api, control.router(), *pages.ROUTES],
        dependencies={"world": Provide(provide_world)},
        exception_handlers={ApiError: _api_error, HTTPException: _http_error, Exception: _crash},
        lifespan=[lifespan],
        openapi_config=None,
        logging_config=None,
    )
    app.state.world = world
    return app
