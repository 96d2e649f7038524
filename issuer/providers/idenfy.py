"""iDenfy (idenfy.com): identifications by token, webhooks signed with a key of their own.

A check is a `scanRef`. iDenfy keeps no persons: each try has a new `clientId` (our subject id and a hash of the try),
the subject id stands in `externalRef`. APPROVED counts only when it is final; SUSPECTED is for a person to look at,
unless every tag is on the operator's list of harmless ones.

Sources: https://documentation.idenfy.com/kyc/generate-token, /kyc/data-retrieval, /kyc/status-handling,
/security/callback-signing, /environments, /resources/vocabulary
"""

import base64
import re
from datetime import timedelta
from typing import Any, Final

import httpx
import msgspec

from issuer.errors import ProviderUnavailable, SettingsError
from issuer.providers.http import ProviderHttp, checked_base, is_web_link
from issuer.providers.plain import HmacDoor, PlainProvider, event_key, now, own_reference, secrets_of, short_hash
from issuer.providers.protocol import (
    CheckOutcome,
    Event,
    Outcome,
    Part,
    Provider,
    Reading,
    Session,
    StartCheck,
    Started,
    WebhookDoor,
)
from issuer.providers.vendors import PRODUCTION, ProviderSettings
from issuer.providers.wire import identifier, reference, since_epoch, word

TOKEN_SECONDS: Final = 3600
SESSION_SECONDS: Final = 3600
MODES: Final = ("dev", "demo", "test", "prod")

OUTCOMES: Final = {
    "ACTIVE": Outcome.CREATED,
    "REVIEWING": Outcome.IN_REVIEW,
    "SUSPECTED": Outcome.IN_REVIEW,
    "DENIED": Outcome.DECLINED,
    "EXPIRED": Outcome.EXPIRED,
}
GONE: Final = frozenset({"DELETED", "EXPIRED-DELETED", "ARCHIVED"})
_PASSED: Final = {"DOC_VALIDATED", "FACE_MATCH"}
_TAG: Final = re.compile(r"[A-Z_]{1,64}")


class _Token(msgspec.Struct):
    authToken: str  # noqa: N815 - the vendor's names
    scanRef: str  # noqa: N815
    clientId: str  # noqa: N815
    redirectUrl: Any = None  # noqa: N815


class _Status(msgspec.Struct):
    """POST /api/v2/status, which has no personal data, no time and no `final`."""

    status: str
    scanRef: str  # noqa: N815
    clientId: Any = None  # noqa: N815
    autoDocument: Any = None  # noqa: N815
    autoFace: Any = None  # noqa: N815
    manualDocument: Any = None  # noqa: N815
    manualFace: Any = None  # noqa: N815
    fraudTags: Any = None  # noqa: N815
    mismatchTags: Any = None  # noqa: N815

    def tags(self) -> set[str]:
        lists = [tags for tags in (self.fraudTags, self.mismatchTags) if isinstance(tags, list)]
        return {tag for tags in lists for tag in tags if isinstance(tag, str)}


class _Overall(msgspec.Struct):
    overall: Any = None


class _Webhook(msgspec.Struct):
    scanRef: str  # noqa: N815
    status: _Overall
    final: Any = None
    externalRef: Any = None  # noqa: N815
    finishTime: Any = None  # noqa: N815


class IdenfyDoor(HmacDoor):
    """The webhook's key is its own setting: iDenfy once used the API secret, and without a key it signs nothing."""

    name = "idenfy"
    header = "Idenfy-Signature"

    def event(self, body: bytes) -> Event | None:
        try:
            seen = msgspec.json.decode(body, type=_Webhook)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        scan = identifier(seen.scanRef)
        overall = word(seen.status.overall)
        if scan is None:
            return None
        final = "final" if seen.final is True else "not_final"
        return Event(
            key=event_key(body, scan, overall, final),
            name=f"identification.{(overall or 'unknown').lower()}.{final}",
            known=overall in OUTCOMES or overall in GONE or overall == "APPROVED",
            check_ref=scan,
            template=None,
            reference=reference(seen.externalRef),
            status=overall,
            occurred_at=since_epoch(seen.finishTime),
        )


