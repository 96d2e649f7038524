"""The comparison of chain, database and provider, as functions of values."""

import random
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.claims.rules import ClaimStatus
from issuer.reconcile.rules import (
    Code,
    Judged,
    Nonces,
    OnChain,
    Stored,
    compare,
    compare_cases,
    compare_claims,
    compare_nonces,
)

S = ClaimStatus
A, B = "0xA", "0xB"
NOW = 1_000
WORD, OTHER = "0x01", "0x02"


def chain(identity: str = A, **more: object) -> OnChain:
    return OnChain(**{"identity": identity, "topic": "1", "epoch": 0, "shown": WORD, "valid": True} | more)  # type: ignore[arg-type]


def row(status: ClaimStatus = S.CONFIRMED, identity: str = A, **more: object) -> Stored:
    values = {
        "id": f"clm_{identity}",
        "case_id": "case_1",
        "identity": identity,
        "topic": "1",
        "word": WORD,
        "epoch": 0,
    }
    return Stored(status=status, **values | more)  # type: ignore[arg-type]


def codes(seen: OnChain, *rows: Stored) -> list[Code]:
    return [finding.code for finding in compare_claims([seen], rows, now=NOW)]


ABSENT = {"shown": None, "valid": False}


@pytest.mark.parametrize(
    ("seen", "stored", "expected"),
    [
        (chain(), [row()], []),
        (chain(**ABSENT), [row()], [Code.MISSING_ON_CHAIN]),
        (chain(**ABSENT, removed=True), [row()], [Code.REMOVED_BY_HOLDER]),
        (chain(**ABSENT, removed=True), [row(S.REMOVED)], []),
        (chain(), [row(S.REMOVED)], [Code.PUT_BACK_BY_HOLDER]),
        (chain(epoch=1, valid=False), [row()], [Code.EPOCH_AHEAD]),
        (chain(epoch=1, valid=False), [row(S.REVOKED)], []),
        (chain(epoch=1, valid=False), [row(S.REVOKING)], [Code.STALE_STATUS]),
        (chain(epoch=0, valid=True), [row(S.REVOKING)], []),
        (chain(epoch=0, **ABSENT), [row(S.REVOKED)], [Code.REVOCATION_MISSING]),
        (chain(valid=False), [row()], [Code.NOT_VALID]),
        (chain(valid=False), [row(valid_until=NOW)], []),
        (chain(**ABSENT), [row(valid_until=NOW)], []),
        (chain(shown=OTHER), [row()], [Code.UNKNOWN_ON_CHAIN, Code.OTHER_CLAIM_SHOWN]),
        (chain(shown=OTHER), [row(), row(S.SUPERSEDED, word=OTHER, id="clm_0")], [Code.OTHER_CLAIM_SHOWN]),
        (chain(shown=OTHER, valid=False), [row()], [Code.MISSING_ON_CHAIN]),
        (chain(), [], [Code.UNKNOWN_ON_CHAIN]),
        (chain(valid=False), [], []),  # anybody can show anything; only what we vouch for counts
        (chain(), [row(S.FAILED)], [Code.STALE_STATUS]),
        (chain(**ABSENT), [row(S.FAILED)], []),
        (chain(**ABSENT), [row(S.QUEUED, word=None, epoch=None)], []),
        (chain(**ABSENT, readable=False), [row()], [Code.UNREADABLE]),
        (chain(**ABSENT, readable=False), [row(status=S.REVOKED)], [Code.REVOCATION_MISSING]),
        (chain(**ABSENT | {"epoch": 1}, readable=False), [row(status=S.REVOKED)], []),
        (chain(**ABSENT | {"epoch": 1}, readable=False), [row(status=S.REVOKING)], [Code.STALE_STATUS]),
        (chain(**ABSENT, settled=False), [row()], []),
        (chain(**ABSENT), [row(S.SIGNED, pending=True)], []),
        (chain(), [row(S.SIGNED, pending=True)], [Code.STALE_STATUS]),
        (chain(shown="0x03"), [row(), row(S.SIGNED, id="clm_2", word=OTHER, pending=True)], [Code.UNKNOWN_ON_CHAIN]),
        (chain(shown=OTHER), [row(), row(S.MINED, id="clm_2", word=OTHER, pending=True)], [Code.STALE_STATUS]),
    ],
)
def test_one_key(seen: OnChain, stored: list[Stored], expected: list[Code]) -> None:
    assert codes(seen, *stored) == expected


def test_a_claim_of_a_key_that_was_not_looked_at_is_left_alone() -> None:
    assert compare_claims([chain(A)], [row(identity=A), row(identity=B)], now=NOW) == []


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (Judged(case_id="1", approved=True, served=True), []),
        (Judged(case_id="1", approved=True, served=False), [Code.CLAIM_MISSING]),
        (Judged(case_id="1", approved=False, served=False), []),
        (Judged(case_id="1", approved=True, served=True, provider=False), [Code.PROVIDER_DISAGREES]),
        (Judged(case_id="1", approved=False, served=False, provider=True), [Code.PROVIDER_DISAGREES]),
        (Judged(case_id="1", approved=True, served=True, provider=True), []),
    ],
)
def test_one_case(case: Judged, expected: list[Code]) -> None:
    assert [finding.code for finding in compare_cases([case])] == expected


