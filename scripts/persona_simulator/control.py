"""``/_sim``: what tests and demos use to arrange, disturb and observe. Not part of Persona."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

from litestar import Response, Router, delete, get, patch, post
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from scripts.persona_simulator import seeding
from scripts.persona_simulator.calls import Call, answer, body_of, found
from scripts.persona_simulator.errors import ApiError, bad_request
from scripts.persona_simulator.faults import read_fault
from scripts.persona_simulator.model import Attempt, Delivery
from scripts.persona_simulator.signing import signature_header
from scripts.persona_simulator.state import World
from scripts.persona_simulator.wire import JsonObject, encode, milliseconds, moment

OUTCOMES = ("approve", "decline", "review", "none")


async def raw_body(request: Call) -> JsonObject:
    """The body as written: control requests use snake case or kebab, as documented."""
    body = json.loads(await request.body() or b"{}")
    if not isinstance(body, dict):
        raise bad_request("the request body must be a JSON object")
    return body


def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Admit only holders of an API key; health is open."""
    if handler.opt.get("open"):
        return
    keys = connection.app.state.world.settings.api_keys
    given = connection.headers.get("X-Simulator-Key", "").encode()
    if not any(hmac.compare_digest(key.encode(), given) for key in keys):
        raise ApiError(401, "X-Simulator-Key must be the simulator's API key")


def attempt_json(attempt: Attempt) -> JsonObject:
    return {name: getattr(attempt, name) for name in attempt.__slots__}


def delivery_json(delivery: Delivery) -> JsonObject:
    return {
        "id": delivery.id,
        "event_id": delivery.event_id,
        "event_name": delivery.event_name,
        "inquiry_id": delivery.inquiry_id,
        "webhook_id": delivery.webhook_id,
        "status": delivery.status,
        "note": delivery.note,
        "created_at": milliseconds(delivery.created_at),
        "attempts": [attempt_json(attempt) for attempt in delivery.attempts],
        "body": delivery.body.decode(),
    }


@get("/health", opt={"open": True})
async def health(world: World) -> Response[bytes]:
    return answer(200, {"status": "ok", "environment_id": world.settings.environment_id})


@post("/reset", status_code=200)
async def reset(world: World) -> Response[bytes]:
    world.reset()
    return answer(200, {"reset": True})


@post("/faults", status_code=200)
async def add_faults(request: Call, world: World) -> Response[bytes]:
    """Add ``{"faults": [...]}``, or the one fault that the body is."""
    body = await raw_body(request)
    world.faults.waiting += [read_fault(given) for given in body.get("faults", [body])]
    return answer(200, {"faults": [fault.as_json() for fault in world.faults.waiting]})


@get("/faults")
async def list_faults(world: World) -> Response[bytes]:
    return answer(200, {"faults": [fault.as_json() for fault in world.faults.waiting]})


@delete("/faults", status_code=200)
async def clear_faults(world: World) -> Response[bytes]:
    world.faults.waiting = []
    return answer(200, {"faults": []})


@post("/chaos", status_code=200)
async def set_chaos(request: Call, world: World) -> Response[bytes]:
    wanted = await raw_body(request)
    world.chaos.set(wanted)
    if not world.chaos.is_on("reorder") and "reorder" in wanted:
        world.courier.release_held()
    return answer(200, world.chaos.as_json())


@post("/clock", status_code=200)
async def set_clock(request: Call, world: World) -> Response[bytes]:
    """``speed``, ``set`` (RFC 3339 or Unix seconds) or ``advance_seconds``, in that order.

    Moving forward runs every timer on the way and waits for the deliveries it causes.
    """
    body = await raw_body(request)
    if "speed" in body:
        world.clock.set_speed(float(body["speed"]))
    if "set" in body:
        await world.clock.advance_to(moment(body["set"]))
    if "advance_seconds" in body:
        await world.clock.advance_to(world.clock.now() + float(body["advance_seconds"]))
    now = world.clock.now()
    return answer(200, {"now": now, "iso": milliseconds(now), "speed": world.clock.speed})


@post("/settle", status_code=200)
async def settle(world: World) -> Response[bytes]:
    """Answer once no delivery is on its way; retries that wait for the clock do not count."""
    await world.clock.settle()
    return answer(200, {"pending": sum(d.status == "pending" for d in world.deliveries.values())})


@get("/deliveries")
async def list_deliveries(request: Call, world: World) -> Response[bytes]:
    """The delivery log, oldest first; ``?event_name=``, ``?inquiry_id=``, ``?status=`` narrow it."""
    chosen = [
        delivery_json(delivery)
        for delivery in world.deliveries.values()
        if all(
            request.query_params.get(name) in (None, getattr(delivery, name))
            for name in ("event_name", "inquiry_id", "status", "event_id")
        )
    ]
    return answer(200, {"deliveries": chosen})


