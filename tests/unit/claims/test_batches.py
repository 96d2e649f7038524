"""What leaves together, and when."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from issuer.chain import contracts
from issuer.claims.batches import (
    FOREIGN,
    LEAST_WAVE,
    LONG_STEP_SECONDS,
    WAVE,
    Prepared,
    capacity,
    gas,
    kind_of,
    leaving,
    next_wave,
)
from issuer.claims.rules import HOSTED, SIGNED
from tests import factories

BLOCK = timedelta(seconds=12)


def claims(count: int, kind: str = SIGNED, topic: str = "7"):
    return [of_kind(f"clm_{kind}{topic}{number}", kind, topic) for number in range(count)]


def of_kind(claim_id: str, kind: str, topic: str):
    form, foreign = (SIGNED, True) if kind == FOREIGN else (kind, False)
    return factories.claim("case_1", "dec_1", id=claim_id, form=form, foreign=foreign, topic=topic)


def sizes(batches):
    return [len(batch) for batch in batches]


def leave(rows, *, most=10, since=None, queued=0.0, more=False):
    """`since`: seconds since the newest unmined transaction was made; `queued`: how long these have waited."""
    now = factories.NOW + timedelta(seconds=queued)  # which all of them were queued at
    newest_at = None if since is None else now - timedelta(seconds=since)
    return sizes(leaving(rows, most=most, now=now, newest_at=newest_at, block=BLOCK, more=more))


def test_a_lone_claim_leaves_at_once_on_an_idle_lane():
    assert leave(claims(1)) == [1]


def test_behind_an_unmined_one_it_waits_for_a_block_and_no_longer():
    assert leave(claims(1), since=11.9) == []
    assert leave(claims(1), since=12.0) == [1]


def test_one_that_has_waited_for_a_block_leaves_however_new_what_left_before_it_is():
    assert leave(claims(1), since=0.0, queued=11.9) == []
    assert leave(claims(1), since=0.0, queued=12.0) == [1]


def test_full_ones_leave_at_once_whatever_is_unmined():
    assert leave(claims(25), since=0.0) == [10, 10]


def test_on_an_idle_lane_the_rest_leaves_too_unless_more_is_waiting():
    assert leave(claims(25)) == [10, 10, 5]
    assert leave(claims(25), more=True) == [10, 10]
    assert leave(claims(25), more=True, since=0.0, queued=99.0) == [10, 10]
    assert leave(claims(5), more=True) == [5]


def test_a_flood_of_one_kind_keeps_no_other_from_leaving():
    flood = claims(25, HOSTED) + claims(1, HOSTED, topic="8")
    assert leave(flood, more=True, since=0.0, queued=11.9) == [10, 10]
    assert leave(flood, more=True, since=0.0, queued=12.0) == [10, 10, 1]


@settings(deadline=None)  # the first one works out how much fits
@given(
    st.lists(st.tuples(st.sampled_from([SIGNED, HOSTED, FOREIGN]), st.sampled_from(["7", "8"])), max_size=60),
    st.integers(1, 40),
)
def test_every_claim_leaves_once_in_order_and_with_its_own_kind(kinds, most):
    rows = [of_kind(f"clm_{number:04}", kind, topic) for number, (kind, topic) in enumerate(kinds)]
    batches = leaving(rows, most=most, now=factories.NOW, newest_at=None, block=BLOCK)
    assert sorted(row.id for batch in batches for row in batch) == [row.id for row in rows]
    for batch in batches:
        assert len({(kind_of(row), row.topic if row.form == HOSTED else "") for row in batch}) == 1
        assert [row.id for row in batch] == sorted(row.id for row in batch)
        assert len(batch) <= most


@pytest.mark.parametrize(("kind", "least"), [(SIGNED, 28), (HOSTED, 100), (FOREIGN, 30)])
def test_a_full_transaction_is_full_and_fits(kind, least):
    size = capacity(kind)
    assert size >= least
    prepared = [Prepared(claim=row, word=b"\xff" * 32, signature=b"\xff" * 64) for row in claims(size + 1, kind)]

    def needed(count):
        if kind == FOREIGN:
            return gas(prepared[:count], contracts.add_claims_to([each.addition() for each in prepared[:count]]))
        if kind == HOSTED:
            leave = contracts.Authorization(nonce=2**256 - 1, deadline=2**64, signature=b"\xff" * 64)
            return gas(
                prepared[:count], contracts.onboard_hosted(7, [each.hosted() for each in prepared[:count]], leave)
            )
        return gas(prepared[:count], contracts.onboard([each.onboarding() for each in prepared[:count]]))

    assert needed(size) <= contracts.MAX_TRANSACTION_GAS
    assert needed(size + 1) > contracts.MAX_TRANSACTION_GAS * 0.99


def test_slow_steps_take_smaller_bites_and_quick_ones_larger():
    wave = WAVE
    for _ in range(10):
        wave = next_wave(wave, LONG_STEP_SECONDS * 2)
    assert wave == LEAST_WAVE
    assert next_wave(wave, LONG_STEP_SECONDS / 2) == LEAST_WAVE
    for _ in range(10):
        wave = next_wave(wave, 0.01)
    assert wave == WAVE
