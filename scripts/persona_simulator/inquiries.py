"""``/api/v1/inquiries``: create, read, change, redact."""

from __future__ import annotations

from collections.abc import Callable

from litestar import Response, delete, get, patch, post

from scripts.persona_simulator import lifecycle, people, resources, runs
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
from scripts.persona_simulator.errors import bad_request, conflict, unprocessable
from scripts.persona_simulator.ids import new_id
from scripts.persona_simulator.inflection import field_key
from scripts.persona_simulator.model import Account, Inquiry
from scripts.persona_simulator.state import World
from scripts.persona_simulator.wire import Json, JsonObject, moment

TEMPLATE_KEYS = ("template-id", "inquiry-template-id", "inquiry-template-version-id")
DEFAULT_ACCOUNT_TYPE = "acttp_SimulatorUser00000000000000000"


def answer_inquiry(
    request: Call, world: World, item: Inquiry, *, status: int = 200, meta: JsonObject | None = None
) -> Response[bytes]:
    snapshot = resources.inquiry_snapshot(world, item)
    return answer_one(request, world, snapshot, status=status, meta=meta)


def write_fields(item: Inquiry, given: Json) -> None:
    """Set fields from a flat map of key to value, keys in any casing."""
    if not isinstance(given, dict):
        raise bad_request("data.attributes.fields must be an object")
    for key, value in given.items():
        name = field_key(key)
        kind = people.FIELD_TYPES.get(name, "string")
        item.fields[name] = {"type": kind, "value": value}


def _seconds(meta: JsonObject, key: str) -> float | None:
    value = meta.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise bad_request(f"meta.{key} must be a positive number of seconds")
    return float(value)


def _template(world: World, attributes: JsonObject) -> tuple[str, str]:
    given = [key for key in TEMPLATE_KEYS if attributes.get(key)]
    if len(given) != 1:
        raise bad_request(f"data.attributes must have exactly one of {', '.join(TEMPLATE_KEYS)}")
    if given[0] == "inquiry-template-id":
        template_id = attributes["inquiry-template-id"]
        if template_id in world.settings.template_ids:
            return template_id, world.template_version(template_id)
    elif given[0] == "inquiry-template-version-id":
        version_id = attributes["inquiry-template-version-id"]
        for template_id in world.settings.template_ids:
            if world.template_version(template_id) == version_id:
                return template_id, version_id
    raise unprocessable(f"data.attributes.{given[0]} is not a published template")


def _account(world: World, attributes: JsonObject, meta: JsonObject) -> Account | None:
    """Find or create the inquiry's account, as its attributes and meta ask."""
    if attributes.get("account-id"):
        account = world.accounts.get(attributes["account-id"])
        if account is None:
            raise unprocessable("data.attributes.account-id is not an account")
        return account
    reference = meta.get("auto-create-account-reference-id")
    type_id = meta.get("auto-create-account-type-id")
    wanted = meta.get("auto-create-account")
    if wanted is False and (reference or type_id):
        raise bad_request("meta.auto-create-account is false, but an account is described")
    # The deprecated attribute means the same reference, and an account comes by default.
    reference = reference or attributes.get("reference-id")
    if reference is not None and not isinstance(reference, str):
        raise bad_request("the reference id must be a string")
    if wanted is False:
        return None
    if reference in world.references:
        return world.references[reference]
    return lifecycle.new_account(world, reference, type_id or DEFAULT_ACCOUNT_TYPE)


@post("/inquiries", status_code=201)
async def create_inquiry(request: Call, world: World) -> Response[bytes]:
    body = await body_of(request)
    attributes, meta = part_of(body, "data", "attributes"), part_of(body, "meta")
    template_id, version_id = _template(world, attributes)
    life = {
        phase: _seconds(meta, f"expiration-after-{phase}-interval-seconds") for phase in ("create", "start", "resume")
    }
    item = Inquiry(
        id=new_id("inq"),
        template_id=template_id,
        template_version_id=version_id,
        reference_id=None,
        account_id=None,
        note=attributes.get("note"),
        tags=list(attributes.get("tags") or []),
        creator=attributes.get("creator-email-address") or "API",
        redirect_uri=attributes.get("redirect-uri"),
        next_step=attributes.get("initial-step-name") or "start",
        life_seconds={phase: value for phase, value in life.items() if value is not None},
    )
    link_life = _seconds(meta, "one-time-link-expiration-seconds")
    write_fields(item, attributes.get("fields") or {})
    account = _account(world, attributes, meta)
    item.account_id = account.id if account else None
    item.reference_id = account.reference_id if account else attributes.get("reference-id")
    lifecycle.created(world, item)
    token = link = None
    if meta.get("auto-create-inquiry-session"):
        token = runs.token_for(world, runs.new_session(world, item))
    if meta.get("auto-create-one-time-link"):
        link = runs.one_time_link(world, item, link_life).code
    returned = {"session-token": token, **link_meta(world, link)}
    return answer_inquiry(request, world, item, status=201, meta=returned)


