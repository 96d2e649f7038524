"""Onfido (Entrust) Studio: workflow runs. The webhook is a hint, the run itself is read from our own region's address.

A check is a workflow run. Starting takes two calls, an applicant and a run; an applicant whose run was not made stays
empty at Onfido and belongs to no case. Nothing that an answer calls `href` is ever followed.

Sources: https://documentation.onfido.com/api/latest (workflow runs, webhooks),
https://developers.onfido.com/guide/manual-webhook-signature-verification; vectors from onfido-python (MIT)
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import httpx
import msgspec

from issuer.errors import ProviderRefused, SettingsError
from issuer.providers.http import ProviderHttp, checked_base, is_web_link
from issuer.providers.plain import HmacDoor, PlainProvider, event_key, now, secrets_of, whole
from issuer.providers.protocol import Event, Outcome, Provider, Reading, Session, StartCheck, Started, WebhookDoor
from issuer.providers.vendors import ProviderSettings
from issuer.providers.wire import identifier, moment, reference, word

LINK_LIFE: Final = timedelta(hours=24)
TOKEN_PREFIXES: Final = {"sandbox": "api_sandbox", "production": "api_live"}

OUTCOMES: Final = {
    "awaiting_input": Outcome.CREATED,
    "awaiting_client_input": Outcome.STARTED,
    "processing": Outcome.SUBMITTED,
    "review": Outcome.IN_REVIEW,
    "error": Outcome.IN_REVIEW,  # an operator has to look at the workflow
    "approved": Outcome.APPROVED,
    "declined": Outcome.DECLINED,
    "abandoned": Outcome.EXPIRED,
}
KNOWN_EVENTS: Final = frozenset({"workflow_run.completed", "watchlist_monitor.matches_updated"})


class _Applicant(msgspec.Struct):
    id: str


class _Link(msgspec.Struct):
    url: Any = None


class _Run(msgspec.Struct):
    """A workflow run through an allow-list: `output` may be an object, a list or null, and holds a person."""

    id: str
    status: Any = None
    workflow_id: Any = None
    customer_user_id: Any = None
    tags: Any = None
    reasons: Any = None
    link: _Link | None = None
    created_at: Any = None
    updated_at: Any = None

    def reference(self) -> str | None:
        first = self.tags[0] if isinstance(self.tags, list) and self.tags else None
        return reference(self.customer_user_id) or reference(first)


class _Object(msgspec.Struct):
    id: Any = None
    status: Any = None
    completed_at_iso8601: Any = None


class _Resource(msgspec.Struct):
    id: Any = None
    customer_user_id: Any = None
    workflow_id: Any = None


class _Payload(msgspec.Struct):
    resource_type: Any = None
    action: Any = None
    object: _Object | None = None
    resource: _Resource | None = None


class _Webhook(msgspec.Struct):
    payload: _Payload


class OnfidoDoor(HmacDoor):
    """Verified on the bytes: two of Onfido's own vectors end in a newline."""

    name = "onfido"
    header = "X-SHA2-Signature"

    def event(self, body: bytes) -> Event | None:
        try:
            payload = msgspec.json.decode(body, type=_Webhook).payload
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        about = payload.object or _Object()
        action = word(payload.action) or "unknown"
        subject = identifier(about.id)
        is_run = payload.resource_type == "workflow_run"
        resource = payload.resource or _Resource()
        return Event(
            key=event_key(body, action, subject),
            name=action,
            known=action in KNOWN_EVENTS,
            check_ref=subject if is_run else None,
            template=identifier(resource.workflow_id) if is_run else None,
            reference=reference(resource.customer_user_id) if is_run else None,
            status=word(about.status),
            occurred_at=moment(about.completed_at_iso8601),
        )


