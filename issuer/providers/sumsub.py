"""Sumsub (sumsub.com): applicants at a level. GREEN counts only with `completed`, and only at the level we asked for.

A check is an applicant. Its `externalUserId` is our subject id and a hash of the case, so that each case rests on
evidence of its own and a later RED takes back exactly what that case backs; a RED that may be retried is the same
applicant's next try. Sandbox and production share one host: the token's prefix and `sandboxMode` in the body tell.

Sources: https://docs.sumsub.com/reference/authentication, /reference/create-applicant,
/reference/generate-websdk-external-link, /reference/get-applicant-data-via-externaluserid, /docs/webhooks,
/docs/user-verification-webhooks, /docs/applicant-statuses
"""

import hmac
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote

import httpx
import msgspec

from issuer.errors import ProviderRefused, SettingsError, WebhookRefused
from issuer.providers.http import ProviderHttp, checked_base, is_web_link
from issuer.providers.plain import (
    HmacDoor,
    PlainProvider,
    event_key,
    header,
    now,
    own_reference,
    secrets_of,
    short_hash,
    whole,
)
from issuer.providers.protocol import Event, Outcome, Provider, Reading, Session, StartCheck, Started, WebhookDoor
from issuer.providers.vendors import PRODUCTION, ProviderSettings
from issuer.providers.wire import identifier, reference, word

LINK_SECONDS: Final = 3600
TOKEN_PREFIXES: Final = {"sandbox": "sbx:", "production": "prd:"}
DIGESTS: Final = {"HMAC_SHA1_HEX": "sha1", "HMAC_SHA256_HEX": "sha256", "HMAC_SHA512_HEX": "sha512"}

OUTCOMES: Final = {
    "init": Outcome.CREATED,
    "awaitingUser": Outcome.STARTED,
    "pending": Outcome.SUBMITTED,
    "queued": Outcome.SUBMITTED,
    "prechecked": Outcome.SUBMITTED,  # a RED seen here may still become GREEN
    "awaitingService": Outcome.SUBMITTED,
    "onHold": Outcome.IN_REVIEW,
}
KNOWN_EVENTS: Final = frozenset(
    f"applicant{what}"
    for what in (
        "Created",
        "Pending",
        "Prechecked",
        "OnHold",
        "Reviewed",
        "Reset",
        "Activated",
        "Deactivated",
        "Deleted",
        "PersonalDataDeleted",
        "LevelChanged",
        "WorkflowCompleted",
        "AwaitingService",
        "AwaitingUser",
    )
)


class _Result(msgspec.Struct):
    reviewAnswer: Any = None  # noqa: N815 - the vendor's names
    reviewRejectType: Any = None  # noqa: N815
    rejectLabels: Any = None  # noqa: N815


class _Review(msgspec.Struct):
    reviewStatus: Any = None  # noqa: N815
    reviewResult: _Result | None = None  # noqa: N815
    levelName: Any = None  # noqa: N815
    createDate: Any = None  # noqa: N815
    reviewDate: Any = None  # noqa: N815


class _Applicant(msgspec.Struct):
    """`GET /resources/applicants/{id}/one` through an allow-list: the rest of the answer is a person."""

    id: str
    externalUserId: Any = None  # noqa: N815
    createdAt: Any = None  # noqa: N815
    review: _Review | None = None
    deleted: Any = None


class _Link(msgspec.Struct):
    url: str


class _Webhook(msgspec.Struct):
    applicantId: Any  # noqa: N815
    type: Any = None
    levelName: Any = None  # noqa: N815
    externalUserId: Any = None  # noqa: N815
    reviewStatus: Any = None  # noqa: N815
    createdAtMs: Any = None  # noqa: N815
    sandboxMode: Any = None  # noqa: N815


