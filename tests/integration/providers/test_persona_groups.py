"""Persona's accounts, cases and transactions: what is told about several checks at once, or without any inquiry."""

import time
import uuid
from collections.abc import AsyncIterator

import httpx
import pytest

from issuer.errors import ProviderNotFound, ProviderRefused
from issuer.providers.persona import PersonaProvider
from issuer.providers.persona_case import CaseRules
from issuer.providers.protocol import CheckOutcome, Event, Outcome, Reading, StartCheck
from scripts.persona_simulator.people import PII_CANARIES

REFERENCE = "sub_0192f0c4-7c1e-7a6e-9d0b-1f2e3d4c5b6a"
CASES = "ctmpl_Jumm3K4zHwaLBBdyLUCnHbBC"
TRANSACTIONS = "txntp_Jumm3K4zHwaLBBdyLUCnHbBC"


def request(template: str, reference: str = REFERENCE) -> StartCheck:
    return StartCheck(reference=reference, template=template, idempotency_key=str(uuid.uuid4()))


@pytest.fixture
async def wide(persona) -> AsyncIterator[PersonaProvider]:
    """Reads accounts' reports, and the case around each inquiry."""
    provider = PersonaProvider(
        "sandbox",
        persona.running.api_key,
        persona.running.api,
        account_reports=True,
        cases=CaseRules(templates={persona.running.template_id: CASES}),
        timeout=httpx.Timeout(2.0),
    )
    yield provider
    await provider.aclose()


@pytest.fixture
async def monitoring(persona) -> AsyncIterator[PersonaProvider]:
    provider = PersonaProvider(
        "sandbox", persona.running.api_key, persona.running.api, account_reports=True, timeout=httpx.Timeout(2.0)
    )
    yield provider
    await provider.aclose()


def told(persona, door) -> list[Event]:
    """The events that we follow, verified and read as the API does."""
    events = []
    for delivery in persona.delivered():
        door.verify(delivery.headers, delivery.body, time.time())
        events.append(door.parse(delivery.body))
    assert not [text for text in PII_CANARIES if text in repr(events)]
    return [event for event in events if event.known]


# ---- accounts ------------------------------------------------------------------------------------------------


async def test_a_report_that_monitors_a_person_is_seen_with_each_of_their_checks(persona, monitoring, door):
    mine = await monitoring.start(request(persona.running.template_id))
    other = await monitoring.start(request(persona.running.template_id, "sub_other"))
    for check in (mine, other):
        persona.simulate(check.check_ref, "start", "complete", "approve")
    account = (await monitoring.fetch(mine.check_ref)).person_ref
    told(persona, door)
    persona.sim("reports", **{"account-id": account, "type": "watchlist"})
    (event,) = told(persona, door)
    assert (event.name, event.check_ref, event.group_ref) == ("report/watchlist.matched", None, f"account:{account}")
    assert await monitoring.checks_of(event.group_ref) == [mine.check_ref]
    (hit,) = (await monitoring.fetch(mine.check_ref)).hits
    assert hit.code == "watchlist_hit"
    assert (await monitoring.fetch(other.check_ref)).hits == ()


async def test_reports_of_an_account_are_asked_for_only_where_that_is_switched_on(persona, provider):
    check = await provider.start(request(persona.running.template_id))
    persona.simulate(check.check_ref, "start", "complete", "approve")
    reading = await provider.fetch(check.check_ref)
    persona.sim("reports", **{"account-id": reading.person_ref})
    assert (await provider.fetch(check.check_ref)).hits == ()


async def test_an_account_that_is_erased_names_all_of_its_checks(persona, provider, door):
    checks = [await provider.start(request(persona.running.template_id)) for _ in range(2)]
    account = (await provider.fetch(checks[0].check_ref)).person_ref
    told(persona, door)
    persona.api("DELETE", f"/accounts/{account}")
    persona.sim("clock", advance_seconds=10)
    events = [event for event in told(persona, door) if event.name == "account.redacted"]
    assert [event.group_ref for event in events] == [f"account:{account}"]
    assert set(await provider.checks_of(f"account:{account}")) == {check.check_ref for check in checks}
    assert [(await provider.fetch(check.check_ref)).redacted for check in checks] == [True, True]


