"""The guard of /v1: a key, and the scope that the handler names. A handler that names none is open to nobody."""

from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from api.keys import Caller
from api.services import Services
from issuer.access.rules import allows
from issuer.errors import NotAllowed, NotAuthenticated

SCOPE = "scope"


async def require_key(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Raises `NotAuthenticated` or `NotAllowed`; runs before any parameter or body is read."""
    scheme, _, key = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise NotAuthenticated("a valid API key is needed: Authorization: Bearer cwk_...")
    services: Services = connection.app.state.services
    caller = await services.keys.caller(key.strip())
    needed = handler.opt.get(SCOPE)
    if needed is None or not allows(caller.scopes, needed):
        raise NotAllowed(f"this key lacks the scope {needed}")
    connection.scope["user"] = caller


def provide_caller(request: Request[Caller, Any, Any]) -> Caller:
    return request.user
