"""What is read around Persona's inquiries: the case that decides one, the reports on its account, and many at a glance.

Of every list each entry is looked at again: a filter that Persona did not understand is a list of other people's.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from issuer.errors import ProviderRefused
from issuer.providers.http import Answer, unexpected
from issuer.providers.persona_case import CaseRules, decided, read_case, read_cases
from issuer.providers.persona_http import PersonaHttp
from issuer.providers.persona_inquiry import Inquiry, read_hits, read_page
from issuer.providers.protocol import Glance, Outcome, Reading
from issuer.providers.wire import identifier

LARGEST_PAGE: Final = 100


class Around:
    """`cases`: which inquiries are decided by a case. `account_reports`: whether an account's reports count."""

    def __init__(self, api: PersonaHttp, *, cases: CaseRules, account_reports: bool) -> None:
        self._api = api
        self._cases = cases
        self._account_reports = account_reports

    async def complete(self, reading: Reading) -> Reading:
        """An inquiry's reading, together with what else decides it."""
        case_template = self._cases.templates.get(reading.template or "")
        if case_template is not None:
            reading = await self._with_case(reading, case_template)
        if self._account_reports and reading.outcome is Outcome.APPROVED and reading.person_ref is not None:
            reading = await self._with_account(reading, reading.person_ref)
        return reading

    async def glance(self, check_refs: Sequence[str]) -> Mapping[str, Glance]:
        """Inquiries that decide by themselves: of a case around one a list of inquiries does not tell."""
        asked = check_refs[:LARGEST_PAGE]
        found: dict[str, Glance] = {}
        if not asked:
            return found
        for one in await self._inquiries("look at many checks", {"filter[inquiry-id]": ",".join(asked)}):
            check_ref, changed_at = one.check_ref(), one.changed_at()
            decides = one.template() is not None and one.template() not in self._cases.templates
            if check_ref is not None and check_ref in asked and changed_at is not None and decides:
                found[check_ref] = Glance(outcome=one.outcome(), changed_at=changed_at)
        return found

    async def checks_of(self, group_ref: str) -> list[str]:
        """See `Provider.checks_of`. Where no case decides anything, none is asked about."""
        what = "list the checks of a group"
        kind, _, group = group_ref.partition(":")
        if kind not in ("account", "case") or identifier(group) is None:
            raise ProviderRefused(f"Persona, {what}: neither an account nor a case")
        if kind == "account":
            inquiries = await self._inquiries(what, {"filter[account-id]": group})
            return [ref for one in inquiries if one.account() == group and (ref := one.check_ref()) is not None]
        if not self._cases.templates:
            return []
        answer = await self._api.get(what, f"/cases/{group}")
        self._api.refuse(what, answer)
        case = read_case(answer.body)
        if case is None or case.id != group:
            raise _unexpected(what, "answered with another case than the one asked for", answer)
        return case.inquiries()

    async def _with_case(self, reading: Reading, case_template: str) -> Reading:
        what = "fetch the case of a check"
        filters = {"filter[inquiry-id]": reading.check_ref, "filter[case-template-id]": case_template}
        answer = await self._listed(what, "/cases", filters)
        cases = read_cases(answer.body)
        if cases is None:
            raise _unexpected(what, "answered with no list of cases", answer)
        ours = (one for one in cases if one.template() == case_template and reading.check_ref in one.inquiries())
        case = next(ours, None)
        owners = [] if case is None else [ref for ref in case.inquiries() if ref != reading.check_ref]
        what = "fetch the owners of a business"
        found = await self._inquiries(what, {"filter[inquiry-id]": ",".join(owners)}) if owners else []
        return decided(reading, case, found, self._cases)

    async def _with_account(self, reading: Reading, account_id: str) -> Reading:
        what = "fetch the reports of a person"
        answer = await self._listed(what, "/reports", {"filter[account-id]": account_id})
        hits = read_hits(answer.body, account_id)
        if hits is None:
            raise _unexpected(what, "answered with no list of reports", answer)
        known = {hit.key for hit in reading.hits}
        more = tuple(hit for hit in hits if hit.key not in known)
        return msgspec.structs.replace(reading, hits=reading.hits + more)

    async def _inquiries(self, what: str, filters: Mapping[str, str]) -> list[Inquiry]:
        answer = await self._listed(what, "/inquiries", filters)
        page = read_page(answer.body)
        if page is None:
            raise _unexpected(what, "answered with no list of inquiries", answer)
        return page[0]

    async def _listed(self, what: str, path: str, filters: Mapping[str, str]) -> Answer:
        answer = await self._api.get(what, path, {**filters, "page[size]": str(LARGEST_PAGE)})
        self._api.refuse(what, answer)
        return answer


def _unexpected(what: str, problem: str, answer: Answer) -> ProviderRefused:
    return unexpected("Persona", what, problem, answer)
