"""Fee arithmetic: replacements are always acceptable to a node, and never above the cap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.chain.fees import Fees, affordable, bump, opening

wei = st.integers(0, 10**13)


@given(wei, wei, wei, st.integers(1, 10**13))
def test_an_opening_stays_under_the_cap_and_is_well_formed(base: int, suggested: int, floor: int, cap: int) -> None:
    fees = opening(base_fee=base, suggested_tip=suggested, min_tip=floor, max_fee=cap)
    assert fees.tip <= fees.max_fee <= cap


@given(st.integers(0, 10**12), wei)
def test_an_opening_survives_a_doubled_base_fee(base: int, suggested: int) -> None:
    fees = opening(base_fee=base, suggested_tip=suggested, min_tip=1, max_fee=10**15)
    assert affordable(fees, 2 * base)


@pytest.mark.failure("F05")
@given(wei, wei, wei, wei, st.integers(1, 10**14))
def test_a_replacement_raises_both_by_an_eighth_or_is_not_made(
    tip: int, extra: int, base: int, suggested: int, cap: int
) -> None:
    old = Fees(max_fee=tip + extra, tip=tip)
    new = bump(old, base_fee=base, suggested_tip=suggested, max_fee=cap)
    if new is None:
        assert cap < (old.max_fee * 9 + 7) // 8 or cap < old.max_fee + 1
        return
    assert new.tip <= new.max_fee <= cap
    for before, after in ((old.tip, new.tip), (old.max_fee, new.max_fee)):
        assert after >= before + 1
        assert 8 * after >= 9 * before or after == cap


@given(st.integers(1, 10**11), st.integers(1, 10**9))
def test_repeated_replacements_reach_the_market(base: int, tip: int) -> None:
    fees = Fees(max_fee=1, tip=1)
    for _ in range(3):
        raised = bump(fees, base_fee=base, suggested_tip=tip, max_fee=10**15)
        assert raised is not None
        fees = raised
    assert affordable(fees, base)
