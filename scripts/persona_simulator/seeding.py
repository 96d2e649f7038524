"""Putting things into the store without the API: exact ids, statuses and times, no events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.persona_simulator import people, resources
from scripts.persona_simulator.errors import bad_request, conflict, unprocessable
from scripts.persona_simulator.ids import new_id
from scripts.persona_simulator.inquiries import write_fields
from scripts.persona_simulator.model import INQUIRY_TIMES, Account, Inquiry, Part, Snapshot
from scripts.persona_simulator.wire import JsonObject, moment, seconds

if TYPE_CHECKING:
    from scripts.persona_simulator.state import World

PLAIN = {
    "status": "status",
    "reference-id": "reference_id",
    "account-id": "account_id",
    "template-id": "template_id",
    "inquiry-template-id": "template_id",
    "inquiry-template-version-id": "template_version_id",
    "note": "note",
    "tags": "tags",
    "behaviors": "behaviors",
    "creator": "creator",
    "reviewer-comment": "reviewer_comment",
    "redirect-uri": "redirect_uri",
    "previous-step-name": "previous_step",
    "next-step-name": "next_step",
    "extra-attributes": "extra_attributes",
}
"""Request key to our field; the timestamps, ``fields`` and ``filled`` come on top."""


def show(item: Inquiry) -> JsonObject:
    """The inquiry as the store has it."""
    return {
        "id": item.id,
        "status": item.status,
        "reference-id": item.reference_id,
        "account-id": item.account_id,
        "template-id": item.template_id,
        "sessions": len(item.sessions),
        **{name: seconds(item.times.get(name)) for name in INQUIRY_TIMES},
    }


def force(item: Inquiry, given: JsonObject) -> None:
    """Set attributes, status (any text) and timestamps as told; fires no event.

    Raises 400 for a key that is none of these, before anything is changed.
    """
    times: dict[str, float | None] = {}
    for key, value in given.items():
        if key in INQUIRY_TIMES:
            try:
                times[key] = None if value is None else moment(value)
            except (TypeError, ValueError) as error:
                raise bad_request(f"{key} is not a time") from error
        elif key not in PLAIN and key not in ("id", "fields", "filled"):
            raise bad_request(f"{key} cannot be set on an inquiry")
    for key, value in given.items():
        if key in PLAIN:
            setattr(item, PLAIN[key], value)
    if given.get("filled"):
        people.fill_in(item.fields)
    if "fields" in given:
        write_fields(item, given["fields"])
    item.times |= times


def seed(world: World, given: JsonObject) -> Inquiry:
    """Create an inquiry with exactly the given id and attributes; fires no event.

    Only ``id`` is required. Raises 400 without it and 409 if it exists.
    """
    inquiry_id = given.get("id")
    if not isinstance(inquiry_id, str):
        raise bad_request("id is missing")
    if inquiry_id in world.inquiries:
        raise conflict("an inquiry with this id exists")
    template_id = given.get("template-id") or given.get("inquiry-template-id")
    template_id = str(template_id or world.settings.template_ids[0])
    now = float(int(world.clock.now()))
    item = Inquiry(inquiry_id, template_id, world.template_version(template_id), None, None)
    item.times = {"created-at": now, "updated-at": now}
    force(item, given)
    item.account_id = item.account_id or new_id("act")
    if item.account_id not in world.accounts:
        account = Account(item.account_id, item.reference_id, new_id("acttp"), now, now)
        world.add_account(account)
    world.inquiries[item.id] = item
    return item


def _attributes(world: World, given: JsonObject) -> dict[str, Any]:
    now = seconds(world.clock.now())
    person = people.PERSON
    return {
        "status": "ready",
        "created-at": now,
        "completed-at": now,
        "redacted-at": None,
        "report-template-version-name": "v1",
        "has-match": given.get("event", "matched") == "matched",
        "is-continuous": True,
        "is-recurring": True,
        "tags": [],
        "name-first": person["name_first"],
        "name-middle": None,
        "name-last": person["name_last"],
        "term": f"{person['name_first']} {person['name_last']}",
        "birthdate": person["birthdate"],
        "country-code": person["address_country_code"],
        "matched-lists": [],
        "ignore-list": [],
    }


def report(world: World, given: JsonObject) -> Part:
    """Add a report to an inquiry or an account and fire ``report/<type>.<event>``, by default ``matched``."""
    item = world.inquiries.get(str(given.get("inquiry-id")))
    account = world.accounts.get(str(given.get("account-id")))
    if item is None and account is None:
        raise unprocessable("inquiry-id is not an inquiry and account-id is not an account")
    kind = f"report/{given.get('type', 'watchlist')}"
    account_id = account.id if account else item.account_id if item else None
    part = Part(kind, new_id("rep"), _attributes(world, given), item.id if item else None, account_id)
    world.parts[part.id] = part
    if item is not None:
        item.reports.append(part.id)
    world.record(f"{kind}.{given.get('event', 'matched')}", Snapshot(resources.part(part), []))
    return part
