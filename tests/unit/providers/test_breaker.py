"""When a provider is left alone, and when it is asked again."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.errors import ProviderNotFound, ProviderUnavailable
from issuer.providers.breaker import FAILURES, LONGEST_PAUSE, PAUSE_SECONDS, Breaker, Guarded
from tests.fakes import FakeProvider


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def fetch(guarded: Guarded) -> None:
    with pytest.raises(ProviderNotFound):
        await guarded.fetch("inq_unknown")


async def fail(guarded: Guarded, inner: FakeProvider, **more: object) -> ProviderUnavailable:
    inner.failures.append(ProviderUnavailable("down", **more))  # type: ignore[arg-type]
    with pytest.raises(ProviderUnavailable) as raised:
        await guarded.fetch("inq_unknown")
    return raised.value


async def test_after_five_silences_it_is_left_alone_and_then_asked_once():
    clock, inner = Clock(), FakeProvider()
    guarded = Guarded(inner, clock=clock)
    for _ in range(FAILURES):
        assert not guarded.is_out
        await fail(guarded, inner)
    assert guarded.is_out
    with pytest.raises(ProviderUnavailable, match="left alone") as raised:
        await guarded.fetch("inq_unknown")
    assert raised.value.retry_after == PAUSE_SECONDS
    clock.now += PAUSE_SECONDS
    assert not guarded.is_out
    await fail(guarded, inner)  # still down: one call was enough to see it
    assert guarded.is_out
    clock.now += PAUSE_SECONDS
    await fetch(guarded)  # it answers, if only with a no
    assert not guarded.is_out
    for _ in range(FAILURES - 1):
        await fail(guarded, inner)
    assert not guarded.is_out


async def test_while_one_call_looks_whether_it_is_back_no_other_goes_out():
    clock, inner = Clock(), FakeProvider()
    guarded = Guarded(inner, clock=clock)
    for _ in range(FAILURES):
        await fail(guarded, inner)
    clock.now += PAUSE_SECONDS
    asked = 0

    async def slow(check_ref: str) -> None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        raise ProviderNotFound("no")

    inner.fetch = slow  # type: ignore[method-assign, assignment]
    answers = await asyncio.gather(*(guarded.fetch("x") for _ in range(5)), return_exceptions=True)
    assert asked == 1
    assert sorted(type(answer).__name__ for answer in answers) == ["ProviderNotFound", *["ProviderUnavailable"] * 4]


async def test_one_that_asks_us_to_wait_twice_is_left_alone_for_as_long_as_it_says():
    clock, inner = Clock(), FakeProvider()
    guarded = Guarded(inner, clock=clock)
    await fail(guarded, inner, status=429, retry_after=7.0)
    assert not guarded.is_out
    await fail(guarded, inner, status=429, retry_after=7.0)
    assert guarded.is_out
    clock.now += 7
    assert not guarded.is_out
    await fail(guarded, inner, status=429, retry_after=3600.0)
    clock.now += LONGEST_PAUSE
    assert not guarded.is_out


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 20)), max_size=40))
def test_it_is_never_shut_for_longer_than_a_pause(story):
    breaker, now = Breaker(), 0.0
    for answers, later in story:
        now += later
        if breaker.wait(now) > 0:
            assert breaker.wait(now + PAUSE_SECONDS) == 0
            continue
        breaker.tried(now)
        if answers:
            breaker.answered()
            assert not breaker.is_open
        else:
            breaker.failed(now)
