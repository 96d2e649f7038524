"""Lanes, holds and chains: who takes what, and what keeps a transaction from being signed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.chain import rules
from issuer.chain.fees import Fees, Purse, bump_due, market_tip, refusal
from issuer.chain.rules import Hold, Purpose, Share, TxStatus
from issuer.errors import IllegalMove

wei = st.integers(0, 10**21)
addresses = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())


@given(addresses, st.integers(0, 2**256 - 1).map(str), st.integers(1, 50))
def test_exactly_one_lane_takes_a_claim_and_always_the_same(identity: str, topic: str, count: int) -> None:
    shard = rules.shard(identity, topic)
    assert 0 <= shard < rules.SHARDS
    assert shard == rules.shard(identity.upper().replace("0X", "0x"), topic)
    assert sum(Share(index, count).takes(shard) for index in range(count)) == 1


def test_shards_are_spread_evenly() -> None:
    taken = [rules.shard(f"0x{number:040x}", "1") % 4 for number in range(4000)]
    assert all(900 < taken.count(lane) < 1100 for lane in range(4))


@pytest.mark.parametrize("source", TxStatus)
@pytest.mark.parametrize("target", TxStatus)
def test_what_is_final_or_dead_stays_so(source: TxStatus, target: TxStatus) -> None:
    if target in rules.MOVES[source]:
        assert rules.move(source, target) == target
        assert source in rules.OPEN
    else:
        with pytest.raises(IllegalMove):
            rules.move(source, target)


def test_only_a_doubtful_nonce_holds_a_revocation_back() -> None:
    held_back = {hold for hold in Hold if rules.blocks(hold, Purpose.REVOKE)}
    assert held_back == {Hold.NONCE_USED, Hold.NONCE_AHEAD}
    assert rules.blocks(Hold.FEE_CAP, Purpose.ISSUE)
    assert not rules.blocks(None, Purpose.ISSUE)


@st.composite
def purses(draw: st.DrawFn) -> Purse:
    return Purse(
        balance=draw(wei),
        committed=draw(wei),
        reserve=draw(wei),
        reserve_balance=draw(st.none() | wei),
        spent=draw(wei),
        daily_cap=draw(st.none() | wei),
    )


@given(purses(), wei)
def test_what_is_signed_can_be_paid_for_and_leaves_the_reserve(purse: Purse, cost: int) -> None:
    left = purse.balance - purse.committed - cost
    urgent, issue = refusal(purse, cost, Purpose.REVOKE), refusal(purse, cost, Purpose.ISSUE)
    assert (urgent is None) == (left >= 0)
    assert issue is None or purse.reserve or purse.daily_cap is not None or urgent is Hold.BALANCE
    if issue is None:
        assert urgent is None
        assert (left if purse.reserve_balance is None else purse.reserve_balance) >= purse.reserve
        assert purse.daily_cap is None or purse.spent + purse.committed + cost <= purse.daily_cap


@given(purses(), wei, wei)
def test_a_dearer_transaction_is_never_allowed_where_a_cheaper_one_is_not(purse: Purse, cost: int, more: int) -> None:
    if refusal(purse, cost, Purpose.ISSUE) is not None:
        assert refusal(purse, cost + more, Purpose.ISSUE) is not None


@given(st.lists(wei), wei, wei)
def test_a_tip_stays_within_the_bounds_of_the_chain(rewards: list[int], low: int, more: int) -> None:
    assert low <= market_tip(rewards, min_tip=low, max_tip=low + more) <= low + more


@pytest.mark.parametrize(
    ("max_fee", "waited", "attempts", "no_mempool", "due"),
    [
        (9, 0, 1, False, True),  # it cannot enter: at once
        (9, 0, 1, True, True),
        (10, 59, 1, False, False),
        (10, 60, 1, False, True),
        (10, 60, 2, False, False),  # each wait is twice as long as the one before
        (10, 120, 2, False, True),
        (10, 10**6, 1, True, False),  # a sequencer is not impressed
    ],
)
def test_when_more_is_offered(max_fee: int, waited: float, attempts: int, no_mempool: bool, due: bool) -> None:
    fees = Fees(max_fee=max_fee, tip=1)
    assert due is bump_due(fees, base_fee=10, attempts=attempts, waited=waited, first=60, no_mempool=no_mempool)


def test_every_known_chain_is_sound() -> None:
    for profile in (rules.LOCAL, rules.LIVE, *rules.PROFILES.values()):
        assert profile.depth >= 1
        assert 0 <= profile.min_tip <= profile.max_tip <= profile.max_fee
        assert profile.poll_seconds <= profile.resend_seconds <= profile.lag_seconds
    assert not rules.LOCAL.uses_finalized
    assert rules.profile(1).uses_finalized
    assert rules.profile(1, depth=5).depth == 5
    assert not rules.profile(1, depth=5).uses_finalized
    assert rules.profile(987654321) is rules.LIVE
