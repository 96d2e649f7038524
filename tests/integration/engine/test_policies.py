"""A decision rests on the policy that it was sealed with, whatever the levels say later."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import sqlalchemy as sa

from issuer.cases.levels import BASIC_TOPIC, LEVELS, Level
from issuer.cases.sealing import DECISION_MAC, decision_message, policy_of
from issuer.cases.tables import Case, Decision
from issuer.claims.rules import ClaimStatus
from issuer.errors import ProviderRefused
from issuer.history import History
from issuer.providers.protocol import CheckOutcome, Outcome, Part
from tests.integration.engine.conftest import Engine
from tests.integration.engine.test_renewal import renewals


@pytest.fixture
def basic() -> Iterator[Level]:
    """The shipped level, which a test may change."""
    shipped = LEVELS["basic"]
    yield shipped
    LEVELS["basic"] = shipped


def change(level: Level, **more: object) -> None:
    LEVELS[level.name] = msgspec.structs.replace(level, **more)


async def test_an_approval_is_sealed_with_its_policy_and_issued_under_it(engine: Engine, basic: Level) -> None:
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)
    change(basic, topics=(BASIC_TOPIC + 1,), validity_seconds=60)
    await engine.settle()
    (claim,) = await engine.claims_of(case)
    assert (claim.status, claim.topic, claim.validity_seconds) == (
        ClaimStatus.CONFIRMED, str(BASIC_TOPIC), basic.validity_seconds,
    )  # fmt: skip
    (decision,) = await engine.rows(Decision)
    assert policy_of(case, decision) == basic.policy()
    assert await engine.is_verified(case.wallet)


async def test_a_policy_that_somebody_changed_signs_nothing(engine: Engine, basic: Level) -> None:
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)
    before = await engine.sent()
    longer = msgspec.json.encode(msgspec.structs.replace(basic.policy(), validity_seconds=10**9)).decode()
    async with engine.db.write() as session:
        decision = await session.get(Decision, (await engine.rows(Decision))[0].id)
        decision.policy = longer
    await engine.pump()
    (claim,) = await engine.claims_of(case)
    assert claim.status == ClaimStatus.FAILED
    assert await engine.sent() == before


async def test_a_policy_that_is_no_policy_any_more_holds_up_nobody_else(engine: Engine) -> None:
    spoilt, sound = await engine.open_case(), await engine.open_case()
    for case in (spoilt, sound):
        await engine.ring(case, Outcome.APPROVED)
    async with engine.db.write() as session:
        await session.execute(sa.update(Decision).where(Decision.case_id == spoilt.id).values(policy="{"))
    await engine.settle()
    (held,), (issued,) = await engine.claims_of(spoilt), await engine.claims_of(sound)
    assert (held.status, issued.status) == (ClaimStatus.FAILED, ClaimStatus.CONFIRMED)


async def test_an_approval_at_a_level_that_is_no_more_changes_nothing(engine: Engine, basic: Level) -> None:
    case = await engine.open_case()
    del LEVELS["basic"]
    await engine.ring(case, Outcome.APPROVED)
    assert (await engine.case(case)).status == "created"
    assert await engine.claims_of(case) == []
    change(basic)
    await engine.ring(case, Outcome.APPROVED)
    await engine.settle()
    assert await engine.is_verified(case.wallet)


async def test_a_redaction_keeps_or_revokes_as_the_level_says(engine: Engine, basic: Level) -> None:
    kept, revoked = await engine.open_case(), await engine.open_case()
    for case in (kept, revoked):
        await engine.ring(case, Outcome.APPROVED)
    await engine.settle()
    await engine.ring(kept, Outcome.APPROVED, redacted=True)
    change(basic, on_redaction="revoke")
    await engine.ring(revoked, Outcome.APPROVED, redacted=True)
    await engine.settle()
    assert await engine.is_verified(kept.wallet)
    assert not await engine.is_verified(revoked.wallet)
    (claim,) = await engine.claims_of(revoked)
    assert claim.status == ClaimStatus.REVOKED


def part(kind: str, outcome: CheckOutcome = CheckOutcome.PASSED) -> Part:
    return Part(ref=f"ver_{kind}", kind=kind, outcome=outcome)


async def test_an_approval_without_a_required_verification_waits_until_the_provider_has_it(
    engine: Engine, basic: Level
) -> None:
    change(basic, required={"persona": ("government-id", "selfie")})
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED, parts=(part("government-id"), part("selfie", CheckOutcome.FAILED)))
    waiting = await engine.case(case)
    assert (waiting.status, waiting.reasons) == ("in_review", ["required_check_missing"])
    assert await engine.claims_of(case) == []
    await engine.ring(case, Outcome.APPROVED, parts=(part("government-id"), part("selfie")))
    await engine.settle()
    approved = await engine.case(case)
    assert (approved.status, approved.reasons) == ("approved", [])
    assert await engine.is_verified(case.wallet)


async def test_a_claim_ends_with_what_its_decision_supports(engine: Engine, basic: Level) -> None:
    change(basic, reverify_seconds=86_400)
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)
    await engine.settle()
    (claim,) = await engine.claims_of(case)
    (decision,) = await engine.rows(Decision)
    end = (decision.decided_at + timedelta(days=1)).replace(microsecond=0)
    assert (claim.status, claim.valid_until) == (ClaimStatus.CONFIRMED, end)
    assert await engine.is_verified(case.wallet)
    assert await renewals(engine, days=1).step() == 0  # the decision supports no later claim
    assert "reverification_due" in {row.cause for row in await engine.rows(History)}


async def test_a_decision_that_is_too_old_signs_nothing(engine: Engine, basic: Level) -> None:
    change(basic, reverify_seconds=86_400)
    case = await engine.open_case()
    long_ago = datetime.now(UTC) - timedelta(days=2)
    await engine.ring(case, Outcome.APPROVED, at=long_ago)
    before = await engine.sent()
    await engine.pump()
    (claim,) = await engine.claims_of(case)
    assert (claim.status, claim.detail) == (ClaimStatus.FAILED, "reverification_due")
    assert await engine.sent() == before


async def due(engine: Engine, case: Case, age: timedelta, **more: object) -> None:
    """The sweep will look at it, and it was opened so long ago."""
    async with engine.db.write() as session:
        row = await session.get(Case, case.id)
        assert row is not None
        row.created_at -= age
        row.next_check_at = datetime.now(UTC) - timedelta(seconds=1)
        for name, value in more.items():
            setattr(row, name, value)


async def test_an_unfinished_check_runs_out_once_the_provider_has_been_asked(engine: Engine, basic: Level) -> None:
    change(basic, expire_seconds=86_400)
    long_ago = datetime.now(UTC) - timedelta(days=2)
    left, finished, young = [await engine.open_case() for _ in range(3)]
    engine.persona.says(left, Outcome.STARTED, at=long_ago)
    engine.persona.says(finished, Outcome.APPROVED, at=long_ago)  # and its webhook was lost
    engine.persona.says(young, Outcome.STARTED)
    for case in (left, finished, young):
        await due(engine, case, timedelta(days=2))
    await engine.cases.sweep()
    assert [(await engine.case(case)).status for case in (left, finished, young)] == ["expired", "approved", "started"]
    assert (await engine.case(left)).reasons == ["check_expired"]
    assert [row.cause for row in await engine.rows(History) if row.target == "expired"] == ["clock"]
    await engine.ring(left, Outcome.APPROVED)
    assert (await engine.case(left)).status == "approved", "it was finished after all"


async def test_a_case_whose_check_was_never_opened_runs_out_too(engine: Engine, basic: Level) -> None:
    change(basic, expire_seconds=86_400)
    old, new = await engine.open_case(), await engine.open_case()
    await due(engine, old, timedelta(days=2), check_ref=None)
    await due(engine, new, timedelta(0), check_ref=None)
    await engine.cases.sweep()
    assert [(await engine.case(case)).status for case in (old, new)] == ["expired", "created"]
    assert engine.persona.fetches == 0


async def test_a_production_decision_becomes_no_claim_on_a_local_chain(engine: Engine, basic: Level) -> None:
    """Whoever changes the tables cannot pass the firewall either: it is asked again when a claim is signed."""
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)
    before = await engine.sent()
    async with engine.db.write() as session:
        row, decision = await session.get(Case, case.id), (await engine.rows(Decision))[0]
        assert row is not None
        row.environment = "production"
        stored = await session.get(Decision, decision.id)
        assert stored is not None
        stored.mac = engine.decision_keys.mac(DECISION_MAC, decision_message(row, stored))
    await engine.pump()
    (claim,) = await engine.claims_of(case)
    assert (claim.status, claim.detail) == (ClaimStatus.FAILED, "decision_not_proved")
    assert await engine.sent() == before


async def test_silent_cases_are_looked_at_together_and_read_only_if_something_has_changed(
    engine: Engine, basic: Level
) -> None:
    quiet, moved, unseen = [await engine.open_case() for _ in range(3)]
    for case in (quiet, moved):
        await engine.ring(case, Outcome.STARTED)
    engine.persona.says(moved, Outcome.APPROVED)  # and its webhook was lost
    for case in (quiet, moved, unseen):
        await due(engine, case, timedelta(0))
    await due(engine, unseen, timedelta(0), check_ref=None)
    fetches = engine.persona.fetches
    await engine.cases.sweep()
    assert (engine.persona.glances, engine.persona.fetches - fetches) == (1, 1)
    assert [(await engine.case(case)).status for case in (quiet, moved, unseen)] == ["started", "approved", "created"]
    await engine.cases.sweep()
    assert engine.persona.glances == 1, "nobody is due again so soon"


async def test_where_a_list_cannot_be_had_each_silent_case_is_read(engine: Engine, basic: Level) -> None:
    case = await engine.open_case()
    engine.persona.says(case, Outcome.APPROVED)
    await due(engine, case, timedelta(0))

    async def nothing(_refs: object) -> dict[str, object]:
        raise ProviderRefused("the key may not list")

    engine.persona.glance = nothing  # type: ignore[method-assign, assignment]
    await engine.cases.sweep()
    assert (await engine.case(case)).status == "approved"