class SumsubDoor(HmacDoor):
    """The digest's algorithm is configured, never chosen by the request: its header may only agree."""

    name = "sumsub"
    header = "X-Payload-Digest"

    def __init__(self, settings: ProviderSettings) -> None:
        super().__init__(settings)
        self._announced = settings.options["SUMSUB_DIGEST_ALG"]
        if self._announced not in DIGESTS:
            raise SettingsError("SUMSUB_DIGEST_ALG", f"must be one of {', '.join(DIGESTS)}")
        self.algorithm = DIGESTS[self._announced]

    def verify(self, headers: Mapping[str, str], body: bytes, now: float) -> None:
        if header(headers, "X-Payload-Digest-Alg") not in ("", self._announced):
            raise WebhookRefused("other-algorithm")
        super().verify(headers, body, now)

    def event(self, body: bytes) -> Event | None:
        """Raises `WebhookRefused("other-environment")` for a body whose `sandboxMode` is not this door's."""
        try:
            seen = msgspec.json.decode(body, type=_Webhook)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        if is_sandbox(seen.sandboxMode) not in (None, self._environment != PRODUCTION):
            raise WebhookRefused("other-environment")
        applicant = identifier(seen.applicantId)
        if applicant is None:
            return None
        kind = word(seen.type) or "unknown"
        return Event(
            key=event_key(body, applicant, kind),
            name=kind,
            known=kind in KNOWN_EVENTS,
            check_ref=applicant,
            template=word(seen.levelName),
            reference=own_reference(reference(seen.externalUserId)) or reference(seen.externalUserId),
            status=word(seen.reviewStatus),
            occurred_at=when(seen.createdAtMs),
        )


