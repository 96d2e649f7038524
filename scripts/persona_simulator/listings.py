"""``/api/v1/events``, ``/accounts``, ``/inquiry-sessions`` and ``/reports``."""

from __future__ import annotations

from litestar import Response, delete, get, post

from scripts.persona_simulator import lifecycle, resources, runs
from scripts.persona_simulator.calls import (
    Call,
    answer,
    answer_one,
    body_of,
    found,
    one_of,
    page_of,
    part_of,
    view_of,
)
from scripts.persona_simulator.errors import ApiError, conflict
from scripts.persona_simulator.model import Event, Snapshot
from scripts.persona_simulator.serialise import FLAT_VERSION, select_included
from scripts.persona_simulator.state import World
from scripts.persona_simulator.wire import JsonObject


def _event(request: Call, world: World, event: Event) -> JsonObject:
    view = view_of(request, world)
    names: list[str] | None = None if view.version == FLAT_VERSION else []
    return view.event(event, select_included(event.payload, names))


@get("/events")
async def list_events(request: Call, world: World) -> Response[bytes]:
    """Newest first; filters ``name``, ``object-id`` and ``id``, and none on time."""
    chosen = [
        event
        for event in reversed(world.events.values())
        if one_of(request, "name", event.name)
        and one_of(request, "id", event.id)
        and one_of(request, "object-id", event.payload.data["id"])
    ]
    page, links = page_of(request, chosen, lambda event: event.id)
    return answer(200, {"data": [_event(request, world, event) for event in page], "links": links})


@get("/events/{event_id:str}")
async def get_event(request: Call, world: World, event_id: str) -> Response[bytes]:
    return answer(200, {"data": _event(request, world, found(world.events, event_id))})


@get("/accounts")
async def list_accounts(request: Call, world: World) -> Response[bytes]:
    chosen = [
        account
        for account in reversed(world.accounts.values())
        if one_of(request, "reference-id", account.reference_id)
    ]
    page, links = page_of(request, chosen, lambda account: account.id)
    view = view_of(request, world)
    data = [view.resource(resources.account(account)) for account in page]
    return answer(200, {"data": data, "links": links})


@get("/accounts/{account_id:str}")
async def get_account(request: Call, world: World, account_id: str) -> Response[bytes]:
    account = found(world.accounts, account_id)
    return answer_one(request, world, Snapshot(resources.account(account), []))


@delete("/accounts/{account_id:str}", status_code=200)
async def redact_account(request: Call, world: World, account_id: str) -> Response[bytes]:
    account = found(world.accounts, account_id)
    if account.redacted_at is not None:
        raise conflict("Account already redacted")
    lifecycle.redact_account(world, account)
    return answer_one(request, world, Snapshot(resources.account(account), []))


@get("/inquiry-sessions")
async def list_sessions(request: Call, world: World) -> Response[bytes]:
    chosen = [
        session for session in reversed(world.sessions.values()) if one_of(request, "inquiry-id", session.inquiry_id)
    ]
    page, links = page_of(request, chosen, lambda session: session.id)
    view = view_of(request, world)
    data = [view.resource(resources.session(session)) for session in page]
    return answer(200, {"data": data, "links": links})


@post("/inquiry-sessions/{session_id:str}/expire", status_code=200)
async def expire_session(request: Call, world: World, session_id: str) -> Response[bytes]:
    session = found(world.sessions, session_id)
    runs.expire_session(world, session_id)
    return answer_one(request, world, Snapshot(resources.session(session), []))


@post("/inquiry-sessions", status_code=201)
async def create_session(request: Call, world: World) -> Response[bytes]:
    attributes = part_of(await body_of(request), "data", "attributes")
    item = found(world.inquiries, str(attributes.get("inquiry-id")))
    lifecycle.may_change(item)
    session = runs.new_session(world, item)
    snapshot = Snapshot(resources.session(session), [])
    meta = {"session-token": runs.token_for(world, session)}
    return answer_one(request, world, snapshot, status=201, meta=meta)


@get("/reports")
async def list_reports(request: Call, world: World) -> Response[bytes]:
    chosen = [
        part
        for part in reversed(world.parts.values())
        if part.type.startswith("report/") and one_of(request, "account-id", part.account_id)
    ]
    page, links = page_of(request, chosen, lambda part: part.id)
    view = view_of(request, world)
    return answer(200, {"data": [view.resource(resources.part(part)) for part in page], "links": links})


@get("/inquiry-templates")
async def list_templates() -> Response[bytes]:
    """Templates are readable with production keys only, and this is a sandbox."""
    raise ApiError(403, "This endpoint is not available to sandbox API keys")


ROUTES = [
    list_events,
    get_event,
    list_accounts,
    get_account,
    redact_account,
    list_sessions,
    expire_session,
    create_session,
    list_reports,
    list_templates,
]
