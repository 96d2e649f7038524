"""How a case moves: stories first, then properties over every pair of states."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.cases import rules
from issuer.cases.rules import CaseStatus, Standing, weigh
from issuer.errors import IllegalMove
from issuer.providers.protocol import CheckOutcome, Glance, Hit, Outcome, Part, Reading

T0 = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LATER = T0 + timedelta(minutes=5)


def standing(status: CaseStatus, **changes: object) -> Standing:
    values: dict[str, object] = {
        "status": status,
        "check_ref": "inq_1",
        "reference": "sub_1",
        "template": "itmpl_1",
        "environment": "sandbox",
        "evidence_at": T0,
        "person_ruling": None,
    }
    return Standing(**(values | changes))  # type: ignore[arg-type]


def reading(outcome: Outcome, **changes: object) -> Reading:
    values: dict[str, object] = {
        "check_ref": "inq_1",
        "outcome": outcome,
        "status": outcome.value,
        "reference": "sub_1",
        "template": "itmpl_1",
        "environment": "sandbox",
        "evidence_at": LATER,
        "decided_at": LATER,
        "redacted": False,
        "read_at": LATER,
    }
    return Reading(**(values | changes))  # type: ignore[arg-type]


def test_completed_is_not_approval() -> None:
    verdict = weigh(standing(CaseStatus.STARTED), reading(Outcome.SUBMITTED))
    assert verdict.target is CaseStatus.SUBMITTED


def test_an_approval_may_overtake_completed() -> None:
    assert weigh(standing(CaseStatus.CREATED), reading(Outcome.APPROVED)).target is CaseStatus.APPROVED


def test_a_late_completed_changes_no_approval() -> None:
    assert weigh(standing(CaseStatus.APPROVED), reading(Outcome.SUBMITTED)).outcome == "not_a_move"


@pytest.mark.parametrize("late", [Outcome.EXPIRED, Outcome.FAILED, Outcome.IN_REVIEW, Outcome.STARTED, Outcome.CREATED])
def test_nothing_but_a_decline_lowers_an_approval(late: Outcome) -> None:
    assert weigh(standing(CaseStatus.APPROVED), reading(late)).target is None


def test_a_later_decline_takes_an_approval_back_and_a_later_approval_restores_it() -> None:
    assert weigh(standing(CaseStatus.APPROVED), reading(Outcome.DECLINED)).target is CaseStatus.DECLINED
    assert weigh(standing(CaseStatus.DECLINED), reading(Outcome.APPROVED)).target is CaseStatus.APPROVED


def test_older_evidence_never_wins() -> None:
    old = reading(Outcome.APPROVED, evidence_at=T0 - timedelta(seconds=1))
    assert weigh(standing(CaseStatus.DECLINED), old).outcome == "older_evidence"


def test_evidence_of_the_same_second_counts_because_it_was_just_read() -> None:
    assert weigh(standing(CaseStatus.APPROVED), reading(Outcome.DECLINED, evidence_at=T0)).target is CaseStatus.DECLINED


def test_an_expired_check_may_be_decided_or_resumed() -> None:
    for outcome in (Outcome.APPROVED, Outcome.DECLINED, Outcome.IN_REVIEW, Outcome.STARTED):
        assert weigh(standing(CaseStatus.EXPIRED), reading(outcome)).outcome == "moved"


def test_an_unknown_status_moves_nothing() -> None:
    assert weigh(standing(CaseStatus.SUBMITTED), reading(Outcome.UNKNOWN)).outcome == "unknown_status"


def test_a_redacted_record_approves_nobody_and_forbids_new_claims() -> None:
    verdict = weigh(standing(CaseStatus.SUBMITTED), reading(Outcome.APPROVED, redacted=True))
    assert (verdict.outcome, verdict.target, verdict.forbid_issue) == ("redacted", None, True)


def test_a_persons_ruling_stands_against_every_reading() -> None:
    for outcome in Outcome:
        if outcome is not Outcome.UNKNOWN:
            verdict = weigh(standing(CaseStatus.REVOKED, person_ruling="revoked"), reading(outcome))
            assert verdict.outcome == "person_ruled"


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"check_ref": "inq_2"}, "other_check"),
        ({"reference": "sub_2"}, "other_reference"),
        ({"reference": None}, "other_reference"),
        ({"template": "itmpl_2"}, "other_template"),
        ({"template": None}, "other_template"),
        ({"environment": "production"}, "other_environment"),
    ],
)
def test_an_answer_about_something_else_is_nobodys_evidence(change: dict[str, object], outcome: str) -> None:
    verdict = weigh(standing(CaseStatus.SUBMITTED), reading(Outcome.APPROVED, **change))
    assert (verdict.target, verdict.outcome) == (None, outcome)


@given(st.sampled_from(CaseStatus), st.sampled_from(CaseStatus))
def test_move_and_the_table_agree(source: CaseStatus, target: CaseStatus) -> None:
    if target in rules.MOVES[source]:
        assert rules.move(source, target) is target
    else:
        with pytest.raises(IllegalMove):
            rules.move(source, target)


@given(st.sampled_from(CaseStatus), st.sampled_from(Outcome), st.timedeltas(timedelta(hours=-1), timedelta(hours=1)))
def test_a_verdict_is_always_a_legal_move(status: CaseStatus, outcome: Outcome, shift: timedelta) -> None:
    verdict = weigh(standing(status), reading(outcome, evidence_at=T0 + shift))
    assert verdict.target is None or verdict.target in rules.MOVES[status]
    assert (verdict.outcome == "moved") is (verdict.target is not None)


@given(st.lists(st.tuples(st.sampled_from(Outcome), st.integers(0, 20)), max_size=12))
def test_whatever_the_order_the_end_is_decided_by_evidence_not_by_arrival(steps: list[tuple[Outcome, int]]) -> None:
    """Play readings in any order: an approval that stands at the end is never older than a decline that was applied."""
    status, evidence_at, applied = CaseStatus.CREATED, T0, []
    for outcome, second in steps:
        at = T0 + timedelta(seconds=second)
        verdict = weigh(standing(status, evidence_at=evidence_at), reading(outcome, evidence_at=at))
        if verdict.outcome in ("moved", "no_change"):
            evidence_at = max(evidence_at, at)
        if verdict.target is not None:
            status = verdict.target
            applied.append((at, status))
    declines = [at for at, applied_status in applied if applied_status is CaseStatus.DECLINED]
    if status is CaseStatus.APPROVED and declines:
        approvals = [at for at, applied_status in applied if applied_status is CaseStatus.APPROVED]
        assert approvals[-1] >= max(declines)


def test_every_status_has_a_summary_and_every_outcome_but_unknown_a_status() -> None:
    assert set(rules.SUMMARIES) == set(CaseStatus)
    assert set(rules.STATUS_OF) == set(Outcome) - {Outcome.UNKNOWN}


# ---- screening -----------------------------------------------------------------------------------------------

HIT = Hit(code="watchlist_hit", key="rep_1@T")


def test_a_hit_keeps_an_approval_from_being_made() -> None:
    verdict = weigh(standing(CaseStatus.STARTED), reading(Outcome.APPROVED, hits=(HIT,)))
    assert (verdict.target, verdict.hits) == (CaseStatus.IN_REVIEW, (HIT,))


def test_a_hit_on_an_approval_takes_nothing_back_and_is_named_once() -> None:
    approved = reading(Outcome.APPROVED, hits=(HIT,))
    first = weigh(standing(CaseStatus.APPROVED), approved)
    assert (first.target, first.hits) == (None, (HIT,))
    again = weigh(standing(CaseStatus.APPROVED, hits=frozenset({HIT.key})), approved)
    assert (again.outcome, again.hits) == ("no_change", ())


def test_a_flag_waits_for_a_person_even_when_the_provider_has_dropped_the_hit() -> None:
    flagged = standing(CaseStatus.IN_REVIEW, hits=frozenset({HIT.key}), flag=HIT.code)
    assert weigh(flagged, reading(Outcome.APPROVED)).outcome == "no_change"


def test_a_new_hit_is_seen_though_the_decision_is_older_than_a_persons() -> None:
    verdict = weigh(
        standing(CaseStatus.APPROVED, evidence_at=LATER), reading(Outcome.APPROVED, evidence_at=T0, hits=(HIT,))
    )
    assert (verdict.outcome, verdict.hits) == ("older_evidence", (HIT,))


def test_a_hit_that_revokes_is_a_decline_for_as_long_as_it_is_shown() -> None:
    shown = reading(Outcome.APPROVED, hits=(HIT,))
    assert weigh(standing(CaseStatus.APPROVED), shown, "revoke").target is CaseStatus.DECLINED
    known = standing(CaseStatus.DECLINED, hits=frozenset({HIT.key}))
    assert weigh(known, shown, "revoke").outcome == "no_change"
    assert weigh(known, reading(Outcome.APPROVED), "revoke").target is CaseStatus.APPROVED


@given(status=st.sampled_from(CaseStatus), outcome=st.sampled_from(Outcome))
def test_a_hit_never_leads_to_an_approval_unless_it_is_ignored(status: CaseStatus, outcome: Outcome) -> None:
    found = reading(outcome, hits=(HIT,))
    assert weigh(standing(status), found).target is not CaseStatus.APPROVED
    assert weigh(standing(status), found, "revoke").target is not CaseStatus.APPROVED
    assert weigh(standing(status), found, "ignore").target is weigh(standing(status), reading(outcome)).target


# ---- required verifications ----------------------------------------------------------------------------------

REQUIRED = frozenset({"government-id", "selfie"})


def parts(**found: CheckOutcome) -> tuple[Part, ...]:
    return tuple(
        Part(ref=f"ver_{kind}", kind=kind.replace("_", "-"), outcome=outcome) for kind, outcome in found.items()
    )


def test_an_approval_that_lacks_a_required_verification_waits() -> None:
    passed = parts(government_id=CheckOutcome.PASSED)
    verdict = weigh(standing(CaseStatus.STARTED), reading(Outcome.APPROVED, parts=passed), "review", REQUIRED)
    assert (verdict.target, verdict.doubts) == (CaseStatus.IN_REVIEW, ("required_check_missing",))


def test_it_goes_on_by_itself_once_the_provider_has_it() -> None:
    passed = parts(government_id=CheckOutcome.PASSED, selfie=CheckOutcome.PASSED)
    whole = reading(Outcome.APPROVED, parts=passed)
    assert weigh(standing(CaseStatus.IN_REVIEW), whole, "review", REQUIRED).target is CaseStatus.APPROVED


def test_what_is_missing_takes_no_approval_back() -> None:
    verdict = weigh(standing(CaseStatus.APPROVED), reading(Outcome.APPROVED), "review", REQUIRED)
    assert (verdict.outcome, verdict.doubts) == ("no_change", ())


def test_one_wallet_too_many_of_a_person_waits() -> None:
    verdict = weigh(standing(CaseStatus.STARTED, crowded=True), reading(Outcome.APPROVED))
    assert (verdict.target, verdict.doubts) == (CaseStatus.IN_REVIEW, ("duplicate_person",))
    assert weigh(standing(CaseStatus.APPROVED, crowded=True), reading(Outcome.APPROVED)).outcome == "no_change"


@given(
    status=st.sampled_from(sorted(set(CaseStatus) - {CaseStatus.APPROVED})),
    outcome=st.sampled_from(Outcome),
    selfie=st.sampled_from(sorted(set(CheckOutcome) - {CheckOutcome.PASSED})),
)
def test_nothing_is_approved_while_a_required_verification_has_not_passed(
    status: CaseStatus, outcome: Outcome, selfie: CheckOutcome
) -> None:
    found = parts(government_id=CheckOutcome.PASSED, selfie=selfie)
    verdict = weigh(standing(status), reading(outcome, parts=found), "ignore", REQUIRED)
    assert verdict.target is not CaseStatus.APPROVED


# ---- the expiry clock ----------------------------------------------------------------------------------------

DAY = timedelta(days=1)


def overdue(status: CaseStatus, after: timedelta, evidence_at: datetime | None = None, days: int | None = 30) -> bool:
    return rules.is_overdue(status, T0, evidence_at, None if days is None else days * 86_400, T0 + after)


def test_an_unfinished_check_runs_out_at_its_day_and_not_before() -> None:
    assert not overdue(CaseStatus.STARTED, 30 * DAY - timedelta(seconds=1))
    assert overdue(CaseStatus.STARTED, 30 * DAY)


def test_whoever_comes_back_is_given_the_time_again() -> None:
    assert not overdue(CaseStatus.STARTED, 40 * DAY, evidence_at=T0 + 20 * DAY)
    assert overdue(CaseStatus.STARTED, 50 * DAY, evidence_at=T0 + 20 * DAY)


@given(status=st.sampled_from(CaseStatus), days=st.integers(0, 10_000))
def test_the_clock_ends_only_what_a_person_has_not_finished(status: CaseStatus, days: int) -> None:
    if overdue(status, days * DAY):
        assert status in {CaseStatus.CREATED, CaseStatus.STARTED}
        assert CaseStatus.EXPIRED in rules.MOVES[status]
    assert not overdue(status, days * DAY, days=None)


# ---- what is worth reading -----------------------------------------------------------------------------------


@given(
    status=st.sampled_from(CaseStatus),
    outcome=st.sampled_from(Outcome),
    shift=st.timedeltas(timedelta(days=-1), timedelta(days=1)),
)
def test_whatever_a_reading_would_move_is_worth_reading(status: CaseStatus, outcome: Outcome, shift: timedelta) -> None:
    """A list shows the outcome and the time of a check; nothing that they could lead to may be passed over."""
    verdict = weigh(standing(status), reading(outcome, evidence_at=T0 + shift))
    worth = rules.is_worth_reading(status, T0, Glance(outcome=outcome, changed_at=T0 + shift))
    assert worth or verdict.target is None


def test_a_check_that_no_list_shows_or_nobody_has_read_is_worth_reading() -> None:
    glance = Glance(outcome=Outcome.STARTED, changed_at=T0)
    assert rules.is_worth_reading(CaseStatus.STARTED, T0, None)
    assert rules.is_worth_reading(CaseStatus.STARTED, None, glance)
    assert not rules.is_worth_reading(CaseStatus.STARTED, T0, glance)
