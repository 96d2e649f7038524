"""People rule on cases: two signatures for a yes, one for a no, and the daemon believes nothing but signatures."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from issuer import history
from issuer.access import store as access
from issuer.access.operators import Signer, signer_of
from issuer.cases import people
from issuer.cases.levels import LEVELS
from issuer.cases.rules import CaseStatus
from issuer.cases.tables import Case, Check, Decision
from issuer.claims.queueing import Issuance
from issuer.claims.rules import ClaimStatus
from issuer.errors import Conflict, InvalidInput, NotAllowed, ProviderRefused, ProviderUnavailable
from issuer.ids import new_id
from issuer.providers.protocol import CheckOutcome, Hit, Outcome, Part
from issuer.reviews import store
from issuer.reviews.rules import PROPOSE, SECOND, Act, RulingStatus, Terms
from issuer.reviews.tables import Ruling
from issuer.reviews.work import ReviewWorker
from tests.integration.engine.conftest import CHAIN_ID, Engine


class Told:
    """The provider's ear."""

    def __init__(self, engine: Engine) -> None:
        self.heard: list[tuple[str, str]] = []
        self.error: Exception | None = None
        engine.persona.approve = partial(self._hear, "approve")  # type: ignore[attr-defined]
        engine.persona.decline = partial(self._hear, "decline")  # type: ignore[attr-defined]

    async def _hear(self, act: str, check_ref: str) -> None:
        if self.error is not None:
            raise self.error
        self.heard.append((act, check_ref))


class People:
    """Two operators, and the daemon's step for what they rule."""

    def __init__(self, engine: Engine, ada: Signer, ben: Signer) -> None:
        self.engine, self.ada, self.ben = engine, ada, ben
        self.told = Told(engine)
        self.worker = ReviewWorker(
            engine.db,
            {("persona", "sandbox"): engine.persona},  # type: ignore[dict-item]
            decision_keys=engine.decision_keys,
            issuance=Issuance(claim_issuers={CHAIN_ID: engine.at.claim_issuer}, data_keys=engine.data_keys),
            identities=engine.identities,
            read_again=partial(engine.cases.read_again, cause="lifted"),
            wake=lambda: None,
        )

    async def propose(self, case: Case, act: Act, reason: str, *, by: Signer | None = None, **more: object) -> Ruling:
        case = await self.engine.case(case)
        terms = Terms(id=new_id("rul"), case_id=case.id, act=act, reason=reason, seen=store.seen(case))
        terms = msgspec.structs.replace(terms, **more)
        now = datetime.now(UTC)
        async with self.engine.db.write() as session:
            return await store.propose(session, terms, terms.sign(PROPOSE, by or self.ada, now), at=now)

    async def second(self, ruling: Ruling, *, by: Signer | None = None) -> Ruling:
        now = datetime.now(UTC)
        async with self.engine.db.write() as session:
            half = store.terms_of(ruling).sign(SECOND, by or self.ben, now)
            return await store.second(session, ruling.id, half, at=now)

    async def rule(self, case: Case, act: Act, reason: str) -> Ruling:
        """Proposed, seconded where that is asked for, and applied."""
        ruling = await self.propose(case, act, reason)
        if ruling.status == RulingStatus.PROPOSED:
            await self.second(ruling)
        await self.worker.handle(ruling.id)
        await self.engine.settle()
        return await self.ruling(ruling)

    async def ruling(self, ruling: Ruling) -> Ruling:
        async with self.engine.db.read() as session:
            found = await session.get(Ruling, ruling.id)
        assert found is not None
        return found


@pytest.fixture
async def two(engine: Engine) -> People:
    async with engine.db.write() as session:
        _, ada = await access.create_operator(session, "Ada", datetime.now(UTC))
        _, ben = await access.create_operator(session, "Ben", datetime.now(UTC))
    return People(engine, signer_of(ada), signer_of(ben))


@pytest.fixture
def one_is_enough() -> Iterator[None]:
    shipped = LEVELS["basic"]
    LEVELS["basic"] = msgspec.structs.replace(shipped, review="one")
    yield
    LEVELS["basic"] = shipped


