"""Persona (withpersona.com) behind the house's Provider protocol, over its REST API of 2025-12-08.

Source: persona-openapi 2025-12-08, https://docs.withpersona.com/api-reference/inquiries
"""

import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx

from issuer.errors import ProviderRefused, SettingsError
from issuer.providers import persona_case, persona_transaction
from issuer.providers.http import TIMEOUT, Answer, checked_base, is_web_link, unexpected
from issuer.providers.persona_around import Around
from issuer.providers.persona_case import CaseRules
from issuer.providers.persona_http import PersonaHttp, environment_id
from issuer.providers.persona_inquiry import (
    INCLUDE,
    Included,
    Inquiry,
    Opened,
    read_one,
    says_already_redacted,
    session_end,
)
from issuer.providers.persona_pages import inquiry_pages
from issuer.providers.persona_transaction import MARK, TYPE_PREFIX, TransactionRules
from issuer.providers.protocol import Glance, Provider, Reading, Session, StartCheck, Started
from issuer.providers.vendors import VENDORS, ProviderSettings
from issuer.providers.wire import identifier
from issuer.providers.wire import reference as valid_reference

DEFAULT_BASE_URL: Final = VENDORS["persona"].api_url
DEFAULT_HOSTED_URL: Final = VENDORS["persona"].options["PERSONA_HOSTED_URL"]
_PAGE_SIZE = 50
_MOST_PAGES = 4


