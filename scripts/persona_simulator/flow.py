"""What a visitor may do on the hosted and the embedded page, without any HTML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

from scripts.persona_simulator import lifecycle, runs
from scripts.persona_simulator.model import Inquiry

if TYPE_CHECKING:
    from scripts.persona_simulator.state import World

EXPIRED = "Session expired"
CHECKS = ("pass", "fail", "abandon")
DECISIONS = ("approve", "decline", "review", "none")


class Turned(Exception):
    """The visitor is turned away; `code` is the name that the npm client knows for it."""

    def __init__(self, status: int, title: str, code: str) -> None:
        super().__init__(title)
        self.status, self.title, self.code = status, title, code


@dataclass(frozen=True, slots=True)
class Visit:
    """One visitor who has been let in."""

    item: Inquiry
    token: str
    redirect_uri: str | None

    @property
    def choices(self) -> tuple[str, ...]:
        """What can be pressed now; empty when the visitor has nothing left to do."""
        if self.item.status in ("created", "pending"):
            return CHECKS
        return DECISIONS if self.item.status in ("completed", "failed") else ()


def let_in(world: World, params: Mapping[str, str]) -> Visit:
    """Admit by one-time code, by session token, or, in `created` only, by inquiry id alone.

    Raises `Turned`.
    """
    item, token = _identify(world, params)
    if item.times.get("redacted-at") is not None or item.status == "expired":
        raise Turned(403, EXPIRED, "unauthenticated")
    if token is None and item.status != "created":
        raise Turned(403, EXPIRED, "unauthenticated")
    session = runs.session_of_token(world, item, token) if token else runs.unused_session(world, item)
    if session is None:
        raise Turned(403, EXPIRED, "unauthenticated")
    redirect_uri = params.get("redirect-uri") or item.redirect_uri
    if redirect_uri and not allowed(redirect_uri, world.settings.redirect_hosts):
        raise Turned(422, "Redirect not allowed", "invalid_config")
    runs.begin_session(world, session)
    return Visit(item, token or runs.token_for(world, session), redirect_uri)


def _identify(world: World, params: Mapping[str, str]) -> tuple[Inquiry, str | None]:
    code = params.get("code")
    if code:
        link = runs.open_link(world, code)
        if link is None:
            raise Turned(403, EXPIRED, "unauthenticated")
        session = world.sessions[link.session_id]
        return world.inquiries[link.inquiry_id], runs.token_for(world, session)
    item = world.inquiries.get(params.get("inquiry-id", ""))
    if item is None:
        if any("template" in name for name in params):
            raise Turned(422, "This template does not let browsers create inquiries", "invalid_config")
        raise Turned(404, "Inquiry not found", "invalid_config")
    return item, params.get("session-token") or None


def act(world: World, visit: Visit, action: str) -> None:
    """Do what was pressed. Raises `Turned` if it is not one of the visit's choices."""
    item = visit.item
    if action not in visit.choices:
        raise Turned(409, "This step is not possible any more", "unknown")
    if action in CHECKS and item.status == "created":
        lifecycle.start(world, item)
    if action in ("pass", "fail"):
        runs.walk_through(world, item, passed=action == "pass")
    step = STEPS.get(action)
    if step is not None:
        step(world, item)


STEPS = {
    "pass": lifecycle.complete,
    "fail": lifecycle.fail,
    "approve": lifecycle.approve,
    "decline": lifecycle.decline,
    "review": lifecycle.mark_for_review,
}


def allowed(uri: str, hosts: tuple[str, ...]) -> bool:
    """Is the redirect's host, with or without its port, on the allow-list?"""
    try:
        parts = urlsplit(uri)
        return parts.scheme in ("http", "https") and (parts.hostname in hosts or parts.netloc in hosts)
    except ValueError:
        return False


def origin_of(uri: str) -> str:
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}"


def way_back(visit: Visit, uri: str) -> str:
    """The redirect with everything Persona adds, the personal data included."""
    item, parts = visit.item, urlsplit(uri)
    query = [*parse_qsl(parts.query, keep_blank_values=True), ("inquiry-id", item.id)]
    if item.reference_id:
        query.append(("reference-id", item.reference_id))
    query.append(("status", item.status))
    for key, field in item.fields.items():
        if isinstance(field["value"], str):
            query.append((f"fields[{key}]", field["value"]))
    return parts._replace(query=urlencode(query)).geturl()