@post("/deliveries/{delivery_id:str}/resend", status_code=200)
async def resend(world: World, delivery_id: str) -> Response[bytes]:
    delivery = found(world.deliveries, delivery_id)
    attempt = await world.courier.resend(delivery)
    shown = attempt_json(attempt) if attempt else None
    return answer(200, {"attempt": shown, "delivery": delivery_json(delivery)})


@post("/deliver", status_code=200)
async def deliver(request: Call, world: World) -> Response[bytes]:
    """Sign exact bytes and POST them once to the webhook's URL; answers the receiver's status.

    ``{"body": text | "body_base64": text | "json": any, "secret"?, "t"?, "url"?, "headers"?}``.
    """
    body = await raw_body(request)
    webhook = next(iter(world.webhooks.values()), None)
    url = body.get("url") or (webhook.url if webhook else None)
    if url is None:
        raise bad_request("no webhook is registered, so give a url")
    if "body_base64" in body:
        content = base64.b64decode(body["body_base64"], validate=True)
    elif "body" in body:
        content = str(body["body"]).encode()
    else:
        content = encode(body.get("json"))
    now = world.clock.now()
    secrets = [body["secret"]] if body.get("secret") else []
    if not secrets and webhook is not None:
        secrets = world.active_secrets(webhook, now)
    t = int(body.get("t", now))
    headers = {
        "Persona-Signature": signature_header(secrets, content, t),
        "Persona-Webhook-Attempts-Made": "1",
        "Persona-Webhook-Attempts-Left": "7",
        "Persona-Webhook-First-Attempted-At": str(t),
    } | body.get("headers", {})
    status, error = await world.courier.post(url, content, headers)
    return answer(200, {"status": status, "error": error})


@post("/workflow", status_code=200)
async def set_workflow(request: Call, world: World) -> Response[bytes]:
    body = await raw_body(request)
    workflow = world.workflow
    outcome = body.get("outcome", workflow.outcome)
    if outcome not in OUTCOMES:
        raise bad_request(f"outcome must be one of {', '.join(OUTCOMES)}")
    workflow.outcome = outcome
    workflow.enabled = bool(body.get("enabled", True))
    workflow.delay_seconds = float(body.get("delay_seconds", workflow.delay_seconds))
    world.redaction_delay = float(body.get("redaction_delay_seconds", world.redaction_delay))
    return answer(200, {name: getattr(workflow, name) for name in workflow.__slots__})


@post("/rate-limits", status_code=200)
async def set_rate_limits(request: Call, world: World) -> Response[bytes]:
    body = await raw_body(request)
    world.rate_limit.enforced = bool(body.get("enforce", True))
    world.rate_limit.limit = int(body.get("limit", world.rate_limit.limit))
    limit = world.rate_limit
    return answer(200, {"enforce": limit.enforced, "limit": limit.limit})


@get("/inquiries/count")
async def count_inquiries(request: Call, world: World) -> Response[bytes]:
    """How many inquiries exist; ``?reference_id=`` and ``?status=`` narrow it."""
    count = sum(
        request.query_params.get("reference_id") in (None, item.reference_id)
        and request.query_params.get("status") in (None, item.status)
        for item in world.inquiries.values()
    )
    return answer(200, {"count": count})


@get("/inquiries/{inquiry_id:str}")
async def show_inquiry(world: World, inquiry_id: str) -> Response[bytes]:
    return answer(200, seeding.show(found(world.inquiries, inquiry_id)))


@post("/inquiries", status_code=201)
async def seed_inquiry(request: Call, world: World) -> Response[bytes]:
    return answer(201, seeding.show(seeding.seed(world, await body_of(request))))


@patch("/inquiries/{inquiry_id:str}")
async def force_inquiry(request: Call, world: World, inquiry_id: str) -> Response[bytes]:
    item = found(world.inquiries, inquiry_id)
    seeding.force(item, await body_of(request))
    return answer(200, seeding.show(item))


@post("/reports", status_code=201)
async def add_report(request: Call, world: World) -> Response[bytes]:
    """A screening report and its event: ``{"inquiry-id" | "account-id", "type", "event"?}``."""
    report = seeding.report(world, await body_of(request))
    return answer(201, {"id": report.id, "type": report.type})


def _unreadable(_: Call, error: Exception) -> Response[bytes]:
    return answer(400, bad_request(str(error)).document())


def router() -> Router:
    return Router(
        path="/_sim",
        guards=[guard],
        # Every value here is read by a plain conversion, so these two mean a wrong request.
        exception_handlers={ValueError: _unreadable, TypeError: _unreadable},
        route_handlers=[
            health,
            reset,
            add_faults,
            list_faults,
            clear_faults,
            set_chaos,
            set_clock,
            settle,
            list_deliveries,
            resend,
            deliver,
            set_workflow,
            set_rate_limits,
            count_inquiries,
            show_inquiry,
            seed_inquiry,
            force_inquiry,
            add_report,
        ],
    )
