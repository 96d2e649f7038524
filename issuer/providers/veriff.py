"""Veriff (veriff.com): sessions, and decisions read on the word and never on the code.

A check is a session id. A declined person gets a new session; `resubmission_requested` reopens the same one. Veriff's
own pages disagree on what code 9121 means, so codes are not read at all. Answers of its API are signed as its webhooks
are, and an answer whose signature does not fit is nobody's answer.

Sources: https://devdocs.veriff.com/apidocs/v1sessions, /apidocs/v1sessionsiddecision-1, /docs/decision-webhook,
/docs/event-webhook, /docs/hmac-authentication-and-endpoint-security
"""

import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import httpx
import msgspec

from issuer.errors import ProviderRefused, WebhookRefused
from issuer.providers.http import Answer, ProviderHttp, checked_base, is_web_link
from issuer.providers.plain import HmacDoor, PlainProvider, event_key, header, now, secrets_of, whole
from issuer.providers.protocol import (
    NO_EVIDENCE,
    Event,
    Outcome,
    Provider,
    Reading,
    Session,
    StartCheck,
    Started,
    WebhookDoor,
)
from issuer.providers.vendors import ProviderSettings
from issuer.providers.wire import identifier, moment, reference, word

SESSION_LIFE: Final = timedelta(days=7)

# Words of decisions and events. A resubmission is the person's turn again.
OUTCOMES: Final = {
    "created": Outcome.CREATED,
    "started": Outcome.STARTED,
    "submitted": Outcome.SUBMITTED,
    "resubmission_requested": Outcome.STARTED,
    "review": Outcome.IN_REVIEW,
    "approved": Outcome.APPROVED,
    "declined": Outcome.DECLINED,
    "expired": Outcome.EXPIRED,
    "abandoned": Outcome.EXPIRED,
}


class _Verification(msgspec.Struct):
    id: Any = None
    attemptId: Any = None  # noqa: N815 - the vendor's names
    status: Any = None
    vendorData: Any = None  # noqa: N815
    decisionTime: Any = None  # noqa: N815
    acceptanceTime: Any = None  # noqa: N815
    reasonCode: Any = None  # noqa: N815


class _Webhook(msgspec.Struct):
    """A decision has `verification`, an event its fields at the top. Full Auto bodies are a third shape."""

    verification: _Verification | None = None
    id: Any = None
    attemptId: Any = None  # noqa: N815
    action: Any = None
    vendorData: Any = None  # noqa: N815
    sessionId: Any = None  # noqa: N815
    eventType: Any = None  # noqa: N815


class _Made(msgspec.Struct):
    id: str
    url: str
    vendorData: Any = None  # noqa: N815
    sessionToken: Any = None  # noqa: N815


class _Created(msgspec.Struct):
    verification: _Made


class _Decision(msgspec.Struct):
    verification: _Verification | None = None


class VeriffDoor(HmacDoor):
    """The integration's own key must stand in the request too: it says which integration speaks."""

    name = "veriff"
    header = "X-HMAC-SIGNATURE"

    def __init__(self, settings: ProviderSettings) -> None:
        super().__init__(settings)
        self._api_key = settings.keys["VERIFF_API_KEY"].reveal().encode()

    def verify(self, headers: Mapping[str, str], body: bytes, now: float) -> None:
        super().verify(headers, body, now)
        told = header(headers, "X-AUTH-CLIENT").encode("utf-8", "replace")
        if not hmac.compare_digest(told, self._api_key):
            raise WebhookRefused("other-integration")

    def event(self, body: bytes) -> Event | None:
        try:
            seen = msgspec.json.decode(body, type=_Webhook)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        about = seen.verification
        if about is None:
            about = _Verification(
                id=seen.sessionId if seen.eventType == "fullauto" else seen.id,
                attemptId=seen.attemptId,
                status=seen.action,
                vendorData=seen.vendorData,
            )
        check_ref = identifier(about.id)
        if check_ref is None:
            return None
        kind = "decision" if seen.verification is not None else "event"
        status = "fullauto" if seen.eventType == "fullauto" else word(about.status)
        return Event(
            key=event_key(body, check_ref, identifier(about.attemptId), status),
            name=f"{kind}.{status or 'unknown'}",
            known=status in OUTCOMES or status == "fullauto",
            check_ref=check_ref,
            template=None,
            reference=reference(about.vendorData),
            status=status,
            occurred_at=moment(about.decisionTime),
        )


