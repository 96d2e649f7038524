"""What an operator sets up at Persona, through its API: the webhook, its secret, and what was missed meanwhile.

The webhook carries no personal data: nothing is included beside the object it is about, and of that object's
attributes only those that order and name events. What decides is read again anyway.

Webhooks: https://docs.withpersona.com/webhooks-overview, /webhook-attribute-blocklists
Events:   https://docs.withpersona.com/events
"""

import uuid
from collections.abc import AsyncIterator, Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from issuer.errors import ProviderRefused
from issuer.providers.http import Answer, unexpected
from issuer.providers.persona_http import API_VERSION, PersonaHttp
from issuer.providers.persona_pages import inquiry_pages
from issuer.providers.persona_webhook import KNOWN_EVENTS, read_event
from issuer.providers.protocol import Event
from issuer.providers.vendors import ProviderSettings
from issuer.providers.wire import identifier, word

BLOCKLIST: Final = (
    "/data/attributes/*",
    "!/data/attributes/status",
    "!/data/attributes/reference-id",
    "!/data/attributes/created-at",
    "!/data/attributes/updated-at",
    "!/data/attributes/completed-at",
    "!/data/attributes/decisioned-at",
    "!/data/attributes/expired-at",
    "!/data/attributes/redacted-at",
)
WANTED: Final[Mapping[str, object]] = {
    "enabled-events": sorted(KNOWN_EVENTS),
    "api-version": API_VERSION,
    "api-key-inflection": "kebab",
    "api-attributes-blocklist": list(BLOCKLIST),
    "included-allowlist": {"state": "include_none"},
    "relationship-allowlist": {"state": "include_all"},  # a report names its inquiry there, by id
}
ENDED: Final = ("completed", "needs_review", "approved", "declined", "failed", "expired")
_PAGE_SIZE = 100
_MOST_PAGES = 100


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """One webhook at Persona. `secret` is a bearer secret, and shown once."""

    id: str
    status: str
    secret: str | None
    changed: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Webhook(id={self.id!r}, status={self.status!r})"