def link_meta(world: World, code: str | None) -> JsonObject:
    """The two spellings of a one-time link; treat both as opaque."""
    base = world.settings.base_url
    return {
        "one-time-link": f"{base}/verify?code={code}" if code else None,
        "one-time-link-short": f"{base}/s/{code}" if code else None,
    }


@get("/inquiries")
async def list_inquiries(request: Call, world: World) -> Response[bytes]:
    filters = _filters(request)
    chosen = [item for item in reversed(world.inquiries.values()) if all(fits(item) for fits in filters)]
    # Newest first; the sort is stable, so equal seconds keep the order of creation.
    chosen.sort(key=lambda item: item.times["created-at"] or 0.0, reverse=True)
    page, links = page_of(request, chosen, lambda item: item.id)
    view = view_of(request, world)
    data = [view.resource(resources.inquiry(world, item)) for item in page]
    return answer(200, {"data": data, "links": links})


FILTERS: dict[str, Callable[[Inquiry], str | None]] = {
    "inquiry-id": lambda item: item.id,
    "account-id": lambda item: item.account_id,
    "reference-id": lambda item: item.reference_id,
    "inquiry-template-id": lambda item: item.template_id,
    "template-id": lambda item: None,
    "status": lambda item: item.status,
    "note": lambda item: item.note,
}


def _filters(request: Call) -> list[Callable[[Inquiry], bool]]:
    """What an inquiry must satisfy to be listed. Raises 400."""
    given = {
        key[7:-1]: value
        for key, value in request.query_params.multi_items()
        if key.startswith("filter[") and key.endswith("]")
    }
    if "note" in given and len(given) > 1:
        raise bad_request("filter[note] cannot be combined with other filters")
    return [_filter(name, value) for name, value in given.items()]


def _filter(name: str, value: str) -> Callable[[Inquiry], bool]:
    if name in FILTERS:
        read, wanted = FILTERS[name], [value] if name == "note" else value.split(",")
        return lambda item: read(item) in wanted
    if name not in ("created-at-start", "created-at-end"):
        raise bad_request(f"filter[{name}] is not a filter of this list")
    try:
        limit = moment(value)
    except ValueError as error:
        raise bad_request(f"filter[{name}] is not a time") from error
    if name == "created-at-start":
        return lambda item: (item.times["created-at"] or 0.0) >= limit
    return lambda item: (item.times["created-at"] or 0.0) <= limit


@get("/inquiries/{inquiry_id:str}")
async def get_inquiry(request: Call, world: World, inquiry_id: str) -> Response[bytes]:
    return answer_inquiry(request, world, found(world.inquiries, inquiry_id))


@patch("/inquiries/{inquiry_id:str}")
async def update_inquiry(request: Call, world: World, inquiry_id: str) -> Response[bytes]:
    """Change note, fields, tags or redirect; allowed in any status, fires no event."""
    item = found(world.inquiries, inquiry_id)
    attributes = part_of(await body_of(request), "data", "attributes")
    lifecycle.may_change(item)
    if "fields" in attributes:
        write_fields(item, attributes["fields"])
    if "note" in attributes:
        item.note = attributes["note"]
    if "tags" in attributes:
        item.tags = list(attributes["tags"] or [])
    if "redirect-uri" in attributes:
        item.redirect_uri = attributes["redirect-uri"]
    item.times["updated-at"] = float(int(world.clock.now()))
    return answer_inquiry(request, world, item)


@delete("/inquiries/{inquiry_id:str}", status_code=200)
async def redact_inquiry(request: Call, world: World, inquiry_id: str) -> Response[bytes]:
    item = found(world.inquiries, inquiry_id)
    if item.times.get("redacted-at") is not None:
        raise conflict("Inquiry already redacted")
    lifecycle.redact(world, item)
    return answer_inquiry(request, world, item)


ROUTES = [create_inquiry, list_inquiries, get_inquiry, update_inquiry, redact_inquiry]
__all__ = ["ROUTES", "answer_inquiry", "link_meta", "write_fields"]
