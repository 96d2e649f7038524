"""What Litestar cannot know of the API, in the words of OpenAPI: our problems, and the hand-written webhook."""

from typing import Any

PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "application/problem+json, RFC 9457.",
    "properties": {
        "type": {"type": "string", "examples": ["urn:claimwright:problem:invalid-input"]},
        "title": {"type": "string", "examples": ["Bad Request"]},
        "status": {"type": "integer", "examples": [400]},
        "detail": {"type": "string", "examples": ["wallet: has a wrong checksum; use EIP-55 or all lower case"]},
        "instance": {"type": "string", "description": "The path that was asked for."},
        "field": {"type": "string", "description": "With invalid-input: the field that is wrong."},
        "case_id": {"type": "string", "description": "When the provider failed: the case that was kept."},
        "request_id": {"type": "string", "description": "With internal: what the log calls this failure."},
    },
    "required": ["type", "title", "status", "detail"],
}
_REFERENCE = {"$ref": "#/components/schemas/Problem"}


def problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/problem+json": {"schema": _REFERENCE}}}


def described(schema: dict[str, Any]) -> dict[str, Any]:
    """Litestar's document with our problems in place of its own errors, and with the webhook."""
    paths = {path: {verb: _honest(path, one) for verb, one in item.items()} for path, item in schema["paths"].items()}
    components = schema["components"]
    schemas = components.get("schemas", {}) | {"Problem": PROBLEM_SCHEMA}
    return schema | {
        "paths": dict(sorted((paths | webhook_path()).items())),
        "components": components | {"schemas": schemas},
    }


def _honest(path: str, operation: Any) -> Any:  # noqa: ANN401 - an operation, or what a path item holds beside them
    if not isinstance(operation, dict) or "responses" not in operation:
        return operation
    told = {status: one for status, one in operation["responses"].items() if status.startswith("2")}
    if path == "/health/ready":
        told["503"] = problem("Not ready; `detail` says why")
    if path.startswith("/v1"):
        told |= {"400": problem("A field is wrong; `field` names it"), "401": problem("No valid API key")}
        told |= {"403": problem("The key lacks the scope"), "503": problem("Busy; come back after Retry-After")}
        if "{" in path:
            told["404"] = problem("Nothing of yours has this id")
        if "requestBody" in operation or path.endswith(("/resume", "/expire")):
            told["409"] = problem("Not in the state that it is in; or an Idempotency-Key with another body")
        if operation["operationId"] in ("createCase", "resumeCase", "expireCase"):
            told["502"] = problem("The provider refused; `case_id` is kept")
    return operation | {"responses": dict(sorted(told.items()))}


def webhook_path() -> dict[str, Any]:
    """Both forms of the path."""
    short = {"name": "provider", "in": "path", "required": True, "schema": {"type": "string"}, "example": "persona"}
    environment = {
        "name": "environment",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "enum": ["sandbox", "production"]},
    }
    return {
        "/webhooks/{provider}": {
            "post": _operation(
                "receiveWebhook",
                [short],
                "The short form, while exactly one environment of the provider is configured.",
            )
        },
        "/webhooks/{provider}/{environment}": {
            "post": _operation("receiveEnvironmentWebhook", [short, environment], "One environment of a provider.")
        },
    }


def _operation(operation_id: str, parameters: list[dict[str, Any]], what: str) -> dict[str, Any]:
    return {
        "tags": ["webhooks"],
        "summary": "A provider's signed event",
        "description": f"{what} The signature is checked over the raw bytes; a duplicate is answered 202 as well.",
        "operationId": operation_id,
        "parameters": parameters,
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
        "responses": {
            "202": {
                "description": "Stored, or stored before",
                "content": {"application/json": {"schema": {"type": "object"}}},
            },
            "401": problem("Unsigned, forged, stale or malformed"),
            "404": problem("No such provider or environment"),
            "413": problem("More than 1 MiB"),
            "503": problem("The store is busy; send it again"),
        },
    }