@pytest.mark.parametrize("group", ["inquiry:inq_1", "account:", "account:../cases", "case"])
async def test_no_other_group_is_asked_about(provider, group):
    with pytest.raises(ProviderRefused, match="neither an account nor a case"):
        await provider.checks_of(group)


# ---- cases ---------------------------------------------------------------------------------------------------


async def business(persona, provider: PersonaProvider, owners: int) -> tuple[str, list[str]]:
    """A business's inquiry, completed, and one for each owner."""
    check = await provider.start(request(persona.running.template_id))
    persona.simulate(check.check_ref, "start", "complete")
    starts = [await provider.start(request(persona.running.template_id, f"sub_owner_{n}")) for n in range(owners)]
    return check.check_ref, [one.check_ref for one in starts]


def case_around(persona, *inquiries: str, template: str = CASES) -> str:
    body = {"data": {"attributes": {"case-template-id": template}}, "meta": {"object-ids": list(inquiries)}}
    return persona.api("POST", "/cases", body)["data"]["id"]


def resolve(persona, case: str, status: str) -> None:
    persona.api("POST", f"/cases/{case}/set-status", {"meta": {"status": status}})


def said(reading: Reading) -> tuple[Outcome, str]:
    return reading.outcome, reading.status


async def test_a_business_is_decided_by_its_case_and_not_by_its_inquiry(persona, wide, door):
    check, (first, second) = await business(persona, wide, 2)
    persona.simulate(check, "approve")
    assert said(await wide.fetch(check)) == (Outcome.SUBMITTED, "approved")  # there is no case yet
    case = case_around(persona, check, first, second)
    waiting = await wide.fetch(check)
    assert said(waiting) == (Outcome.SUBMITTED, "case.open")
    assert waiting.decided_at is None
    resolve(persona, case, "Waiting on UBOs")
    assert said(await wide.fetch(check)) == (Outcome.SUBMITTED, "case.open")
    for owner in (first, second):
        persona.simulate(owner, "start", "complete", "approve")
    told(persona, door)
    resolve(persona, case, "Approved")
    approved = await wide.fetch(check)
    assert said(approved) == (Outcome.APPROVED, "case.approved")
    assert approved.decided_at is not None
    assert approved.evidence_at >= waiting.evidence_at
    assert {(part.kind, part.ref, part.outcome) for part in approved.parts if part.kind == "owner"} == {
        ("owner", first, CheckOutcome.PASSED), ("owner", second, CheckOutcome.PASSED),
    }  # fmt: skip
    events = told(persona, door)
    assert sorted(event.name for event in events) == ["case.resolved", "case.status-updated"], "in any order"
    assert {event.group_ref for event in events} == {f"case:{case}"}
    assert check in await wide.checks_of(f"case:{case}")


async def test_a_case_that_is_turned_round_takes_the_approval_back(persona, wide):
    check, _ = await business(persona, wide, 0)
    case = case_around(persona, check)
    resolve(persona, case, "Approved")
    before = await wide.fetch(check)
    persona.sim("clock", advance_seconds=60)
    resolve(persona, case, "Declined")
    after = await wide.fetch(check)
    assert (before.outcome, after.outcome) == (Outcome.APPROVED, Outcome.DECLINED)
    assert after.evidence_at > before.evidence_at
    resolve(persona, case, "Open")
    assert (await wide.fetch(check)).outcome is Outcome.SUBMITTED


@pytest.mark.parametrize("acts", [("start", "complete", "decline"), ("start", "fail"), ("start",), ()])
async def test_an_approved_case_with_an_owner_who_did_not_pass_waits_for_a_person(persona, wide, acts):
    check, (owner,) = await business(persona, wide, 1)
    if acts:
        persona.simulate(owner, *acts)
    resolve(persona, case_around(persona, check, owner), "Approved")
    reading = await wide.fetch(check)
    assert (reading.outcome, reading.decided_at) == (Outcome.IN_REVIEW, None)


