"""``/api/v1/cases``: what a business and its owners are collected in, and decided with words of the customer's own."""

from __future__ import annotations

from litestar import Response, delete, get, post

from scripts.persona_simulator import resources
from scripts.persona_simulator.calls import Call, answer, answer_one, body_of, found, one_of, page_of, part_of, view_of
from scripts.persona_simulator.errors import bad_request, conflict, unprocessable
from scripts.persona_simulator.ids import new_id
from scripts.persona_simulator.model import Case, Snapshot
from scripts.persona_simulator.state import World

RESOLVED = ("Approved", "Declined")
"""The statuses that this simulator's case templates count as resolutions."""


@post("/cases", status_code=201)
async def create_case(request: Call, world: World) -> Response[bytes]:
    body = await body_of(request)
    template = part_of(body, "data", "attributes").get("case-template-id")
    if not isinstance(template, str):
        raise bad_request("data.attributes.case-template-id is missing")
    listed = part_of(body, "meta").get("object-ids") or []
    if not isinstance(listed, list) or not all(key in world.inquiries for key in listed):
        raise unprocessable("meta.object-ids must be inquiries")
    now = world.clock.now()
    item = Case(new_id("case"), template, f"KYB-{len(world.cases) + 1}", list(listed), now, now)
    world.cases[item.id] = item
    world.record("case.created", Snapshot(resources.case(world, item), []))
    return answer_one(request, world, Snapshot(resources.case(world, item), []), status=201)


@get("/cases")
async def list_cases(request: Call, world: World) -> Response[bytes]:
    """Newest first; filters ``status``, ``case-template-id``, ``inquiry-id``."""
    inquiry_id = request.query_params.get("filter[inquiry-id]")
    chosen = [
        item
        for item in reversed(world.cases.values())
        if one_of(request, "status", item.status)
        and one_of(request, "case-template-id", item.template_id)
        and inquiry_id in (None, *item.inquiries)
    ]
    page, links = page_of(request, chosen, lambda item: item.id)
    view = view_of(request, world)
    return answer(200, {"data": [view.resource(resources.case(world, item)) for item in page], "links": links})


@get("/cases/{case_id:str}")
async def get_case(request: Call, world: World, case_id: str) -> Response[bytes]:
    return answer_one(request, world, Snapshot(resources.case(world, found(world.cases, case_id)), []))


@post("/cases/{case_id:str}/set-status", status_code=200)
async def set_status(request: Call, world: World, case_id: str) -> Response[bytes]:
    """Any text; ``Approved`` and ``Declined`` resolve the case, another one opens it again."""
    item = found(world.cases, case_id)
    status = part_of(await body_of(request), "meta").get("status")
    if not isinstance(status, str) or not status:
        raise bad_request("meta.status is missing")
    was_resolved = item.resolved_at is not None
    item.status, item.updated_at = status, world.clock.now()
    item.resolved_at = item.updated_at if status in RESOLVED else None
    item.resolution = status if status in RESOLVED else None
    events = ["case.status-updated"]
    events += ["case.resolved"] if item.resolved_at is not None else ["case.reopened"] if was_resolved else []
    for name in events:
        world.record(name, Snapshot(resources.case(world, item), []))
    return answer_one(request, world, Snapshot(resources.case(world, item), []))


@delete("/cases/{case_id:str}", status_code=200)
async def redact_case(request: Call, world: World, case_id: str) -> Response[bytes]:
    """The case alone: what is in it has to be redacted by itself."""
    item = found(world.cases, case_id)
    if item.redacted_at is not None:
        raise conflict("Case already redacted")
    item.redacted_at = item.updated_at = world.clock.now()
    world.record("case.redacted", Snapshot(resources.case(world, item), []))
    return answer_one(request, world, Snapshot(resources.case(world, item), []))


ROUTES = [create_case, list_cases, get_case, set_status, redact_case]
