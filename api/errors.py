"""From error to HTTP status, in one dictionary, answered as application/problem+json (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap

from issuer import errors as e
from issuer.ids import new_id
from issuer.log import get_logger

STATUS: dict[type[e.ClaimwrightError], int] = {
    e.InvalidInput: 400,
    e.NotAuthenticated: 401,
    e.WebhookRefused: 401,
    e.NotAllowed: 403,
    e.NotFound: 404,
    e.Conflict: 409,
    e.BodyTooLarge: 413,
    e.ProviderUnavailable: 503,
    e.ProviderError: 502,
    e.NodeUnavailable: 503,
    e.ChainError: 502,
    e.Changed: 503,
    e.BudgetSpent: 503,
    e.StoreBusy: 503,
    e.LaneLost: 503,
    e.ClaimwrightError: 500,
}

_CODES = {
    400: "invalid-input",
    404: "not-found",
    405: "method-not-allowed",
    413: "body-too-large",
    415: "unsupported-media-type",
}
MEDIA_TYPE = "application/problem+json"
SAFE_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
RETRY_SECONDS = 5


def status_of(error: e.ClaimwrightError) -> int:
    """The status of the nearest ancestor that has one."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def problem(
    error: e.ClaimwrightError, *, instance: str | None = None, extras: Mapping[str, object] | None = None
) -> Response[Any]:
    """The answer for one of our errors. An error of 500 says nothing of itself but the id it is logged under."""
    status = status_of(error)
    more: dict[str, object] = dict(extras or {})
    headers: dict[str, str] = {}
    if status >= 500 and not error.transient and not isinstance(error, e.ProviderError):
        return unexpected(error, instance=instance)
    if isinstance(error, e.InvalidInput):
        more["field"] = error.field
    if status == 401:
        headers["www-authenticate"] = 'Bearer realm="claimwright"'
    if status == 503:
        wait = error.retry_after if isinstance(error, e.ProviderUnavailable | e.BudgetSpent) else RETRY_SECONDS
        headers["retry-after"] = str(max(1, round(wait)))
    return answer(status, error.code, error.message, instance=instance, extras=more, headers=headers)


def answer(
    status: int,
    code: str,
    detail: str,
    *,
    instance: str | None = None,
    extras: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response[Any]:
    return Response(
        content=body(status, code, detail, instance=instance, extras=extras),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers={**SAFE_HEADERS, **(headers or {})},
    )


def body(
    status: int, code: str, detail: str, *, instance: str | None = None, extras: Mapping[str, object] | None = None
) -> bytes:
    members: dict[str, object] = {
        "type": f"urn:claimwright:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if instance is not None:
        members["instance"] = instance
    return msgspec.json.encode(members | dict(extras or {}))


def unexpected(error: BaseException, *, instance: str | None = None) -> Response[Any]:
    """500: an id for the person who reads the log, and nothing else for the caller."""
    request_id = new_id("err")
    get_logger().error("request_failed", request_id=request_id, error=error)
    return answer(500, "internal", "Something went wrong here.", instance=instance, extras={"request_id": request_id})


def _ours(request: Request[Any, Any, Any], error: e.ClaimwrightError) -> Response[Any]:
    return problem(error, instance=request.scope["path"])


def _validation(request: Request[Any, Any, Any], error: ValidationException) -> Response[Any]:
    """Litestar found a parameter or the body wrong: the same words as for a field that we refuse ourselves."""
    first = error.extra[0] if isinstance(error.extra, list) and error.extra else {}
    field, detail = _named(str(first.get("key") or "body"), str(first.get("message") or "is not valid"))
    return answer(
        400,
        "invalid-input",
        f"{field}: {detail}",
        instance=request.scope["path"],
        extras={"field": field},
    )


def _named(key: str, message: str) -> tuple[str, str]:
    """msgspec names an unknown or missing field inside its sentence; it is the field that is wrong."""
    key = "body" if key == "data" else key
    quoted = message.split("`")
    if len(quoted) == 3 and "field" in quoted[0]:
        return quoted[1], "is not a field of this request" if "unknown" in message else "is required"
    return key, message[:1].lower() + message[1:]


def _http(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """Litestar's own refusals. Their `detail` may quote what was sent, so only the status speaks."""
    status = error.status_code
    if status >= 500:
        return unexpected(error, instance=request.scope["path"])
    detail = {400: "The request is not well formed."}.get(status, f"{HTTPStatus(status).phrase}.")
    allowed = {name: value for name, value in (error.headers or {}).items() if name.lower() == "allow"}
    return answer(status, _CODES.get(status, "refused"), detail, instance=request.scope["path"], headers=allowed)


def _too_deep(request: Request[Any, Any, Any], error: RecursionError) -> Response[Any]:
    """Nothing of ours recurses: it is the decoder that met a body nested thousands of levels deep."""
    return answer(400, "invalid-input", "The request is nested too deeply.", instance=request.scope["path"])


def _anything(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    return unexpected(error, instance=request.scope["path"])


HANDLERS: ExceptionHandlersMap = {
    e.ClaimwrightError: _ours,
    ValidationException: _validation,
    HTTPException: _http,
    RecursionError: _too_deep,
    Exception: _anything,
}
