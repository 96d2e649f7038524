"""What the provider knows of a person: one event for all of their checks, and one person behind two subjects."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from issuer.cases.levels import LEVELS
from issuer.cases.tables import Case
from issuer.claims.rules import ClaimStatus
from issuer.errors import ProviderUnavailable
from issuer.inbox.tables import InboxEvent
from issuer.providers.protocol import Outcome
from issuer.secrets import KeyRing
from tests.integration.engine.conftest import Engine

ANN = "act_ann"


@pytest.fixture
def one_wallet() -> Iterator[None]:
    """The level allows one wallet per person."""
    shipped = LEVELS["basic"]
    LEVELS["basic"] = msgspec.structs.replace(shipped, wallets_per_person=1)
    yield
    LEVELS["basic"] = shipped


async def outcome_of(engine: Engine, event_id: str) -> tuple[str | None, str | None]:
    event = next(row for row in await engine.rows(InboxEvent) if row.id == event_id)
    return event.outcome, event.case_id


async def approved(engine: Engine, person_ref: str | None) -> Case:
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED, person_ref=person_ref)
    return await engine.case(case)


async def test_an_event_about_a_person_has_each_of_their_cases_read_again(engine: Engine) -> None:
    cases = [await approved(engine, ANN) for _ in range(2)]
    other = await approved(engine, "act_ben")
    await engine.settle()
    for case in (*cases, other):
        engine.persona.says(case, Outcome.DECLINED, person_ref=engine.persona.readings[str(case.check_ref)].person_ref)
    event_id = await engine.receive(cases[0], "account.redacted", group_ref=ANN)
    await engine.cases.handle_event(event_id)
    await engine.settle()
    assert [(await engine.case(case)).status for case in (*cases, other)] == ["declined", "declined", "approved"]
    outcome, case_id = await outcome_of(engine, event_id)
    assert outcome == "group_read"
    assert case_id in {case.id for case in cases}
    fetches = engine.persona.fetches
    await engine.cases.handle_event(event_id)
    assert engine.persona.fetches == fetches, "an event that was handled asks nobody again"


async def test_a_person_of_whom_we_have_no_case_changes_nothing(engine: Engine) -> None:
    case = await approved(engine, ANN)
    event_id = await engine.receive(case, "account.redacted", group_ref="act_stranger")
    await engine.cases.handle_event(event_id)
    assert await outcome_of(engine, event_id) == ("unknown_group", None)


async def test_an_event_about_a_person_waits_for_a_provider_that_is_away(engine: Engine) -> None:
    case = await approved(engine, ANN)
    event_id = await engine.receive(case, "account.redacted", group_ref=ANN)
    engine.persona.error = ProviderUnavailable("away")
    with pytest.raises(ProviderUnavailable):
        await engine.cases.handle_event(event_id)
    engine.persona.error = None
    await engine.cases.handle_event(event_id)
    assert (await outcome_of(engine, event_id))[0] == "group_read"


async def test_the_persons_id_is_kept_as_a_hash_that_tells_nothing(engine: Engine) -> None:
    case = await approved(engine, ANN)
    assert case.person_hash is not None
    assert ANN not in case.person_hash
    assert case.person_hash == engine.decision_keys.mac("person", f"persona/sandbox/{ANN}".encode())


@pytest.mark.usefixtures("one_wallet")
async def test_a_second_wallet_of_one_person_waits_until_the_first_is_taken_back(engine: Engine) -> None:
    first = await approved(engine, ANN)
    second = await approved(engine, ANN)
    await engine.settle()
    assert (second.status, second.reasons) == ("in_review", ["duplicate_person"])
    assert await engine.claims_of(second) == []
    await engine.ring(first, Outcome.DECLINED, person_ref=ANN)
    await engine.ring(second, Outcome.APPROVED, person_ref=ANN, at=datetime.now(UTC) + timedelta(seconds=1))
    await engine.settle()
    assert (await engine.case(second)).status == "approved"
    assert not await engine.is_verified(first.wallet)
    assert await engine.is_verified(second.wallet)


@pytest.mark.usefixtures("one_wallet")
async def test_somebody_else_and_one_whom_nobody_knows_are_not_counted(engine: Engine) -> None:
    for person_ref in (ANN, "act_ben", None, None):
        assert (await approved(engine, person_ref)).status == "approved"


@pytest.mark.usefixtures("one_wallet")
async def test_a_person_is_known_again_after_the_key_was_rotated(engine: Engine) -> None:
    await approved(engine, ANN)
    old = dict(engine.decision_keys._keys)
    engine.cases._keys = KeyRing({**old, max(old) + 1: bytes(range(32))})
    assert (await approved(engine, ANN)).status == "in_review"


@pytest.mark.usefixtures("one_wallet")
async def test_of_two_approvals_at_the_same_moment_one_waits(engine: Engine) -> None:
    cases = [await engine.open_case() for _ in range(2)]
    events = []
    for case in cases:
        engine.persona.says(case, Outcome.APPROVED, person_ref=ANN)
        events.append(await engine.receive(case))
    await asyncio.gather(*(engine.cases.handle_event(event) for event in events))
    await engine.settle()
    assert sorted([(await engine.case(case)).status for case in cases]) == ["approved", "in_review"]
    claims = [claim for case in cases for claim in await engine.claims_of(case)]
    assert [claim.status for claim in claims] == [ClaimStatus.CONFIRMED]
