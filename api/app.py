"""The HTTP edge. Granian serves the string `api.app:create_app`, a factory."""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.types import ASGIApp

from api import errors
from api.auth import provide_caller, require_key
from api.cases import case_routes
from api.claims import claim_routes
from api.docs import document
from api.edge import AccessLog, Drain, Headers, Measured
from api.external import external_routes
from api.health import health_routes, watch_port
from api.reviews import review_routes
from api.services import Services
from api.subjects import subject_routes
from api.webhooks import webhook_routes
from issuer import log
from issuer.cases import levels
from issuer.clock import now as clock_now
from issuer.providers.protocol import Provider, WebhookDoor
from issuer.settings import ApiSettings, load

LARGEST_BODY = 64 * 1024
PR_SET_PDEATHSIG = 1


def create_app() -> ASGIApp:
    """The app as the environment configures it. Raises `SettingsError`."""
    if os.environ.get("CLAIMWRIGHT_DIE_WITH_PARENT") == "1":
        die_with_parent()
    settings = load(ApiSettings, os.environ)
    levels.use(settings.levels_file)
    log.configure("api", settings.log_level)
    return Measured(build_app(settings))


def build_app(
    settings: ApiSettings,
    *,
    doors: Mapping[tuple[str, str], WebhookDoor] | None = None,
    providers: Mapping[tuple[str, str], Provider] | None = None,
    clock: Callable[[], datetime] = clock_now,
) -> Litestar:
    """The app with these settings; what is given stands in for what they configure."""
    services = Services(settings, doors=doors, providers=providers, clock=clock)

    @asynccontextmanager
    async def running(_app: Litestar) -> AsyncIterator[None]:
        async with services.running(), watch_port(services):
            yield

    def provide_services() -> Services:
        return services

    v1 = Router(
        path="/v1",
        guards=[require_key],
        middleware=[Drain(), AccessLog(), Headers(cache_control="no-store")],
        dependencies={"caller": Provide(provide_caller, sync_to_thread=False)},
        request_max_body_size=LARGEST_BODY,
        security=[{"bearer": []}],
        route_handlers=[case_routes, claim_routes, external_routes, review_routes, subject_routes],
    )
    return Litestar(
        route_handlers=[*webhook_routes(services), v1, health_routes],
        dependencies={"services": Provide(provide_services, sync_to_thread=False)},
        exception_handlers=errors.HANDLERS,
        lifespan=[running],
        openapi_config=document(),
        state=State({"services": services}),
        logging_config=None,
        debug=False,
    )


def die_with_parent() -> None:
    """A worker whose parent was killed must not live on with its port and its store. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        parent = multiprocessing.parent_process()
        if parent is not None and os.getppid() != parent.pid:  # it was gone before we asked
            os.kill(os.getpid(), signal.SIGKILL)
