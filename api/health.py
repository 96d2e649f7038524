"""Is the process alive, and can it serve? Neither asks the chain or a provider."""

from typing import Any

import sqlalchemy as sa
from litestar import Response, Router, get
from litestar.di import NamedDependency

from api import errors
from api.schemas import Health
from api.services import Services
from issuer.errors import StoreBusy
from issuer.migrations import at_head


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


health_routes = Router(path="/health", tags=["health"], route_handlers=[live, ready])
