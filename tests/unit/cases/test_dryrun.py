"""What a changed policy would have decided on past approvals."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from issuer.cases.dryrun import Change, PastCase, compare
from issuer.cases.levels import LEVELS

BASIC = LEVELS["basic"]


def past(**changed: object) -> PastCase:
    values: dict[str, object] = {
        "level": "basic", "policy": BASIC.policy(), "chain_ids": (31337,), "had_hits": False, "approved_by": 0,
    }  # fmt: skip
    return PastCase(**(values | changed))  # type: ignore[arg-type]


def under(case: PastCase, **changed: object) -> set[Change]:
    return compare(case, {"basic": msgspec.structs.replace(BASIC, **changed)})


def test_each_change_has_its_name():
    assert under(past()) == {Change.SAME}
    assert compare(past(), {}) == {Change.NO_LEVEL}
    assert under(past(), topics=(*BASIC.topics, 7)) == {Change.TOPICS_ADDED}
    assert under(past(), topics=(7,)) == {Change.TOPICS_ADDED, Change.TOPICS_DROPPED}
    assert under(past(), validity_seconds=1) == {Change.SHORTER}
    assert under(past(), validity_seconds=10**9) == {Change.LONGER}
    assert under(past(), form="hosted") == {Change.FORM}
    assert under(past(), chains=(1,)) == {Change.CHAINS_DROPPED}
    assert under(past(had_hits=True)) == {Change.HIT_WAITS}
    assert under(past(had_hits=True), on_hit="revoke") == {Change.HIT_REVOKES}
    assert under(past(had_hits=True), on_hit="ignore") == {Change.SAME}
    assert under(past(provider="persona"), required={"persona": ("selfie",)}) == {Change.CHECK_MISSING}
    complete = past(provider="persona", passed=frozenset({"selfie"}))
    assert under(complete, required={"persona": ("selfie",)}) == {Change.SAME}
    assert under(past(approved_by=2, provider="persona"), required={"persona": ("selfie",)}) == {Change.SAME}
    assert under(past(), reverify_seconds=60) == {Change.SOONER}
    lasting = past(policy=msgspec.structs.replace(BASIC.policy(), reverify_seconds=60))
    assert under(lasting, reverify_seconds=61) == under(lasting) == {Change.LATER}
    assert under(past(approved_by=1)) == {Change.TWO_PEOPLE}
    assert under(past(approved_by=1), review="one") == under(past(approved_by=2)) == {Change.SAME}


@given(st.sampled_from(sorted(LEVELS)), st.integers(0, 2))
def test_the_same_file_changes_nothing_but_what_only_one_person_approved(level, people):
    case = past(level=level, policy=LEVELS[level].policy(), approved_by=people)
    assert compare(case, LEVELS) == ({Change.TWO_PEOPLE} if people == 1 else {Change.SAME})