class SumsubProvider(PlainProvider):
    """One app token. Raises `SettingsError` for a token of another environment."""

    name = "sumsub"
    label = "Sumsub"

    def __init__(
        self,
        settings: ProviderSettings,
        *,
        http: httpx.AsyncClient | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        token, secret = secrets_of(settings, ("SUMSUB_APP_TOKEN", "SUMSUB_SECRET_KEY"))
        prefix = TOKEN_PREFIXES[settings.environment]
        if not token.startswith(prefix):
            raise SettingsError("SUMSUB_APP_TOKEN", f"does not start with {prefix}: it is of another environment")
        self._secret = secret.encode()
        self._clock = clock
        base_url = checked_base("SUMSUB_API_BASE_URL", settings.api_url)
        super().__init__(
            settings, ProviderHttp(self.label, base_url, headers={"X-App-Token": token}, sign=self._signed, client=http)
        )

    async def check(self) -> None:
        what = "check the key"
        answer = await self._http.get(what, "/resources/applicants/-;externalUserId=claimwright-doctor/one")
        if answer.status != 404:
            self._http.refuse(what, answer)

    async def start(self, request: StartCheck) -> Started:
        """A repeat of the same try finds the applicant that the first one made."""
        what = "start a check"
        self._checked(request, what)
        user_id = f"{request.reference}-{short_hash(request.idempotency_key)}"
        path = f"/resources/applicants?levelName={quote(request.template, safe='')}"
        body: dict[str, object] = {"externalUserId": user_id}
        if request.prefill:
            body["fixedInfo"] = request.prefill
        answer = await self._http.post(what, path, body)
        if answer.status == 409:
            answer = await self._http.get(what, f"/resources/applicants/-;externalUserId={user_id}/one")
        made = self._decoded(what, answer, _Applicant)
        check_ref = identifier(made.id)
        if check_ref is None or made.externalUserId != user_id:
            raise self._unexpected(what, "answered with another applicant than the one asked for", answer)
        return Started(
            check_ref=check_ref, session=await self._link(what, user_id, request.template, request.redirect_url)
        )

    async def fetch(self, check_ref: str) -> Reading:
        read_at = now()
        applicant = await self._applicant("fetch a check", check_ref)
        review = applicant.review or _Review()
        outcome = _outcome(review)
        decided_at = when(review.reviewDate)
        return Reading(
            check_ref=check_ref,
            outcome=outcome,
            status=_status(review),
            reference=own_reference(reference(applicant.externalUserId)),
            template=word(review.levelName),
            environment=self._environment,
            evidence_at=decided_at or when(review.createDate) or when(applicant.createdAt) or read_at,
            decided_at=decided_at if outcome in (Outcome.APPROVED, Outcome.DECLINED) else None,
            redacted=applicant.deleted is True,
            read_at=read_at,
            parts=whole("applicant", outcome, (review.reviewResult or _Result()).rejectLabels),
        )

    async def resume(self, check_ref: str) -> Session:
        what = "enter a check again"
        applicant = await self._applicant(what, check_ref)
        user_id = reference(applicant.externalUserId)
        if user_id is None:
            raise ProviderRefused(f"{self.label}, {what}: the applicant is none of ours")
        level = word((applicant.review or _Review()).levelName) or self._template
        return await self._link(what, user_id, level, None)

    async def _link(self, what: str, user_id: str, level: str, redirect_url: str | None) -> Session:
        body: dict[str, object] = {"levelName": level, "userId": user_id, "ttlInSecs": LINK_SECONDS}
        if redirect_url is not None:
            body["redirect"] = {"successUrl": redirect_url, "rejectUrl": redirect_url}
        answer = await self._http.post(what, "/resources/sdkIntegrations/levels/-/websdkLink", body)
        url = self._decoded(what, answer, _Link).url
        if not is_web_link(url):
            raise self._unexpected(what, "answered without a link", answer)
        return Session(token=None, url=url, expires_at=now() + timedelta(seconds=LINK_SECONDS))

    async def _applicant(self, what: str, check_ref: str) -> _Applicant:
        if identifier(check_ref) is None:
            raise ProviderRefused(f"{self.label}, {what}: not an applicant id")
        answer = await self._http.get(what, f"/resources/applicants/{check_ref}/one")
        applicant = self._decoded(what, answer, _Applicant)
        if applicant.id != check_ref:
            raise self._unexpected(what, "answered with another applicant than the one asked for", answer)
        return applicant

    def _signed(self, method: str, target: str, body: bytes) -> dict[str, str]:
        """hex HMAC-SHA256 of time, method, path with query, and the bytes that are sent."""
        at = str(int(self._clock()))
        digest = hmac.new(self._secret, f"{at}{method}{target}".encode() + body, sha256).hexdigest()
        return {"X-App-Access-Ts": at, "X-App-Access-Sig": digest}


def is_sandbox(told: object) -> bool | None:
    """`sandboxMode` comes as a boolean and as text, and older bodies have none (None)."""
    return {True: True, False: False, "true": True, "false": False}.get(told) if isinstance(told, bool | str) else None


def when(value: object) -> datetime | None:
    """`2026-11-20 12:02:23+0000`, or `2026-11-20 12:02:23.417` which is UTC too."""
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?(\+0000)?", value):
        return None
    try:
        return datetime.fromisoformat(value.removesuffix("+0000")).replace(tzinfo=UTC)
    except ValueError:
        return None


def _outcome(review: _Review) -> Outcome:
    result = review.reviewResult or _Result()
    if review.reviewStatus != "completed":
        known = isinstance(review.reviewStatus, str)
        return OUTCOMES.get(review.reviewStatus, Outcome.UNKNOWN) if known else Outcome.CREATED
    if result.reviewAnswer == "GREEN":
        return Outcome.APPROVED
    if result.reviewAnswer == "RED":
        reject = word(result.reviewRejectType) or ""
        return {"FINAL": Outcome.DECLINED, "RETRY": Outcome.STARTED}.get(reject, Outcome.IN_REVIEW)
    return Outcome.UNKNOWN


def _status(review: _Review) -> str:
    result = review.reviewResult or _Result()
    parts = (review.reviewStatus, result.reviewAnswer, result.reviewRejectType)
    return word(".".join(part for part in parts if isinstance(part, str))) or "unknown"


def open_door(settings: ProviderSettings, _tolerance_seconds: int) -> WebhookDoor:
    return SumsubDoor(settings)


def open_provider(settings: ProviderSettings) -> Provider:
    return SumsubProvider(settings)
