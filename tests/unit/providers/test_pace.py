"""Slowing down before a rate limit: stories, then what always holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.providers.pace import LONGEST, Pace


def told(limit: object, remaining: object, reset: object) -> dict[str, str]:
    return {"ratelimit-limit": str(limit), "ratelimit-remaining": str(remaining), "ratelimit-reset": str(reset)}


def test_nothing_waits_while_there_is_plenty():
    pace = Pace()
    assert pace.wait(0) == 0
    pace.answered(told(300, 45, 30), 0)  # exactly 15 %
    assert [pace.wait(0), pace.wait(0)] == [0, 0]


def test_what_is_left_is_spread_over_the_rest_of_the_window():
    pace = Pace()
    pace.answered(told(300, 40, 20), 100)
    assert [pace.wait(100), pace.wait(100), pace.wait(100)] == [0, 0.5, 1.0]
    assert pace.wait(101.5) == 0


def test_one_call_waits_two_seconds_at_most_and_the_window_ends():
    pace = Pace()
    pace.answered(told(300, 0, 30), 0)
    assert [pace.wait(0), pace.wait(0), pace.wait(0)] == [0, LONGEST, LONGEST]
    assert pace.wait(30) == 0


def test_a_new_window_is_believed_at_once():
    pace = Pace()
    pace.answered(told(300, 1, 30), 0)
    pace.answered(told(300, 299, 60), 1)
    assert [pace.wait(1), pace.wait(1)] == [0, 0]


@pytest.mark.parametrize("odd", [{}, told("", 1, 1), told(300, -1, 1), told(300, "1.5", 1), told("9" * 20, 1, 1)])
def test_headers_that_say_nothing_change_nothing(odd):
    pace = Pace()
    pace.answered(told(300, 1, 30), 0)
    pace.answered(odd, 1)
    pace.wait(1)
    assert pace.wait(1) == LONGEST


@given(
    answers=st.lists(st.tuples(*[st.integers(0, 10**9)] * 3), max_size=5),
    steps=st.lists(st.floats(0, 5), min_size=1, max_size=30),
)
def test_no_wait_is_negative_or_longer_than_the_longest(answers, steps):
    pace, now = Pace(), 0.0
    for place, step in enumerate(steps):
        now += step
        if place < len(answers):
            pace.answered(told(*answers[place]), now)
        assert 0 <= pace.wait(now) <= LONGEST