class PersonaProvider(Provider):
    """One Persona environment, through one API key.

    `template_ids` limits what `start` opens; empty means any. `expected_environment_id` (`env_...`) makes every
    answer prove that the key is of that environment. `account_reports`: an approval is read together with the reports
    that monitor the person, which belong to no inquiry. `cases`: which inquiries are decided by a case around them.
    `http` is borrowed when given. `clock` in Unix seconds.
    Raises `SettingsError` for an unusable key or URL.
    """

    name = "persona"

    def __init__(
        self,
        environment: str,
        api_key: str,
        base_url: str = DEFAULT_BASE_URL,
        *,
        template_ids: Collection[str] = (),
        hosted_url: str = DEFAULT_HOSTED_URL,
        expected_environment_id: str | None = None,
        one_time_link_seconds: int = 3600,
        account_reports: bool = False,
        cases: CaseRules = CaseRules(),  # noqa: B008 - frozen
        transactions: TransactionRules = TransactionRules(),  # noqa: B008 - frozen
        http: httpx.AsyncClient | None = None,
        clock: Callable[[], float] = time.time,
        timeout: httpx.Timeout = TIMEOUT,
        total_seconds: float = 12.0,
    ) -> None:
        if any(identifier(template) is None for template in template_ids):
            raise SettingsError("PERSONA_TEMPLATE_ID", "is not a template id")
        if one_time_link_seconds <= 0:
            raise SettingsError("PERSONA_ONE_TIME_LINK_SECONDS", "must be a positive number of seconds")
        self._environment = environment
        self._templates = frozenset(template_ids)
        self._hosted_url = checked_base("PERSONA_HOSTED_URL", hosted_url)
        self._link_seconds = one_time_link_seconds
        self._transactions = transactions
        self._clock = clock
        self._api = PersonaHttp(
            api_key,
            base_url,
            expected_environment_id=expected_environment_id,
            client=http,
            timeout=timeout,
            total_seconds=total_seconds,
        )
        self._around = Around(self._api, cases=cases, account_reports=account_reports)

    def __repr__(self) -> str:
        return f"PersonaProvider(environment={self._environment!r}, base_url={self._api.base_url!r})"

    @property
    def environment(self) -> str:
        return self._environment

    @property
    def clock_ahead(self) -> float | None:
        return self._api.clock_ahead

    async def aclose(self) -> None:
        await self._api.aclose()

    async def check(self) -> str | None:
        """Prove key, version and environment with one cheap read; the `env_...` id that Persona answered with."""
        what = "check the key"
        answer = await self._api.get(what, "/inquiries", {"page[size]": "1"})
        self._api.refuse(what, answer)
        return environment_id(answer)

    async def start(self, request: StartCheck) -> Started:
        what = "start a check"
        if valid_reference(request.reference) is None or identifier(request.template) is None:
            raise ProviderRefused(f"Persona, {what}: the reference or the template is not of a shape we send")
        if self._templates and request.template not in self._templates:
            raise ProviderRefused(f"Persona, {what}: the template is not one of the configured ones")
        if request.template.startswith(TYPE_PREFIX):
            return await self._start_transaction(what, request)
        attributes: dict[str, object] = {"inquiry-template-id": request.template}
        if request.redirect_url is not None:
            attributes["redirect-uri"] = request.redirect_url
        if request.prefill:
            attributes["fields"] = request.prefill
        meta = {
            "auto-create-account": True,
            "auto-create-account-reference-id": request.reference,
            "auto-create-inquiry-session": True,
        }
        body = {"data": {"attributes": attributes}, "meta": meta}
        answer = await self._api.act(what, "/inquiries", body, request.idempotency_key)
        opened = self._opened(what, answer, None)
        inquiry = opened.inquiry
        # An idempotency key that was used before for something else would hand us somebody else's inquiry.
        if inquiry.reference() not in (None, request.reference) or inquiry.template() not in (None, request.template):
            raise _unexpected(what, "answered with another inquiry than the one asked for", answer)
        check_ref = inquiry.check_ref()
        if check_ref is None:
            raise _unexpected(what, "answered without an inquiry", answer)
        return Started(check_ref=check_ref, session=self._session(check_ref, opened.token))

    async def find(self, reference: str, template: str, created_since: datetime) -> list[Reading]:
        """Newest first; at most the newest 200. `created_since` must have a zone."""
        what = "find checks"
        if template.startswith(TYPE_PREFIX):
            return []  # transactions have no filter for it; one whose answer was lost belongs to no case
        if valid_reference(reference) is None or identifier(template) is None or created_since.tzinfo is None:
            raise ProviderRefused(f"Persona, {what}: the reference, the template or the time is not of a shape we send")
        since = created_since.astimezone(UTC).replace(microsecond=0)  # inquiry times are whole seconds
        params = {
            "filter[reference-id]": reference,
            "filter[inquiry-template-id]": template,
            "filter[created-at-start]": since.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "page[size]": str(_PAGE_SIZE),
        }
        found: dict[str, tuple[datetime, Reading]] = {}
        asked_at = self._now()
        async for answer, page in inquiry_pages(self._api, what, params, most=_MOST_PAGES):
            for inquiry in page:
                # A filter that Persona did not understand is a list of other people's checks.
                if _is_ours(inquiry, reference, template, since):
                    reading = self._reading(what, answer, inquiry, asked_at)
                    found.setdefault(reading.check_ref, (inquiry.created_at() or reading.evidence_at, reading))
            asked_at = self._now()
        return [reading for _, reading in sorted(found.values(), key=lambda pair: pair[0], reverse=True)]

    async def fetch(self, check_ref: str) -> Reading:
        what = "fetch a check"
        now = self._now()
        transaction_id = persona_transaction.id_of(check_ref)
        if transaction_id is not None:
            answer = await self._api.get(what, f"/transactions/{transaction_id}")
            return self._transaction(what, answer, now, check_ref)
        path = _path(what, check_ref)
        # No fields filter: whether the template relationship would survive it is not documented.
        answer = await self._api.get(what, path, {"include": INCLUDE})
        opened = self._opened(what, answer, check_ref)
        return await self._around.complete(self._reading(what, answer, opened.inquiry, now, opened.included))

    async def glance(self, check_refs: Sequence[str]) -> Mapping[str, Glance]:
        return await self._around.glance([ref for ref in check_refs if not ref.startswith(MARK)])

    async def checks_of(self, group_ref: str) -> list[str]:
        """Of `account:act_...` or `case:case_...`; at most the newest 100."""
        return await self._around.checks_of(group_ref)

    async def resume(self, check_ref: str) -> Session:
        what = "resume a check"
        answer = await self._act(what, check_ref, "resume", None)
        token = self._opened(what, answer, check_ref).token
        if token is None:  # a pending inquiry does not open without one
            raise _unexpected(what, "answered without a session token", answer)
        return self._session(check_ref, token)

    async def one_time_link(self, check_ref: str) -> Session:
        """A link for an e-mail or another device. Persona may hand out an unused earlier one, which ends sooner."""
        what = "make a one-time link"
        now = self._now()
        # Its default life is 1 or 24 hours, depending on which page is read: always said.
        body = {"meta": {"expires-in-seconds": self._link_seconds}}
        answer = await self._act(what, check_ref, "generate-one-time-link", body)
        link = self._opened(what, answer, check_ref).link
        if link is None or not is_web_link(link):
            raise _unexpected(what, "answered without a link", answer)
        return Session(token=None, url=link, expires_at=now + timedelta(seconds=self._link_seconds))

    async def expire(self, check_ref: str) -> None:
        what = "expire a check"
        self._opened(what, await self._act(what, check_ref, "expire", None), check_ref)

    async def approve(self, check_ref: str, comment: str | None = None) -> None:
        what = "approve a check"
        self._opened(what, await self._act(what, check_ref, "approve", _comment(comment)), check_ref)

    async def decline(self, check_ref: str, comment: str | None = None) -> None:
        what = "decline a check"
        self._opened(what, await self._act(what, check_ref, "decline", _comment(comment)), check_ref)

    async def redact(self, check_ref: str) -> None:
        """Erase the record at Persona, for good. Erased already is success."""
        what = "redact a check"
        transaction_id = persona_transaction.id_of(check_ref)
        path = _path(what, check_ref) if transaction_id is None else f"/transactions/{transaction_id}"
        answer = await self._api.delete(what, path)
        if answer.status != 409 or not says_already_redacted(answer.body):
            self._api.refuse(what, answer)

    async def _start_transaction(self, what: str, request: StartCheck) -> Started:
        now = self._now()
        attributes = {
            "transaction-type-id": request.template,
            "reference-id": request.reference,
            "fields": request.prefill or {},
        }
        body = {"data": {"attributes": attributes}}
        answer = await self._api.act(what, "/transactions", body, request.idempotency_key)
        reading = self._transaction(what, answer, now, None)
        if reading.reference != request.reference or reading.template != request.template:
            raise _unexpected(what, "answered with another transaction than the one asked for", answer)
        return Started(check_ref=reading.check_ref, session=None)

    def _transaction(self, what: str, answer: Answer, read_at: datetime, asked: str | None) -> Reading:
        self._api.refuse(what, answer)
        reading = persona_transaction.read(
            answer.body, self._transactions, environment=self._environment, read_at=read_at
        )
        if reading is None or asked not in (None, reading.check_ref):
            raise _unexpected(what, "answered without the transaction that was asked for", answer)
        return reading

    async def _act(self, what: str, check_ref: str, verb: str, body: Mapping[str, object] | None) -> Answer:
        # A new key each time: under a kept one, approve after decline would only replay the first approval.
        return await self._api.act(what, f"{_path(what, check_ref)}/{verb}", body, str(uuid.uuid4()))

    def _opened(self, what: str, answer: Answer, asked: str | None) -> Opened:
        self._api.refuse(what, answer)
        opened = read_one(answer.body)
        if opened is None:
            raise _unexpected(what, "answered without an inquiry", answer)
        if asked is not None and opened.inquiry.check_ref() != asked:
            raise _unexpected(what, "answered with another inquiry than the one asked for", answer)
        return opened

    def _reading(
        self, what: str, answer: Answer, inquiry: Inquiry, read_at: datetime, included: Sequence[Included] = ()
    ) -> Reading:
        reading = inquiry.reading(self._environment, read_at, included)
        if reading is None:
            raise _unexpected(what, "answered with an inquiry that has no status or no times", answer)
        return reading

    def _session(self, check_ref: str, token: str | None) -> Session:
        # With the token in it this URL is a bearer secret: whoever holds it is the applicant. It goes to the
        # applicant's browser over TLS and nowhere else; for e-mail there is one_time_link.
        params = {"inquiry-id": check_ref} | ({"session-token": token} if token is not None else {})
        url = str(httpx.URL(self._hosted_url, params=params))
        return Session(token=token, url=url, expires_at=session_end(token, self._now()))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def open_provider(settings: ProviderSettings) -> Provider:
    """The client of one configured environment. Raises `SettingsError`."""
    return PersonaProvider(
        environment=settings.environment,
        api_key=settings.keys["PERSONA_API_KEY"].reveal(),
        base_url=settings.api_url,
        template_ids=settings.templates,
        hosted_url=settings.options["PERSONA_HOSTED_URL"],
        expected_environment_id=settings.options["PERSONA_ENVIRONMENT_ID"] or None,
        account_reports=settings.says_yes("PERSONA_ACCOUNT_REPORTS"),
        cases=persona_case.rules_from(settings.options),
        transactions=persona_transaction.rules_from(settings.options),
    )


def _path(what: str, check_ref: str) -> str:
    if check_ref.startswith(MARK):
        raise ProviderRefused(f"Persona, {what}: a transaction offers no such thing")
    if identifier(check_ref) is None:
        raise ProviderRefused(f"Persona, {what}: not an inquiry id")
    return f"/inquiries/{check_ref}"


def _comment(comment: str | None) -> dict[str, object] | None:
    return {"meta": {"comment": comment}} if comment else None


def _is_ours(inquiry: Inquiry, reference: str, template: str, since: datetime) -> bool:
    created_at = inquiry.created_at()
    return (
        inquiry.reference() == reference
        and inquiry.template() in (None, template)
        and (created_at is None or created_at >= since)
    )


def _unexpected(what: str, problem: str, answer: Answer) -> ProviderRefused:
    return unexpected("Persona", what, problem, answer)
