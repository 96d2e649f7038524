"""What one person's run through the flow leaves behind: sessions, checks, documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.persona_simulator import people, resources
from scripts.persona_simulator.errors import ApiError, unprocessable
from scripts.persona_simulator.ids import new_code, new_id
from scripts.persona_simulator.model import Inquiry, Link, Part, Session, Snapshot
from scripts.persona_simulator.tokens import make_token, read_token
from scripts.persona_simulator.wire import JsonObject, seconds

if TYPE_CHECKING:
    from scripts.persona_simulator.state import World

SESSIONS_PER_INQUIRY = 25
SESSION_LIFE = 86_400.0
LINK_LIFE = 86_400.0
LINK_GRACE = 300.0


def unused_session(world: World, item: Inquiry) -> Session:
    """Return an unused valid session, or make one.

    Raises 422 at the limit of 25 sessions (the code the real service uses is not known).
    """
    now = world.clock.now()
    for session_id in item.sessions:
        session = world.sessions.get(session_id)
        if session and session.status == "new" and session.expires_at > now:
            return session
    return new_session(world, item)


def new_session(world: World, item: Inquiry) -> Session:
    if len(item.sessions) >= SESSIONS_PER_INQUIRY:
        raise unprocessable(f"Inquiry already has {SESSIONS_PER_INQUIRY} sessions")
    now = world.clock.now()
    session = Session(new_id("iqse"), item.id, now, now + SESSION_LIFE)
    world.sessions[session.id] = session
    item.sessions.append(session.id)
    return session


def token_for(world: World, session: Session) -> str:
    return make_token(world.token_key, session, world.clock.now())


def session_of_token(world: World, item: Inquiry, token: str) -> Session | None:
    """Return the live session that the token opens for this inquiry."""
    try:
        session = world.sessions.get(read_token(world.token_key, token, world.clock.now()) or "")
    except (ValueError, KeyError):
        return None
    if session is None or session.inquiry_id != item.id or session.status == "expired":
        return None
    return session


def begin_session(world: World, session: Session) -> None:
    """The person opened the flow: ``inquiry-session.started``, once."""
    if session.status != "new":
        return
    session.status, session.started_at = "active", world.clock.now()
    world.record("inquiry-session.started", Snapshot(resources.session(session), []))


def expire_session(world: World, session_id: str) -> None:
    session = world.sessions.get(session_id)
    if session is None or session.status == "expired":
        return
    session.status, session.expired_at = "expired", world.clock.now()
    world.record("inquiry-session.expired", Snapshot(resources.session(session), []))


def one_time_link(world: World, item: Inquiry, expires_in: float | None) -> Link:
    """Return the inquiry's unused link, or make one with a session of its own."""
    now = world.clock.now()
    if item.status == "expired":
        raise ApiError(409, "Inquiry is expired, resume it first")
    for link in (world.links[code] for code in item.links):
        if link.used_at is None and link.expires_at > now:
            return link
    session = new_session(world, item)
    link = Link(new_code(), item.id, session.id, now + (expires_in or LINK_LIFE))
    world.links[link.code] = link
    item.links.append(link.code)
    return link


def open_link(world: World, code: str) -> Link | None:
    """Use a link. It stays usable for five minutes after its first use, then never again."""
    link, now = world.links.get(code), world.clock.now()
    if link is None:
        return None
    if link.used_at is None:
        if link.expires_at <= now:
            return None
        link.used_at = now
    return link if now - link.used_at <= LINK_GRACE else None


def _add_part(world: World, item: Inquiry, kind: str, prefix: str, **attributes: object) -> Part:
    now = seconds(world.clock.now())
    body: JsonObject = {"status": "processed", "created-at": now, "redacted-at": None}
    part = Part(kind, new_id(prefix), body | attributes, item.id, item.account_id)
    world.parts[part.id] = part
    return part


def _announce(world: World, part: Part, *names: str) -> None:
    family = part.type.split("/")[0]
    for name in names:
        if family == "verification":
            part.attributes["status"] = "initiated" if name == "created" else name
        world.record(f"{family}.{name}", Snapshot(resources.part(part), []))


def _type_in(world: World, item: Inquiry, key: str, kind: str, part: Part) -> None:
    item.fields[key] = {**item.fields[key], "value": {"id": part.id, "type": kind}}


def verify(world: World, item: Inquiry, kind: str, *, passed: bool, template: str | None) -> Part:
    """Record one verification and fire its events, the document's or selfie's first.

    `kind` is ``government-id``, ``selfie``, ``document`` or ``database``.
    """
    if kind in ("government-id", "document"):
        document = _add_part(world, item, f"document/{kind}", "doc")
        item.documents.append(document.id)
        if kind == "government-id":
            _type_in(world, item, "current_government_id", "Document::GovernmentId", document)
        _announce(world, document, "created", "submitted", "processed")
    elif kind == "selfie":
        selfie = _add_part(world, item, "selfie/profile-and-center", "self")
        item.selfies.append(selfie.id)
        _type_in(world, item, "current_selfie", "Selfie::ProfileAndCenter", selfie)
        _announce(world, selfie, "created", "submitted", "processed")
    check = _add_part(
        world,
        item,
        f"verification/{kind}",
        "ver",
        **{"verification-template-id": template, "name-first": people.PERSON["name_first"]},
    )
    item.verifications.append(check.id)
    _announce(world, check, "created", "submitted", "passed" if passed else "failed")
    return check


def transition(world: World, item: Inquiry, previous: str, following: str) -> None:
    item.previous_step, item.next_step = previous, following
    item.times["updated-at"] = float(int(world.clock.now()))
    world.record_inquiry("inquiry.transitioned", item)


def fill_in(world: World, item: Inquiry) -> None:
    """What the person has typed by the end of the flow."""
    if item.times.get("redacted-at") is None:
        people.fill_in(item.fields)


def walk_through(world: World, item: Inquiry, *, passed: bool) -> None:
    """Everything between the first page and the last: two checks and the moves between."""
    transition(world, item, "start", "verification_government_id")
    verify(world, item, "government-id", passed=passed, template=None)
    transition(world, item, "verification_government_id", "verification_selfie")
    verify(world, item, "selfie", passed=passed, template=None)
    transition(world, item, "verification_selfie", "success" if passed else "fail")


def redact_part(world: World, part_id: str) -> None:
    part = world.parts.get(part_id)
    if part is not None:
        part.attributes["redacted-at"] = seconds(world.clock.now())
        for key in ("name-first", "name-last", "term", "birthdate"):
            if key in part.attributes:
                part.attributes[key] = None
