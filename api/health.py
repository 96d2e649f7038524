"""Is the process alive, and can it serve? Neither asks the chain or a provider.

The public answers say no more than that; what is behind them, and the metrics, stand on the private port.
"""

from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
import sqlalchemy as sa
from litestar import Response, Router, get
from litestar.di import NamedDependency

from api import errors
from api.services import Services
from issuer.errors import StoreBusy
from issuer.migrations import at_head
from issuer.monitoring import exposition, pages
from issuer.monitoring.port import Page, private_port
from issuer.monitoring.store import inbox_waiting


class Health(msgspec.Struct, frozen=True, kw_only=True):
    status: str


@get("/live", summary="The process answers")
async def live() -> Health:
    """Depends on nothing."""
    return Health(status="ok")


@get("/ready", summary="The process can serve")
async def ready(services: NamedDependency[Services]) -> Response[Health]:
    """The database answers and has the schema of this version; 503 otherwise."""
    try:
        if not services.migrated:
            services.migrated = await at_head(services.db)
        else:
            async with services.db.read() as session:
                await session.execute(sa.text("SELECT 1"))
    except (StoreBusy, OSError):
        return _not_ready("the database does not answer")
    if not services.migrated:
        return _not_ready("the database is not at this version's schema; run `claimwright migrate`")
    return Response(Health(status="ok"))


def _not_ready(why: str) -> Response[Any]:
    return errors.answer(503, "not-ready", why, headers={"retry-after": str(errors.RETRY_SECONDS)})


def watch_port(services: Services) -> AbstractAsyncContextManager[None]:
    """The private port, held by the first worker that gets it; the figures on it are all workers' together."""

    async def metrics() -> Page:
        return Page(exposition.text(), exposition.CONTENT_TYPE)

    async def ready_in_detail() -> Page:
        problem, migrated = await pages.schema_problem(services.db)
        if problem is not None:
            return pages.detail("not-ready", [problem], migrated=migrated)
        async with services.db.read() as session:
            inbox = await inbox_waiting(session)
        problems = [*pages.waits_long("provider events", inbox), *pages.providers_out(services.out())]
        return pages.detail("degraded" if problems else "ok", problems, migrated=True, inbox=inbox)

    settings = services.settings
    return private_port(
        "CLAIMWRIGHT_API_PRIVATE_PORT",
        settings.private_host,
        settings.private_port,
        {"/metrics": metrics, "/health/live": pages.live, "/health/ready": ready_in_detail},
        shared=True,
    )


health_routes = Router(path="/health", tags=["health"], route_handlers=[live, ready])