class IdenfyProvider(PlainProvider):
    """One iDenfy key pair. `IDENFY_MODE` says which of its four kinds of environment the pair belongs to."""

    name = "idenfy"
    label = "iDenfy"

    def __init__(self, settings: ProviderSettings, *, http: httpx.AsyncClient | None = None) -> None:
        key, secret = secrets_of(settings, ("IDENFY_API_KEY", "IDENFY_API_SECRET"))
        mode = settings.options["IDENFY_MODE"]
        if mode not in MODES or (mode == "prod") is not (settings.environment == PRODUCTION):
            raise SettingsError("IDENFY_MODE", "must be prod in production, and dev, demo or test in the sandbox")
        basic = base64.b64encode(f"{key}:{secret}".encode()).decode()
        base_url = checked_base("IDENFY_API_BASE_URL", settings.api_url)
        super().__init__(
            settings, ProviderHttp(self.label, base_url, headers={"Authorization": f"Basic {basic}"}, client=http)
        )
        self._auto_is_final = settings.says_yes("IDENFY_AUTO_IS_FINAL")
        harmless = settings.options["IDENFY_HARMLESS_TAGS"]
        self._harmless = frozenset(filter(None, re.split(r"[\s,]+", harmless)))
        if not all(_TAG.fullmatch(tag) for tag in self._harmless):
            raise SettingsError("IDENFY_HARMLESS_TAGS", "must list tags in capitals, such as DUPLICATE_FACE")

    async def check(self) -> None:
        what = "check the key"
        answer = await self._http.ask(what, "/api/v2/status", {"scanRef": "claimwright-doctor"})
        if answer.status not in (400, 404):  # it knows us, and no such scan
            self._http.refuse(what, answer)

    async def start(self, request: StartCheck) -> Started:
        what = "start a check"
        self._checked(request, what)
        client_id = f"{request.reference}-{short_hash(request.idempotency_key)}"
        body: dict[str, object] = {
            "clientId": client_id,
            "externalRef": request.reference,
            "tokenType": "IDENTIFICATION",
            "expiryTime": TOKEN_SECONDS,
            "sessionLength": SESSION_SECONDS,
            **{name: value for name, value in (request.prefill or {}).items() if name in ("country", "locale")},
        }
        if request.redirect_url is not None:
            body |= dict.fromkeys(("successUrl", "errorUrl", "unverifiedUrl"), request.redirect_url)
        answer = await self._http.post(what, "/api/v2/token", body)
        if answer.status == 409:  # an earlier try of the same case has a token whose answer was lost
            raise ProviderUnavailable("iDenfy, start a check: an earlier try is still open", status=409, same_key=False)
        token = self._decoded(what, answer, _Token)
        scan = identifier(token.scanRef)
        if scan is None or token.clientId != client_id:
            raise self._unexpected(what, "answered with another identification than the one asked for", answer)
        url = token.redirectUrl
        if not is_web_link(url):
            url = f"{self._http.base_url}/api/v2/redirect?{httpx.QueryParams({'authToken': token.authToken})}"
        ends = now() + timedelta(seconds=TOKEN_SECONDS)
        return Started(check_ref=scan, session=Session(token=token.authToken, url=url, expires_at=ends))

    async def fetch(self, check_ref: str) -> Reading:
        what = "fetch a check"
        read_at = now()
        answer = await self._http.ask(what, "/api/v2/status", {"scanRef": check_ref})
        status = self._decoded(what, answer, _Status)
        if status.scanRef != check_ref:
            raise self._unexpected(what, "answered with another identification than the one asked for", answer)
        outcome = self._outcome(status)
        decided = outcome in (Outcome.APPROVED, Outcome.DECLINED)
        return Reading(
            check_ref=check_ref,
            outcome=outcome,
            status=word(status.status) or "unknown",
            reference=own_reference(reference(status.clientId)),
            template=self._template,
            environment=self._environment,
            evidence_at=read_at,  # this answer carries no time, and it is what holds now
            decided_at=read_at if decided else None,
            redacted=status.status in GONE,
            read_at=read_at,
            parts=_parts(status),
        )

    def _outcome(self, status: _Status) -> Outcome:
        passed = status.status == "APPROVED" or (
            status.status == "SUSPECTED" and bool(status.tags()) and status.tags() <= self._harmless
        )
        if not passed:
            return OUTCOMES.get(status.status, Outcome.UNKNOWN)
        checks = [status.manualDocument, status.manualFace]
        if self._auto_is_final and not any(checks):
            checks = [status.autoDocument, status.autoFace]
        return Outcome.APPROVED if set(checks) == _PASSED else Outcome.IN_REVIEW


def _parts(status: _Status) -> tuple[Part, ...]:
    """The document and the face, as people judged them, or else the machine."""
    judged = {
        "document": word(status.manualDocument) or word(status.autoDocument),
        "face": word(status.manualFace) or word(status.autoFace),
    }
    return tuple(
        Part(
            ref=kind,
            kind=kind,
            outcome=CheckOutcome.PASSED if found in _PASSED else CheckOutcome.FAILED,
            reasons=() if found in _PASSED else (found,),
        )
        for kind, found in judged.items()
        if found is not None
    )


def open_door(settings: ProviderSettings, _tolerance_seconds: int) -> WebhookDoor:
    return IdenfyDoor(settings)


def open_provider(settings: ProviderSettings) -> Provider:
    return IdenfyProvider(settings)
