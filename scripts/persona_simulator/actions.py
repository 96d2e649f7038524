"""``/api/v1/inquiries/{id}/...``: decisions, resuming, expiry, links, tags, simulate actions."""

from __future__ import annotations

from litestar import Response, post

from scripts.persona_simulator import lifecycle, runs
from scripts.persona_simulator.calls import Call, body_of, found, part_of
from scripts.persona_simulator.errors import bad_request
from scripts.persona_simulator.inquiries import answer_inquiry, link_meta
from scripts.persona_simulator.model import Inquiry
from scripts.persona_simulator.state import World
from scripts.persona_simulator.wire import Json

SIMULATED = {
    "start_inquiry": lifecycle.start,
    "complete_inquiry": lifecycle.complete,
    "fail_inquiry": lifecycle.fail,
    "expire_inquiry": lifecycle.expire,
    "mark_for_review_inquiry": lifecycle.mark_for_review,
    "approve_inquiry": lifecycle.approve,
    "decline_inquiry": lifecycle.decline,
}
VERIFICATIONS = ("create_passed_verification", "create_failed_verification")


async def _comment(request: Call) -> str | None:
    comment = part_of(await body_of(request), "meta").get("comment")
    if comment is not None and not isinstance(comment, str):
        raise bad_request("meta.comment must be a string")
    return comment


@post("/inquiries/{inquiry_id:str}/approve", status_code=200)
async def approve(request: Call, world: World, inquiry_id: str) -> Response[bytes]:
    item = found(world.inquiries, inquiry_id)
    lifecycle.may_change(item)
    lifecycle.approve(world, item, await _comment(request))
    return answer_inquiry(request, world, item)


@post("/inquiries/{inquiry_id:str}/decline", status_code=200)
async def decline(request: Call, world: World, inquiry_id: str) -> Response[bytes]:
    item = found(world.inquiries, inquiry_id)
    lifecycle.may_change(item)
    lifecycle.decline(world, item, await _comment(request))
    return answer_inquiry(request, world, item)


@post("/inquiries/{inquiry_id:str}/mark-for-review", status_code=200)
async def mark_for_review(request: Call, world: World, inquiry_id: str) -> Response[bytes]:
    item = found(world.inquiries, inquiry_id)
    lifecycle.may_mark_for_review(item)
    lifecycle.mark_for_review(world, item)
    return answer_inquiry(request, world, item)


@post("/inquiries/{inquiry_id:str}/resume", status_code=200)
async def resume(request: Call, world: World, inquiry_id: str) -> Response[bytes]:
    item = found(world.inquiries, inquiry_id)
    lifecycle.may_resume(item)
    session = runs.unused_session(world, item)
    lifecycle.resume(world, item)
    meta = {"session-token": runs.token_for(world, session)}
    return answer_inquiry(request, world, item, meta=meta)


@post("/inquiries/{inquiry_id:str}/expire", status_code=200)
async def expire(request: Call, world: World, inquiry_id: str) -> Response[bytes]:
    item = found(world.inquiries, inquiry_id)
    lifecycle.may_expire(item)
    lifecycle.expire(world, item)
    return answer_inquiry(request, world, item)


@post("/inquiries/{inquiry_id:str}/generate-one-time-link", status_code=200)
async def generate_one_time_link(request: Call, world: World, inquiry_id: str) -> Response[bytes]:
    item = found(world.inquiries, inquiry_id)
    lifecycle.may_change(item)
    life = part_of(await body_of(request), "meta").get("expires-in-seconds")
    if life is not None and (not isinstance(life, int | float) or life <= 0):
        raise bad_request("meta.expires-in-seconds must be a positive number")
    link = runs.one_time_link(world, item, life)
    return answer_inquiry(request, world, item, meta=link_meta(world, link.code))


@post("/inquiries/{inquiry_id:str}/{verb:str}", status_code=200)
async def tags(request: Call, world: World, inquiry_id: str, verb: str) -> Response[bytes]:
    """``add-tag``, ``remove-tag`` and ``set-tags``; every other verb is no endpoint."""
    item = found(world.inquiries, inquiry_id)
    if verb not in ("add-tag", "remove-tag", "set-tags"):
        found(dict[str, Inquiry](), verb)
    meta = part_of(await body_of(request), "meta")
    if verb == "set-tags":
        item.tags = [str(tag) for tag in meta.get("tags") or []]
    else:
        name = meta.get("tag-name")
        if not isinstance(name, str):
            raise bad_request("meta.tag-name is missing")
        item.tags = [tag for tag in item.tags if tag != name]
        item.tags += [name] if verb == "add-tag" else []
    world.record_inquiry("inquiry.updated-tags", item)
    return answer_inquiry(request, world, item)


@post("/inquiries/{inquiry_id:str}/perform-simulate-actions", status_code=200)
async def perform_simulate_actions(request: Call, world: World, inquiry_id: str) -> Response[bytes]:
    """Sandbox only: each action sets exactly the status it names and fires the real event."""
    item = found(world.inquiries, inquiry_id)
    lifecycle.may_change(item)
    listed = part_of(await body_of(request), "meta").get("simulate-actions")
    if not isinstance(listed, list) or not listed:
        raise bad_request("meta.simulate-actions must be a list of actions")
    steps = [_read_action(action) for action in listed]  # all are checked before any is taken
    for kind, template in steps:
        if kind in SIMULATED:
            SIMULATED[kind](world, item)
        else:
            passed = kind == "create_passed_verification"
            runs.verify(world, item, "government-id", passed=passed, template=template)
    return answer_inquiry(request, world, item)


def _read_action(action: Json) -> tuple[str, str | None]:
    kind = action.get("type") if isinstance(action, dict) else None
    if kind in SIMULATED:
        return kind, None
    if kind not in VERIFICATIONS:
        raise bad_request(f"{kind} is not a simulate action")
    template = part_of(action, "data").get("verification-template-id")
    if not isinstance(template, str) or not template.startswith("vtmpl_"):
        raise bad_request(f"{kind} needs data.verification-template-id, a vtmpl_ id")
    return kind, template


ROUTES = [
    approve,
    decline,
    mark_for_review,
    resume,
    expire,
    generate_one_time_link,
    perform_simulate_actions,
    tags,
]