async def in_review(engine: Engine) -> Case:
    case = await engine.open_case()
    await engine.ring(case, Outcome.IN_REVIEW)
    return case


async def test_two_people_approve_a_case_and_the_claim_is_issued(engine: Engine, two: People) -> None:
    case = await in_review(engine)
    ruling = await two.propose(case, Act.APPROVE, "evidence_accepted")
    await two.worker.handle(ruling.id)  # a proposal alone does nothing
    assert (await engine.case(case)).status == CaseStatus.IN_REVIEW
    await two.second(ruling)
    await two.worker.handle(ruling.id)
    await engine.settle()
    assert (await engine.case(case)).status == CaseStatus.APPROVED
    (claim,) = await engine.claims_of(case)
    assert claim.status == ClaimStatus.CONFIRMED
    assert await engine.is_verified(case.wallet)
    assert two.told.heard == [("approve", case.check_ref)]
    ruled = await two.ruling(ruling)
    assert (ruled.status, ruled.told) == (RulingStatus.APPLIED, "told")
    await two.worker.handle(ruling.id)
    assert len(await engine.rows(Decision)) == 1  # a job run twice does nothing twice


async def test_what_the_provider_said_before_an_approval_by_people_is_older(engine: Engine, two: People) -> None:
    case = await engine.open_case()
    before = datetime.now(UTC) - timedelta(minutes=1)
    await engine.ring(case, Outcome.DECLINED, at=before)
    await two.rule(case, Act.APPROVE, "evidence_accepted")
    await engine.ring(case, Outcome.DECLINED, at=before)
    assert (await engine.case(case)).status == CaseStatus.APPROVED
    await engine.ring(case, Outcome.DECLINED, at=datetime.now(UTC) + timedelta(seconds=1))
    await engine.settle()
    assert (await engine.case(case)).status == CaseStatus.DECLINED
    assert not await engine.is_verified(case.wallet)


async def test_a_decline_by_one_person_takes_the_claim_back_and_outranks_the_provider(
    engine: Engine, two: People
) -> None:
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)
    await engine.settle()
    assert await engine.is_verified(case.wallet)
    await two.rule(case, Act.DECLINE, "watchlist_hit")
    assert not await engine.is_verified(case.wallet)
    await engine.ring(case, Outcome.APPROVED, at=datetime.now(UTC) + timedelta(minutes=5))
    await engine.settle()
    found = await engine.case(case)
    assert (found.status, found.person_ruling) == (CaseStatus.DECLINED, "declined")
    assert not await engine.is_verified(case.wallet)


@pytest.mark.parametrize("how", ["decline", "revoke"])
async def test_after_a_lift_the_providers_word_counts_again(engine: Engine, two: People, how: str) -> None:
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)
    await engine.settle()
    if how == "decline":
        await two.rule(case, Act.DECLINE, "data_mismatch")
    else:
        (claim,) = await engine.claims_of(case)
        async with engine.db.write() as session:
            await people.revoke_claim(session, claim_id=claim.id, reason="x", actor="cli", at=datetime.now(UTC))
        await engine.settle()
    assert not await engine.is_verified(case.wallet)
    await two.rule(case, Act.LIFT, "decided_in_error")
    found = await engine.case(case)
    assert (found.status, found.person_ruling) == (CaseStatus.APPROVED, None)
    assert await engine.is_verified(case.wallet)


async def test_a_lift_that_nobody_sealed_lifts_no_veto(engine: Engine, two: People) -> None:
    """Whoever takes over the API can unsay a ruling in the case, and still nothing is signed."""
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)
    await engine.settle()
    await two.rule(case, Act.DECLINE, "data_mismatch")
    async with engine.db.write() as session:
        row = await session.get(Case, case.id)
        assert row is not None
        row.person_ruling = None
        history.record(session, case_id=case.id, at=datetime.now(UTC), source="x", target="x", cause="ruling")
    await engine.ring(case, Outcome.APPROVED, at=datetime.now(UTC) + timedelta(minutes=5))
    await engine.settle()
    assert not await engine.is_verified(case.wallet)


