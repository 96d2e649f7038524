"""``/api/v1/webhooks``: the receivers, their settings and their secrets."""

from __future__ import annotations

from collections.abc import Callable

from litestar import Response, get, patch, post

from scripts.persona_simulator import resources
from scripts.persona_simulator.blocklist import Blocklist
from scripts.persona_simulator.calls import (
    Call,
    answer,
    answer_one,
    body_of,
    found,
    page_of,
    part_of,
    view_of,
)
from scripts.persona_simulator.errors import bad_request, conflict, not_found
from scripts.persona_simulator.ids import new_id, new_webhook_secret
from scripts.persona_simulator.inflection import STYLES
from scripts.persona_simulator.model import Secret, Snapshot, Webhook
from scripts.persona_simulator.serialise import VERSIONS
from scripts.persona_simulator.state import World
from scripts.persona_simulator.wire import Json, JsonObject

SETTINGS = {
    "name": "name",
    "description": "description",
    "url": "url",
    "enabled-events": "enabled_events",
    "api-version": "api_version",
    "api-key-inflection": "api_key_inflection",
    "api-attributes-blocklist": "attributes_blocklist",
    "file-access-token-expires-in": "file_access_token_expires_in",
    "payload-filter": "payload_filter",
    "custom-http-headers": "custom_http_headers",
    "included-allowlist": "included_allowlist",
    "relationship-allowlist": "relationship_allowlist",
}
"""Attribute name to our field, for everything a request may set."""


def _text_list(value: Json) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _state_in(value: Json, *states: str) -> bool:
    return isinstance(value, dict) and value.get("state") in states


INCLUDED = ("include_none", "include_all", "custom")
RELATED = ("include_all", "include_none")
CHECKS: dict[str, Callable[[Json], bool]] = {
    "url": lambda value: isinstance(value, str) and value.startswith(("http://", "https://")),
    "enabled-events": lambda value: _text_list(value),
    "api-version": lambda value: value in VERSIONS,
    "api-key-inflection": lambda value: value in STYLES,
    "api-attributes-blocklist": lambda value: _text_list(value),
    "included-allowlist": lambda value: _state_in(value, *INCLUDED),
    "relationship-allowlist": lambda value: _state_in(value, *RELATED),
}


def _check(attributes: JsonObject) -> None:
    """Raise 400 for an attribute that webhooks do not have or a value it cannot take."""
    for name, value in attributes.items():
        if name not in SETTINGS:
            raise bad_request(f"data.attributes.{name} is not an attribute of a webhook")
        if name in CHECKS and not CHECKS[name](value):
            raise bad_request(f"data.attributes.{name} is not valid")
    try:
        Blocklist(attributes.get("api-attributes-blocklist", []))
    except ValueError as error:
        raise bad_request(str(error)) from error


def _answer(request: Call, world: World, item: Webhook, status: int = 200) -> Response[bytes]:
    now = world.clock.now()
    item.secrets = [s for s in item.secrets if s.expires_at is None or s.expires_at > now]
    return answer_one(request, world, Snapshot(resources.webhook(item), []), status=status)


@post("/webhooks", status_code=201)
async def create_webhook(request: Call, world: World) -> Response[bytes]:
    attributes = part_of(await body_of(request), "data", "attributes")
    for name in ("url", "enabled-events"):
        if name not in attributes:
            raise bad_request(f"data.attributes.{name} is missing")
    _check(attributes)
    item = Webhook(
        id=new_id("wbh"),
        url=attributes["url"],
        created_at=world.clock.now(),
        secrets=[Secret(new_webhook_secret())],
        enabled_events=attributes["enabled-events"],
        api_version=request.scope["state"]["version"],
    )
    for name, value in attributes.items():
        setattr(item, SETTINGS[name], value)
    world.webhooks[item.id] = item
    return _answer(request, world, item, 201)


@get("/webhooks")
async def list_webhooks(request: Call, world: World) -> Response[bytes]:
    page, links = page_of(request, reversed(world.webhooks.values()), lambda item: item.id)
    view = view_of(request, world)
    data = [view.resource(resources.webhook(item)) for item in page]
    return answer(200, {"data": data, "links": links})


@get("/webhooks/{webhook_id:str}")
async def get_webhook(request: Call, world: World, webhook_id: str) -> Response[bytes]:
    return _answer(request, world, found(world.webhooks, webhook_id))


@patch("/webhooks/{webhook_id:str}")
async def update_webhook(request: Call, world: World, webhook_id: str) -> Response[bytes]:
    item = found(world.webhooks, webhook_id)
    attributes = part_of(await body_of(request), "data", "attributes")
    _check(attributes)
    for name, value in attributes.items():
        setattr(item, SETTINGS[name], value)
    return _answer(request, world, item)


@post("/webhooks/{webhook_id:str}/{verb:str}", status_code=200)
async def change_webhook(request: Call, world: World, webhook_id: str, verb: str) -> Response[bytes]:
    """``enable``, ``disable``, ``archive`` and ``rotate-secret``."""
    item = found(world.webhooks, webhook_id)
    if item.status == "archived":
        raise conflict("Webhook is archived")
    if verb == "enable":
        item.status = "enabled"
    elif verb in ("disable", "archive"):
        item.status = "disabled" if verb == "disable" else "archived"
        world.courier.cancel_all(item)
    elif verb == "rotate-secret":
        _rotate(world, item, part_of(await body_of(request), "meta"))
    else:
        raise not_found()
    return _answer(request, world, item)


def _rotate(world: World, item: Webhook, meta: JsonObject) -> None:
    """A new secret first; the old one goes on signing for ``expires-in-seconds``."""
    overlap = meta.get("expires-in-seconds", 0)
    if isinstance(overlap, bool) or not isinstance(overlap, int | float) or overlap < 0:
        raise bad_request("meta.expires-in-seconds must not be negative")
    now = world.clock.now()
    for secret in item.secrets:
        secret.expires_at = min(secret.expires_at or now + overlap, now + overlap)
    kept = [secret for secret in item.secrets if (secret.expires_at or 0) > now]
    item.secrets = [Secret(new_webhook_secret()), *kept]


ROUTES = [create_webhook, list_webhooks, get_webhook, update_webhook, change_webhook]
