"""The webhook in the words of OpenAPI, written by hand beside its hand-written handler."""

from typing import Any

_PROBLEM = {
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "properties": {
                    "type": {"type": "string"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                    "instance": {"type": "string"},
                },
                "required": ["type", "title", "status", "detail"],
            }
        }
    }
}


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
                "ReceiveWebhook",
                [short],
                "The short form, while exactly one environment of the provider is configured.",
            )
        },
        "/webhooks/{provider}/{environment}": {
            "post": _operation("ReceiveEnvironmentWebhook", [short, environment], "One environment of a provider.")
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
            "401": {"description": "Unsigned, forged, stale or malformed", **_PROBLEM},
            "404": {"description": "No such provider or environment", **_PROBLEM},
            "413": {"description": "More than 1 MiB", **_PROBLEM},
            "503": {"description": "The store is busy; send it again", **_PROBLEM},
        },
    }