async def test_nobody_seconds_an_own_proposal(engine: Engine, two: People) -> None:
    ruling = await two.propose(await in_review(engine), Act.APPROVE, "evidence_accepted")
    with pytest.raises(Conflict, match="four eyes"):
        await two.second(ruling, by=two.ada)


@pytest.mark.parametrize("change", [{"seconded_by": "proposed_by"}, {"status": "'ready'"}])
async def test_the_database_itself_refuses_what_only_one_person_said(
    engine: Engine, two: People, change: dict[str, str]
) -> None:
    ruling = await two.propose(await in_review(engine), Act.APPROVE, "evidence_accepted")
    values = {name: sa.text(value) for name, value in change.items()}
    with pytest.raises(IntegrityError):
        async with engine.db.write() as session:
            await session.execute(sa.update(Ruling).where(Ruling.id == ruling.id).values(values))


@pytest.mark.parametrize(
    ("forged", "refusal"),
    [
        ({"four_eyes": False, "status": "ready"}, "needs_second"),
        ({"second_signature": "00" * 64, "status": "ready"}, "not_signed"),
        ({"reason": "false_positive", "status": "ready"}, "not_signed"),
    ],
)
async def test_what_was_written_without_a_signature_is_refused(
    engine: Engine, two: People, forged: dict[str, object], refusal: str
) -> None:
    """The API's role may write rulings; what it writes is not believed."""
    case = await in_review(engine)
    ruling = await two.propose(case, Act.APPROVE, "evidence_accepted")
    seconded = {"seconded_by": two.ben.operator_id, "seconded_at": datetime.now(UTC)}
    values = forged if refusal == "needs_second" else {**seconded, "second_signature": "11" * 64, **forged}
    async with engine.db.write() as session:
        await session.execute(sa.update(Ruling).where(Ruling.id == ruling.id).values(values))
    await two.worker.handle(ruling.id)
    refused = await two.ruling(ruling)
    assert (refused.status, refused.refusal) == (RulingStatus.REFUSED, refusal)
    assert (await engine.case(case)).status == CaseStatus.IN_REVIEW
    assert await engine.claims_of(case) == []


async def test_a_revoked_operator_signs_nothing_more_and_what_was_signed_before_stands(
    engine: Engine, two: People
) -> None:
    case = await in_review(engine)
    ruling = await two.propose(case, Act.APPROVE, "evidence_accepted")
    async with engine.db.write() as session:
        await access.revoke_operator(session, two.ben.operator_id, datetime.now(UTC))
    with pytest.raises(NotAllowed, match="revoked"):
        await two.second(ruling)
    async with engine.db.write() as session:
        _, cleo = await access.create_operator(session, "Cleo", datetime.now(UTC))
        await access.revoke_operator(session, two.ada.operator_id, datetime.now(UTC))
    await two.second(ruling, by=signer_of(cleo))
    await two.worker.handle(ruling.id)
    assert (await two.ruling(ruling)).status == RulingStatus.APPLIED


async def test_a_ruling_is_about_the_case_as_it_was_looked_at(engine: Engine, two: People) -> None:
    case = await in_review(engine)
    ruling = await two.propose(case, Act.APPROVE, "evidence_accepted")
    await engine.ring(case, Outcome.IN_REVIEW, at=datetime.now(UTC) + timedelta(seconds=1))  # something new was found
    await two.second(ruling)
    await two.worker.handle(ruling.id)
    assert (await two.ruling(ruling)).refusal == "case_moved"
    assert (await engine.case(case)).status == CaseStatus.IN_REVIEW
    with pytest.raises(Conflict, match="has moved"):
        await two.propose(case, Act.APPROVE, "evidence_accepted", seen=ruling.seen)


async def test_mistakes_are_said_at_once(engine: Engine, two: People) -> None:
    case = await in_review(engine)
    with pytest.raises(InvalidInput, match="reason"):
        await two.propose(case, Act.APPROVE, "watchlist_hit")
    with pytest.raises(Conflict, match="nothing_to_lift"):
        await two.propose(case, Act.LIFT, "decided_in_error")
    await two.propose(case, Act.APPROVE, "evidence_accepted")
    with pytest.raises(Conflict, match="open ruling"):
        await two.propose(case, Act.DECLINE, "underage")
    stranger = Signer(two.ben.operator_id, two.ada._key)
    with pytest.raises(NotAllowed, match="signature"):
        await two.propose(await in_review(engine), Act.DECLINE, "underage", by=stranger)