async def test_a_case_of_another_template_or_around_other_inquiries_decides_nothing(persona, wide):
    check, (owner,) = await business(persona, wide, 1)
    resolve(persona, case_around(persona, check, template="ctmpl_other"), "Approved")
    resolve(persona, case_around(persona, owner), "Approved")
    assert (await wide.fetch(check)).outcome is Outcome.SUBMITTED


async def test_a_case_that_was_erased_is_no_evidence(persona, wide):
    check, _ = await business(persona, wide, 0)
    case = case_around(persona, check)
    resolve(persona, case, "Approved")
    persona.api("DELETE", f"/cases/{case}")
    assert (await wide.fetch(check)).redacted


async def test_a_case_that_is_gone_is_said_to_be(wide):
    with pytest.raises(ProviderNotFound):
        await wide.checks_of("case:case_nothing")


async def test_where_no_case_decides_anything_none_is_asked_about(provider):
    assert await provider.checks_of("case:case_nothing") == []


# ---- transactions --------------------------------------------------------------------------------------------


async def test_a_transaction_is_a_check_that_nobody_enters(persona, provider, door):
    started = await provider.start(
        StartCheck(
            reference=REFERENCE, template=TRANSACTIONS, idempotency_key="k-1", prefill={"business_name": "Exempel AB"}
        )
    )
    assert started.session is None
    first = await provider.fetch(started.check_ref)
    assert (first.outcome, first.reference, first.template) == (Outcome.SUBMITTED, REFERENCE, TRANSACTIONS)
    (event,) = told(persona, door)
    assert (event.name, event.check_ref) == ("transaction.created", started.check_ref)
    become(persona, started.check_ref, "approved")
    (event,) = told(persona, door)
    assert (event.name, event.check_ref) == ("transaction.status-updated", started.check_ref)
    approved = await provider.fetch(started.check_ref)
    assert (approved.outcome, approved.decided_at is not None) == (Outcome.APPROVED, True)
    assert "Exempel" not in repr(approved)


def become(persona, check_ref: str, status: str) -> None:
    path = f"/transactions/{check_ref.removeprefix('transaction-')}"
    persona.api("PATCH", path, {"data": {"attributes": {"status": status}}})


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("Declined", Outcome.DECLINED),
        ("needs review", Outcome.IN_REVIEW),
        ("needs_review", Outcome.IN_REVIEW),
        ("errored", Outcome.IN_REVIEW),
        ("waiting on documents", Outcome.SUBMITTED),
        ("not approved", Outcome.SUBMITTED),
    ],
)
async def test_a_transactions_words(persona, provider, status, outcome):
    started = await provider.start(request(TRANSACTIONS))
    become(persona, started.check_ref, status)
    assert (await provider.fetch(started.check_ref)).outcome is outcome


async def test_the_same_key_makes_one_transaction(persona, provider):
    asked = request(TRANSACTIONS)
    first, second = await provider.start(asked), await provider.start(asked)
    assert first.check_ref == second.check_ref


async def test_what_a_transaction_does_not_offer_is_said(persona, provider):
    started = await provider.start(request(TRANSACTIONS))
    for act in (provider.resume, provider.expire, provider.approve, provider.decline, provider.one_time_link):
        with pytest.raises(ProviderRefused, match="a transaction offers no such thing"):
            await act(started.check_ref)


# ---- many at a glance ----------------------------------------------------------------------------------------


async def test_many_checks_are_seen_in_one_call_and_what_a_list_does_not_tell_is_left_out(persona, provider, wide):
    first, second = [await provider.start(request(persona.running.template_id)) for _ in range(2)]
    persona.simulate(first.check_ref, "start", "complete", "approve")
    other = await provider.start(request(TRANSACTIONS))
    refs = [first.check_ref, second.check_ref, other.check_ref, "inq_nobody"]
    seen = await provider.glance(refs)
    assert {ref: one.outcome for ref, one in seen.items()} == {
        first.check_ref: Outcome.APPROVED, second.check_ref: Outcome.CREATED,
    }  # fmt: skip
    reading = await provider.fetch(first.check_ref)
    assert seen[first.check_ref].changed_at == reading.evidence_at
    assert await wide.glance(refs) == {}, "a case around them decides"
    assert await provider.glance([]) == {}