ON_CHAIN = st.builds(
    OnChain,
    identity=st.sampled_from([A, B]),
    topic=st.just("1"),
    epoch=st.integers(0, 2),
    shown=st.sampled_from([None, WORD, OTHER, "0x03"]),
    valid=st.booleans(),
    removed=st.booleans(),
    settled=st.booleans(),
    readable=st.booleans(),
)
ROWS = st.builds(
    Stored,
    id=st.uuids().map(str),
    case_id=st.sampled_from(["case_1", "case_2"]),
    identity=st.sampled_from([A, B]),
    topic=st.just("1"),
    status=st.sampled_from(list(ClaimStatus)),
    word=st.sampled_from([None, WORD, OTHER]),
    epoch=st.sampled_from([None, 0, 1]),
    valid_until=st.sampled_from([None, NOW - 1, NOW + 1]),
    pending=st.booleans(),
)
CASES = st.builds(
    Judged,
    case_id=st.uuids().map(str),
    approved=st.booleans(),
    served=st.booleans(),
    provider=st.sampled_from([None, True, False]),
)


@given(
    st.lists(ON_CHAIN, max_size=2, unique_by=lambda seen: seen.identity),
    st.lists(ROWS, max_size=5),
    st.lists(CASES, max_size=3),
    st.randoms(use_true_random=False),
)
def test_the_order_of_what_is_compared_changes_nothing(
    seen: list[OnChain], rows: list[Stored], cases: list[Judged], order: random.Random
) -> None:
    findings = compare(seen, rows, cases, now=NOW)
    for values in (seen, rows, cases):
        order.shuffle(values)
    assert compare(seen, rows, cases, now=NOW) == findings


@given(ON_CHAIN, st.lists(ROWS, max_size=4))
def test_whatever_we_vouch_for_and_do_not_know_is_always_told(seen: OnChain, rows: list[Stored]) -> None:
    known = {one.word for one in rows if one.identity == seen.identity}
    told = Code.UNKNOWN_ON_CHAIN in codes(seen, *rows)
    assert told == (seen.settled and seen.readable and seen.valid and seen.shown not in known)


@given(ON_CHAIN, st.lists(ROWS, max_size=4))
def test_agreement_means_that_what_is_confirmed_here_counts_there(seen: OnChain, rows: list[Stored]) -> None:
    """The promise behind `exit 0`, said in the words of a contract that asks."""
    rows = [one for one in rows if one.identity == seen.identity and not one.pending]
    if not seen.settled or codes(seen, *rows):
        return
    for one in rows:
        if one.word is None or one.epoch is None:
            continue
        if one.status is S.CONFIRMED and (one.valid_until is None or one.valid_until > NOW):
            assert seen.valid
            assert seen.shown == one.word
        if one.status is S.REVOKED:
            assert seen.epoch > one.epoch


@given(st.integers(0, 5), st.integers(0, 8), st.integers(0, 8), st.sets(st.integers(0, 8)), st.sets(st.integers(0, 8)))
def test_every_nonce_is_accounted_for(
    first: int, used: int, given_out: int, attempted: set[int], mined: set[int]
) -> None:
    mined &= attempted
    lane = Nonces(
        sender=A,
        first=first,
        used=used,
        next_nonce=given_out,
        attempted=frozenset(attempted),
        mined=frozenset(mined),
    )
    found = {(finding.nonce, finding.code) for finding in compare_nonces([lane])}
    ours = range(first, max(used, given_out))
    assert found == {(nonce, Code.NONCE_UNACCOUNTED) for nonce in ours if nonce not in attempted} | {
        (nonce, Code.EXTRA_TRANSACTION) for nonce in ours if nonce < used and nonce in attempted - mined
    }


def test_nonces_that_a_person_has_let_go_are_accounted_for() -> None:
    lane = Nonces(
        sender=A, first=0, used=7, next_nonce=8,
        attempted=frozenset({0, 4, 7}), mined=frozenset({0}), adopted=(1, 3, 4, 6),
    )  # fmt: skip
    found = [(finding.nonce, finding.code) for finding in compare_nonces([lane])]
    assert found == [(3, Code.NONCE_UNACCOUNTED), (4, Code.EXTRA_TRANSACTION), (6, Code.NONCE_UNACCOUNTED)]


def test_codes_are_stable() -> None:
    """They stand in operators' scripts: add, never rename."""
    assert {code.value for code in Code} == {
        "missing_on_chain", "removed_by_holder", "put_back_by_holder", "other_claim_shown", "not_valid", "epoch_ahead",
        "stale_status", "revocation_missing", "unknown_on_chain", "unreadable", "claim_missing", "provider_disagrees",
        "nonce_unaccounted", "extra_transaction",
    }  # fmt: skip


def test_no_status_breaks_the_comparison() -> None:
    for status, shown, pending in product(ClaimStatus, (None, WORD, OTHER), (False, True)):
        compare_claims([chain(shown=shown)], [row(status, pending=pending)], now=NOW)