async def test_where_one_person_is_enough_one_is(engine: Engine, two: People, one_is_enough: None) -> None:
    case = await in_review(engine)
    ruling = await two.propose(case, Act.APPROVE, "evidence_accepted")
    assert ruling.status == RulingStatus.READY
    await two.worker.sweep()  # its job was lost
    await engine.settle()
    assert await engine.is_verified(case.wallet)


async def test_a_provider_that_is_away_is_told_later_and_one_that_cannot_be_told_is_left(
    engine: Engine, two: People
) -> None:
    case = await in_review(engine)
    two.told.error = ProviderUnavailable("down")
    ruling = await two.propose(case, Act.DECLINE, "underage")
    with pytest.raises(ProviderUnavailable):
        await two.worker.handle(ruling.id)
    assert (await engine.case(case)).status == CaseStatus.DECLINED  # here it counts at once
    two.told.error = None
    await two.worker.sweep()
    assert two.told.heard == [("decline", case.check_ref)]
    other = await in_review(engine)
    two.told.error = ProviderRefused("does not offer that")
    ruling = await two.rule(other, Act.DECLINE, "underage")
    assert ruling.told == "refused"


async def test_the_queue_is_oldest_first_and_shows_what_waits_for_a_second_person(engine: Engine, two: People) -> None:
    first, middle, last = [await in_review(engine) for _ in range(3)]
    ruling = await two.propose(middle, Act.APPROVE, "evidence_accepted")
    async with engine.db.read() as session:
        everything = await store.waiting(session, limit=10)
        further = await store.waiting(session, limit=1, after=first.id)
    assert [case.id for case, _ in everything] == [first.id, middle.id, last.id]
    assert [found and found.id for _, found in everything] == [None, ruling.id, None]
    assert [case.id for case, _ in further] == [middle.id]


# ---- screening -----------------------------------------------------------------------------------------------


def finds(engine: Engine, case: Case, outcome: Outcome = Outcome.APPROVED, key: str = "rep_1@T") -> None:
    """From now on the provider shows a watchlist hit on this case."""
    engine.persona.says(case, outcome)
    assert case.check_ref is not None
    hits = (Hit(code="watchlist_hit", key=key),)
    engine.persona.readings[case.check_ref] = msgspec.structs.replace(
        engine.persona.readings[case.check_ref], hits=hits
    )


async def again(engine: Engine, case: Case) -> None:
    await engine.cases.handle_event(await engine.receive(case, "report/watchlist.matched"))
    await engine.settle()


@pytest.fixture
def hits_revoke() -> Iterator[None]:
    shipped = LEVELS["basic"]
    LEVELS["basic"] = msgspec.structs.replace(shipped, on_hit="revoke")
    yield
    LEVELS["basic"] = shipped


async def test_a_hit_before_the_decision_waits_for_two_people(engine: Engine, two: People) -> None:
    case = await engine.open_case()
    finds(engine, case)
    await again(engine, case)
    found = await engine.case(case)
    assert (found.status, found.flag) == (CaseStatus.IN_REVIEW, "watchlist_hit")
    await two.rule(case, Act.APPROVE, "false_positive")
    assert await engine.is_verified(case.wallet)
    await again(engine, case)  # the provider goes on showing it
    found = await engine.case(case)
    assert (found.status, found.flag) == (CaseStatus.APPROVED, None)