class VeriffProvider(PlainProvider):
    """One integration: its address, its key and its shared secret. Test integrations have their own."""

    name = "veriff"
    label = "Veriff"

    def __init__(self, settings: ProviderSettings, *, http: httpx.AsyncClient | None = None) -> None:
        key, secret = secrets_of(settings, ("VERIFF_API_KEY", "VERIFF_SHARED_SECRET"))
        self._secret = secret.encode()
        base_url = checked_base("VERIFF_API_BASE_URL", settings.api_url)
        super().__init__(
            settings,
            ProviderHttp(self.label, base_url, headers={"X-AUTH-CLIENT": key}, sign=self._signed, client=http),
        )

    async def check(self) -> None:
        """The decision of a session that cannot exist: a 404 comes after the key was accepted."""
        what = "check the key"
        answer = await self._http.get(what, "/v1/sessions/00000000-0000-4000-8000-000000000000/decision")
        if answer.status not in (400, 404):
            self._http.refuse(what, answer)

    async def start(self, request: StartCheck) -> Started:
        what = "start a check"
        self._checked(request, what)
        verification: dict[str, object] = {"vendorData": request.reference}
        if request.redirect_url is not None:
            verification["callback"] = request.redirect_url  # where the browser returns; not a webhook
        if request.prefill:
            verification["person"] = request.prefill
        answer = await self._http.post(what, "/v1/sessions", {"verification": verification})
        made = self._decoded(what, answer, _Created).verification
        check_ref = identifier(made.id)
        if check_ref is None or not is_web_link(made.url) or made.vendorData not in (None, request.reference):
            raise self._unexpected(what, "answered with no session of ours", answer)
        # No repeat is safe here: a session whose answer was lost stays unused and belongs to no case.
        token = made.sessionToken if isinstance(made.sessionToken, str) else None
        return Started(check_ref=check_ref, session=Session(token=token, url=made.url, expires_at=now() + SESSION_LIFE))

    async def fetch(self, check_ref: str) -> Reading:
        """No decision yet is an answer: the check counts as started until there is one."""
        what = "fetch a check"
        if identifier(check_ref) is None:
            raise ProviderRefused(f"{self.label}, {what}: not a session id")
        read_at = now()
        answer = await self._http.get(what, f"/v1/sessions/{check_ref}/decision")
        decision = self._decoded(what, answer, _Decision)
        self._prove(what, answer)
        found = decision.verification
        if found is None:
            return self._undecided(check_ref, read_at)
        if found.id != check_ref:
            raise self._unexpected(what, "answered with another session than the one asked for", answer)
        status = word(found.status) or "unknown"
        outcome = OUTCOMES.get(status, Outcome.UNKNOWN)
        decided_at = moment(found.decisionTime)
        return Reading(
            check_ref=check_ref,
            outcome=outcome,
            status=status,
            reference=reference(found.vendorData),
            template=self._template,
            environment=self._environment,
            evidence_at=decided_at or moment(found.acceptanceTime) or NO_EVIDENCE,
            decided_at=decided_at if outcome in (Outcome.APPROVED, Outcome.DECLINED) else None,
            redacted=False,
            read_at=read_at,
            parts=whole("attempt", outcome, found.reasonCode, ref=identifier(found.attemptId)),
        )

    def _undecided(self, check_ref: str, read_at: datetime) -> Reading:
        """The answer names nobody and no time, so it outweighs nothing."""
        return Reading(
            check_ref=check_ref,
            outcome=Outcome.STARTED,
            status="undecided",
            reference=None,
            template=self._template,
            environment=self._environment,
            evidence_at=NO_EVIDENCE,
            decided_at=None,
            redacted=False,
            read_at=read_at,
        )

    def _signed(self, method: str, target: str, body: bytes) -> dict[str, str]:
        """POST and PATCH sign their body, GET and DELETE the session id in the path."""
        parts = target.partition("?")[0].split("/")
        signed = body if method in ("POST", "PATCH") else parts[parts.index("sessions") + 1].encode()
        return {"X-HMAC-SIGNATURE": hmac.new(self._secret, signed, sha256).hexdigest()}

    def _prove(self, what: str, answer: Answer) -> None:
        names = ("vrf-hmac-signature", "x-hmac-signature")
        given = next((answer.headers[name] for name in names if name in answer.headers), "")
        expected = hmac.new(self._secret, answer.body, sha256).hexdigest()
        if not hmac.compare_digest(given.lower().encode(), expected.encode()):
            raise self._unexpected(what, "answered without a signature of the shared secret", answer)


def open_door(settings: ProviderSettings, _tolerance_seconds: int) -> WebhookDoor:
    return VeriffDoor(settings)


def open_provider(settings: ProviderSettings) -> Provider:
    return VeriffProvider(settings)
