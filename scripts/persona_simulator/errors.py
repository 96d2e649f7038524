"""Refusals in Persona's form: ``{"errors": [{"title", "details"}]}``, never ``detail``."""

from __future__ import annotations

from scripts.persona_simulator.wire import JsonObject

TITLES = {
    400: "Bad Request",
    401: "Must be authenticated to access this endpoint",
    403: "Forbidden",
    404: "Record not found",
    409: "Conflict",
    422: "Unprocessable entity",
    429: "Rate limit exceeded",
}


class ApiError(Exception):
    """An answer other than success. `details` may be None, as on 401, 404 and 429."""

    def __init__(self, status: int, details: str | None = None, *, title: str | None = None) -> None:
        super().__init__(details or title or TITLES.get(status, "Internal server error"))
        self.status = status
        self.title = title or TITLES.get(status, "Internal server error")
        self.details = details

    def document(self) -> JsonObject:
        error = {"title": self.title}
        if self.details is not None:
            error["details"] = self.details
        return {"errors": [error]}


def bad_request(details: str) -> ApiError:
    return ApiError(400, details)


def not_found() -> ApiError:
    return ApiError(404)


def conflict(details: str) -> ApiError:
    return ApiError(409, details)


def unprocessable(details: str) -> ApiError:
    return ApiError(422, details)