async def test_a_hit_months_later_flags_the_case_and_its_claim_stands_until_a_person_says_no(
    engine: Engine, two: People
) -> None:
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)
    await engine.settle()
    finds(engine, case)
    await again(engine, case)
    assert await engine.is_verified(case.wallet)
    async with engine.db.read() as session:
        ((waiting, _),) = await store.waiting(session, limit=5)
    assert (waiting.id, waiting.flag) == (case.id, "watchlist_hit")
    await two.rule(case, Act.CLEAR, "false_positive")
    assert (await engine.case(case)).flag is None
    assert await engine.is_verified(case.wallet)
    finds(engine, case, key="rep_1@U")  # and another find
    await again(engine, case)
    assert (await engine.case(case)).flag == "watchlist_hit"
    await two.rule(case, Act.DECLINE, "watchlist_hit")
    assert not await engine.is_verified(case.wallet)


async def test_a_decline_about_the_person_reaches_every_claim_of_the_subject(engine: Engine, two: People) -> None:
    first, second, stranger = [await engine.open_case() for _ in range(3)]
    async with engine.db.write() as session:
        row = await session.get(Case, second.id)
        assert row is not None
        row.subject_id = first.subject_id
    second = await engine.case(second)
    for case in (first, second, stranger):
        await engine.ring(case, Outcome.APPROVED)
    await engine.settle()
    await two.rule(first, Act.DECLINE, "suspected_fraud")
    verified = [await engine.is_verified(case.wallet) for case in (first, second, stranger)]
    assert verified == [False, False, True]
    assert (await engine.case(second)).person_ruling == "declined"


async def test_a_hit_that_revokes_takes_the_claim_back_until_the_provider_drops_it(
    engine: Engine, two: People, hits_revoke: None
) -> None:
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)
    await engine.settle()
    finds(engine, case)
    await again(engine, case)
    assert not await engine.is_verified(case.wallet)
    await again(engine, case)
    assert (await engine.case(case)).status == CaseStatus.DECLINED
    await engine.ring(case, Outcome.APPROVED)
    await engine.settle()
    assert await engine.is_verified(case.wallet)


async def test_a_flag_nobody_raised_is_not_cleared(engine: Engine, two: People) -> None:
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)
    with pytest.raises(Conflict, match="not_flagged"):
        await two.propose(case, Act.CLEAR, "false_positive")


async def test_verifications_are_kept_as_codes_and_follow_the_provider(engine: Engine, two: People) -> None:
    case = await engine.open_case()
    assert case.check_ref is not None
    part = Part(ref="ver_1", kind="government-id", outcome=CheckOutcome.FAILED, reasons=("id_expired_detection",))
    for outcome in (CheckOutcome.FAILED, CheckOutcome.PASSED):
        engine.persona.says(case, Outcome.SUBMITTED)
        told = msgspec.structs.replace(part, outcome=outcome, reasons=part.reasons if outcome == "failed" else ())
        reading = msgspec.structs.replace(engine.persona.readings[case.check_ref], parts=(told,))
        engine.persona.readings[case.check_ref] = reading
        await engine.cases.handle_event(await engine.receive(case))
    (row,) = await engine.rows(Check)
    assert (row.kind, row.outcome, row.reasons) == ("government-id", "passed", [])


async def test_a_wallet_is_changed_in_one_step_and_the_old_one_never_comes_back(engine: Engine, two: People) -> None:
    old, new, stranger = [await engine.open_case() for _ in range(3)]
    async with engine.db.write() as session:
        for case, replaces in ((new, old.id), (stranger, old.id)):
            row = await session.get(Case, case.id)
            assert row is not None
            row.replaces = replaces
            if case is new:
                row.subject_id = old.subject_id
    new = await engine.case(new)
    await engine.ring(old, Outcome.APPROVED)
    await engine.settle()
    await engine.ring(stranger, Outcome.APPROVED)  # it names a case of somebody else
    await engine.settle()
    assert await engine.is_verified(old.wallet)
    await engine.ring(new, Outcome.APPROVED)
    await engine.settle()
    assert [await engine.is_verified(case.wallet) for case in (old, new)] == [False, True]
    ended = await engine.case(old)
    assert (ended.status, ended.reasons) == (CaseStatus.REVOKED, ["wallet_changed"])
    await engine.ring(old, Outcome.APPROVED, at=datetime.now(UTC) + timedelta(minutes=5))
    await engine.settle()
    assert not await engine.is_verified(old.wallet)
