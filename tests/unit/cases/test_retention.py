"""How long what is kept: the end of a relationship, and what an erasure waits for."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from issuer.cases.rules import OPEN, CaseStatus
from issuer.claims.rules import ClaimStatus
from issuer.subjects.rules import LIVE, CaseEnd, ClaimEnd, Periods, ended_at, erasure

NOW = datetime(2026, 11, 26, tzinfo=UTC)
DAY = timedelta(days=1)
PERIODS = Periods(decisions=10 * DAY, logs=DAY)
moments = st.integers(-400, 400).map(lambda hours: NOW + timedelta(hours=hours))
cases = st.builds(CaseEnd, status=st.sampled_from(CaseStatus), updated_at=moments)
claims = st.builds(ClaimEnd, status=st.sampled_from(ClaimStatus), valid_until=st.none() | moments, updated_at=moments)


def case(status: CaseStatus, days: int) -> CaseEnd:
    return CaseEnd(status=status, updated_at=NOW + days * DAY)


def test_a_relationship_ends_with_its_last_claim():
    approved = case(CaseStatus.APPROVED, -100)
    stands = ClaimEnd(status=ClaimStatus.CONFIRMED, valid_until=NOW + DAY, updated_at=NOW - 100 * DAY)
    ran_out = ClaimEnd(status=ClaimStatus.CONFIRMED, valid_until=NOW - 3 * DAY, updated_at=NOW - 100 * DAY)
    assert ended_at([approved], [stands], NOW) is None
    assert ended_at([approved], [ran_out], NOW) == NOW - 3 * DAY
    assert ended_at([approved, case(CaseStatus.IN_REVIEW, -100)], [ran_out], NOW) is None
    assert ended_at([], [], NOW) is None


def test_an_erasure_says_what_it_waits_for():
    assert erasure(None, held=False, periods=PERIODS, now=NOW).waits_for == "claims_stand"
    late = erasure(NOW - 9 * DAY, held=False, periods=PERIODS, now=NOW)
    assert (late.waits_for, late.due_at) == ("retention", NOW + DAY)
    assert erasure(NOW - 10 * DAY, held=False, periods=PERIODS, now=NOW).waits_for is None
    assert erasure(NOW - 11 * DAY, held=True, periods=PERIODS, now=NOW).waits_for == "legal_hold"


@given(st.lists(cases, max_size=4), st.lists(claims, max_size=4))
def test_nothing_ends_while_something_is_open_or_stands(some: list[CaseEnd], more: list[ClaimEnd]):
    end = ended_at(some, more, NOW)
    if end is None:
        return
    assert not any(one.status in OPEN for one in some)
    assert all(one.updated_at <= end for one in (*some, *more))
    for claim in more:
        assert claim.status not in LIVE or (claim.valid_until is not None and claim.valid_until <= NOW)