class OnfidoProvider(PlainProvider):
    """One API token; its prefix says sandbox or live and must agree with the configured environment."""

    name = "onfido"
    label = "Onfido"

    def __init__(self, settings: ProviderSettings, *, http: httpx.AsyncClient | None = None) -> None:
        (token,) = secrets_of(settings, ("ONFIDO_API_TOKEN",))
        if not token.startswith(TOKEN_PREFIXES[settings.environment]):
            prefix = TOKEN_PREFIXES[settings.environment]
            raise SettingsError("ONFIDO_API_TOKEN", f"does not start with {prefix}: it is of another environment")
        base_url = checked_base("ONFIDO_API_BASE_URL", settings.api_url)
        super().__init__(
            settings,
            ProviderHttp(self.label, base_url, headers={"Authorization": f"Token token={token}"}, client=http),
        )

    async def check(self) -> None:
        what = "check the key"
        self._http.refuse(what, await self._http.get(what, "/webhooks"))

    async def start(self, request: StartCheck) -> Started:
        what = "start a check"
        self._checked(request, what)
        applicant = await self._applicant(what, request.prefill or {})
        link: dict[str, object] = {"expires_at": (now() + LINK_LIFE).strftime("%Y-%m-%dT%H:%M:%SZ")}
        if request.redirect_url is not None:
            link |= dict.fromkeys(("completed_redirect_url", "expired_redirect_url"), request.redirect_url)
        body = {
            "workflow_id": request.template,
            "applicant_id": applicant,
            "customer_user_id": request.reference,
            "tags": [request.reference],
            "link": link,
        }
        answer = await self._http.post(what, "/workflow_runs", body)
        run = self._decoded(what, answer, _Run)
        check_ref, url = identifier(run.id), run.link.url if run.link else None
        if check_ref is None or run.reference() != request.reference or not is_web_link(url):
            raise self._unexpected(what, "answered with no run of ours", answer)
        return Started(check_ref=check_ref, session=Session(token=None, url=str(url), expires_at=now() + LINK_LIFE))

    async def fetch(self, check_ref: str) -> Reading:
        read_at = now()
        run = await self._run("fetch a check", check_ref)
        status = word(run.status) or "unknown"
        outcome = OUTCOMES.get(status, Outcome.UNKNOWN)
        changed_at = moment(run.updated_at) or moment(run.created_at) or read_at
        return Reading(
            check_ref=check_ref,
            outcome=outcome,
            status=status,
            reference=run.reference(),
            template=identifier(run.workflow_id),
            environment=self._environment,
            evidence_at=changed_at,
            decided_at=changed_at if outcome in (Outcome.APPROVED, Outcome.DECLINED) else None,
            redacted=False,
            read_at=read_at,
            parts=whole("workflow", outcome, run.reasons),
        )

    async def resume(self, check_ref: str) -> Session:
        """The run's own link again, for as long as Onfido keeps it open."""
        what = "enter a check again"
        run = await self._run(what, check_ref)
        url = run.link.url if run.link else None
        if not is_web_link(url):
            raise ProviderRefused(f"{self.label}, {what}: the run has no link any more")
        return Session(token=None, url=str(url), expires_at=(moment(run.created_at) or now()) + LINK_LIFE)

    async def _applicant(self, what: str, prefill: Mapping[str, object]) -> str:
        # Onfido wants names on an applicant; where the dapp gave none, the workflow reads them from the document.
        names = {"first_name": "Applicant", "last_name": "Unnamed"} | {
            name: prefill[name] for name in ("first_name", "last_name", "email", "dob") if name in prefill
        }
        answer = await self._http.post(what, "/applicants", names)
        applicant = identifier(self._decoded(what, answer, _Applicant).id)
        if applicant is None:
            raise self._unexpected(what, "answered with no applicant", answer)
        return applicant

    async def _run(self, what: str, check_ref: str) -> _Run:
        if identifier(check_ref) is None:
            raise ProviderRefused(f"{self.label}, {what}: not a workflow run id")
        answer = await self._http.get(what, f"/workflow_runs/{check_ref}")
        run = self._decoded(what, answer, _Run)
        if run.id != check_ref:
            raise self._unexpected(what, "answered with another run than the one asked for", answer)
        return run


def open_door(settings: ProviderSettings, _tolerance_seconds: int) -> WebhookDoor:
    return OnfidoDoor(settings)


def open_provider(settings: ProviderSettings) -> Provider:
    return OnfidoProvider(settings)