class Template(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str | None
    status: str | None


class PersonaSetup:
    """One environment's set-up. Every call may raise `ProviderError`s."""

    def __init__(self, api: PersonaHttp) -> None:
        self._api = api

    async def aclose(self) -> None:
        await self._api.aclose()

    async def webhook(self, url: str) -> Webhook:
        """Have exactly one enabled webhook to `url`, as `WANTED` says; made, or changed where it differs.

        Its secret is in the answer only if it was made just now.
        """
        found = [one for one in await self._webhooks() if _attributes(one).get("url") == url]
        if len(found) > 1:
            raise ProviderRefused(f"Persona has {len(found)} webhooks to this address; archive all but one there")
        if not found:
            attributes = {"url": url, "name": "Claimwright", **WANTED}
            made = await self._act("make the webhook", "/webhooks", {"data": {"attributes": attributes}})
            secret = _secret(made)
            made = await self._enabled(made)
            return Webhook(id=_id(made), status=_status(made), secret=secret, changed=("made",))
        there = found[0]
        changed = tuple(name for name, value in WANTED.items() if _attributes(there).get(name) != value)
        if changed:
            what = "change the webhook"
            body = {"data": {"attributes": {name: WANTED[name] for name in changed}}}
            answer = await self._api.patch(what, f"/webhooks/{_id(there)}", body)
            there = self._one(what, answer)
        there = await self._enabled(there)
        return Webhook(id=_id(there), status=_status(there), secret=None, changed=changed)

    async def look(self, urls: Collection[str]) -> Webhook | None:
        """The enabled webhook to one of these addresses, and in what it differs from `WANTED`. Changes nothing."""
        for one in await self._webhooks():
            if _attributes(one).get("url") in urls and _status(one) == "enabled":
                differs = tuple(name for name, value in WANTED.items() if _attributes(one).get(name) != value)
                return Webhook(id=_id(one), status="enabled", secret=None, changed=differs)
        return None

    async def rotate(self, url: str, overlap_seconds: int) -> Webhook:
        """A new secret; the old one goes on signing for so long. Both belong into PERSONA_WEBHOOK_SECRET meanwhile."""
        found = [one for one in await self._webhooks() if _attributes(one).get("url") == url]
        if len(found) != 1:
            raise ProviderRefused("Persona has no webhook to this address, or several; set it up first")
        body = {"meta": {"expires-in-seconds": overlap_seconds}}
        turned = await self._act("rotate the secret", f"/webhooks/{_id(found[0])}/rotate-secret", body)
        return Webhook(id=_id(turned), status=_status(turned), secret=_secret(turned), changed=("secret",))

    async def templates(self) -> list[Template]:
        """Inquiry templates. Persona lists them to production keys only; a sandbox key is refused."""
        what = "list templates"
        answer = await self._api.get(what, "/inquiry-templates", {"page[size]": str(_PAGE_SIZE)})
        found = []
        for one in self._list(what, answer):
            template_id = identifier(one.get("id"))
            if template_id is not None:
                name = _attributes(one).get("name")
                shown = name[:100] if isinstance(name, str) and name.isprintable() else None
                found.append(Template(id=template_id, name=shown, status=word(_attributes(one).get("status"))))
        return found

    async def missed(self, known: Collection[str]) -> list[tuple[Event, bytes]]:
        """Events of the kinds we follow, oldest first, back to the newest that is known; with the bytes of each.

        Persona keeps them for about three months and has no time filter.
        """
        what = "list events"
        params = {"filter[name]": ",".join(sorted(KNOWN_EVENTS)), "page[size]": str(_PAGE_SIZE)}
        found: list[tuple[Event, bytes]] = []
        for _ in range(_MOST_PAGES):
            answer = await self._api.get(what, "/events", params)
            page = self._list(what, answer)
            for one in page:
                body = msgspec.json.encode({"data": one})
                event = read_event(body)
                if event is None:
                    continue
                if event.key in known:
                    return found[::-1]
                found.append((event, body))
            last = identifier(page[-1].get("id")) if page else None
            if last is None or len(page) < _PAGE_SIZE or last == params.get("page[after]"):
                break
            params["page[after]"] = last
        return found[::-1]

    async def listed(self, since: datetime) -> AsyncIterator[tuple[str, datetime]]:
        """Each inquiry that was created since and has come to an end: its id, and the time of its newest change.

        An event is gone after three months, and may never have been made while Persona was ill; this asks what is.
        """
        what = "list inquiries"
        created = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        params = {"filter[status]": ",".join(ENDED), "filter[created-at-start]": created, "page[size]": str(_PAGE_SIZE)}
        async for _, page in inquiry_pages(self._api, what, params, most=_MOST_PAGES):
            for inquiry in page:
                check_ref, changed_at = inquiry.check_ref(), inquiry.changed_at()
                if check_ref is not None and changed_at is not None:
                    yield check_ref, changed_at

    async def _webhooks(self) -> list[dict[str, Any]]:
        what = "list webhooks"
        answer = await self._api.get(what, "/webhooks", {"page[size]": str(_PAGE_SIZE)})
        return [one for one in self._list(what, answer) if _attributes(one).get("status") != "archived"]

    async def _enabled(self, there: dict[str, Any]) -> dict[str, Any]:
        if _status(there) == "enabled":
            return there
        return await self._act("enable the webhook", f"/webhooks/{_id(there)}/enable", None)

    async def _act(self, what: str, path: str, body: Mapping[str, object] | None) -> dict[str, Any]:
        return self._one(what, await self._api.act(what, path, body, str(uuid.uuid4())))

    def _one(self, what: str, answer: Answer) -> dict[str, Any]:
        found = self._data(what, answer)
        if not isinstance(found, dict) or identifier(found.get("id")) is None:
            raise unexpected("Persona", what, "answered with no object", answer)
        return found

    def _list(self, what: str, answer: Answer) -> list[dict[str, Any]]:
        found = self._data(what, answer)
        if not isinstance(found, list):
            raise unexpected("Persona", what, "answered with no list", answer)
        return [one for one in found if isinstance(one, dict)]

    def _data(self, what: str, answer: Answer) -> object:
        self._api.refuse(what, answer)
        try:
            document = msgspec.json.decode(answer.body)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise unexpected("Persona", what, "answered with no JSON object", answer)
        return document.get("data")


def open_setup(settings: ProviderSettings) -> PersonaSetup:
    """Of one configured environment. Raises `SettingsError`."""
    return PersonaSetup(
        PersonaHttp(
            settings.keys["PERSONA_API_KEY"].reveal(),
            settings.api_url,
            expected_environment_id=settings.options["PERSONA_ENVIRONMENT_ID"] or None,
            client=None,
        )
    )


def _attributes(one: Mapping[str, Any]) -> Mapping[str, Any]:
    found = one.get("attributes")
    return found if isinstance(found, dict) else {}


def _id(one: Mapping[str, Any]) -> str:
    return str(one["id"])  # looked at when it was read


def _status(one: Mapping[str, Any]) -> str:
    return word(_attributes(one).get("status")) or "unknown"


def _secret(one: Mapping[str, Any]) -> str | None:
    """The newest one."""
    secrets = _attributes(one).get("secrets")
    newest = secrets[0].get("value") if isinstance(secrets, list) and secrets and isinstance(secrets[0], dict) else None
    return newest if isinstance(newest, str) and newest.isascii() and 0 < len(newest) <= 200 else None
