"""Claims: words, digests against the shared vectors, moves, and what a reversal or a failure does."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import coincurve
import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from issuer.chain import rules as chain_rules
from issuer.claims import rules
from issuer.claims.rules import ClaimStatus, Firewall, Word, on_failure, on_reversal
from issuer.errors import IllegalMove

VECTORS = json.loads((Path(__file__).parents[2] / "fixtures" / "claim_vectors.json").read_text())


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


@pytest.mark.parametrize("vector", VECTORS["claims"], ids=lambda vector: vector.get("name", vector["claim_id"][:10]))
def test_claim_vectors(vector: dict) -> None:
    fields = vector["word_fields"]
    word = Word(
        epoch=int(fields["epoch"]),
        issued_at=int(fields["issued_at"]),
        expires_at=int(fields["expires_at"]),
        commitment=unhex(fields["commitment"]),
    ).pack()
    assert word == unhex(vector["word"])
    domain = rules.domain_separator(int(vector["chain_id"]), vector["claim_issuer"])
    topic = int(vector["topic"])
    digest = keccak(rules.claim_message(domain=domain, identity=vector["identity"], topic=topic, word=word))
    assert digest == unhex(vector["digest"])
    assert rules.onchain_id(vector["claim_issuer"], topic) == unhex(vector["claim_id"])
    key = coincurve.PrivateKey(unhex(vector["private_key"]))
    signed = key.sign_recoverable(digest, hasher=None)
    r, s = int.from_bytes(signed[:32], "big"), int.from_bytes(signed[32:64], "big")
    assert rules.compact_signature(r, s, signed[64]) == unhex(vector["signature"])


@pytest.mark.parametrize("vector", VECTORS["commitments"], ids=lambda vector: vector["case_id"])
def test_commitment_vectors(vector: dict) -> None:
    made = rules.commitment(
        salt=unhex(vector["salt"]),
        case_id=vector["case_id"],
        level=vector["level"],
        provider=vector["provider"],
        environment=vector["environment"],
    )
    assert made == unhex(vector["commitment"])


words = st.builds(
    Word,
    epoch=st.integers(0, 2**16 - 1),
    issued_at=st.integers(0, 2**32 - 1),
    expires_at=st.integers(0, 2**32 - 1),
    commitment=st.binary(min_size=21, max_size=21),
)


@given(words)
def test_a_word_is_32_bytes_and_reads_back(word: Word) -> None:
    assert len(word.pack()) == 32
    assert Word.unpack(word.pack()) == word


@given(st.binary(max_size=64))
def test_what_is_no_word_is_refused(blob: bytes) -> None:
    if len(blob) == 32 and blob[0] == rules.WORD_LAYOUT:
        assert Word.unpack(blob).pack() == blob
    else:
        with pytest.raises(ValueError, match="word"):
            Word.unpack(blob)


@pytest.mark.parametrize("change", [{"epoch": 2**16}, {"issued_at": 2**32}, {"expires_at": 2**32}, {"epoch": -1}])
def test_a_value_that_does_not_fit_is_refused(change: dict) -> None:
    values = {"epoch": 0, "issued_at": 1, "expires_at": 2, "commitment": bytes(21)} | change
    with pytest.raises(OverflowError):
        Word(**values).pack()


def test_a_word_without_expiry_is_valid_for_ever() -> None:
    word = Word(epoch=0, issued_at=1, expires_at=0, commitment=bytes(21))
    assert rules.valid_until(word) is None
    dated = Word(epoch=0, issued_at=1, expires_at=1_800_000_000, commitment=bytes(21))
    assert rules.valid_until(dated) == datetime.fromtimestamp(1_800_000_000, UTC)


@given(st.sampled_from(ClaimStatus), st.sampled_from(ClaimStatus))
def test_move_and_the_table_agree(source: ClaimStatus, target: ClaimStatus) -> None:
    if target in rules.MOVES[source]:
        assert rules.move(source, target) is target
    else:
        with pytest.raises(IllegalMove):
            rules.move(source, target)


def test_a_reversal_reaches_a_claim_at_every_stage() -> None:
    assert on_reversal(ClaimStatus.QUEUED, ever_signed=False) is ClaimStatus.CANCELLED
    for status in (ClaimStatus.SIGNED, ClaimStatus.MINED, ClaimStatus.CONFIRMED):
        assert on_reversal(status, ever_signed=True) is ClaimStatus.REVOKING


@pytest.mark.parametrize("status", [ClaimStatus.QUEUED, ClaimStatus.FAILED])
def test_a_claim_whose_signature_is_out_is_revoked_and_never_just_cancelled(status: ClaimStatus) -> None:
    assert on_reversal(status, ever_signed=True) is ClaimStatus.REVOKING


@given(st.sampled_from(ClaimStatus), st.booleans(), st.booleans())
def test_a_reversal_is_always_a_legal_move(status: ClaimStatus, ever_signed: bool, followed: bool) -> None:
    target = on_reversal(status, ever_signed=ever_signed, followed=followed)
    assert target is None or target in rules.MOVES[status]
    if target is None:
        assert status not in rules.IN_FORCE or status is ClaimStatus.REVOKING


@pytest.mark.parametrize("status", [ClaimStatus.CONFIRMED, ClaimStatus.FAILED, ClaimStatus.REMOVED])
def test_what_a_newer_approval_followed_is_not_revoked_under_it(status: ClaimStatus) -> None:
    assert on_reversal(status, ever_signed=True, followed=True) is not ClaimStatus.REVOKING
    assert on_reversal(status, ever_signed=True, followed=False) is ClaimStatus.REVOKING


ENDS = st.none() | st.datetimes(timezones=st.just(UTC))
YEARS = st.integers(1, 20 * 365 * 86400)


@given(ENDS, ENDS, st.sampled_from(["sandbox", "production"]), st.sampled_from(["sandbox", "production"]))
def test_of_two_claims_the_better_one_stays(one, other, environment, older) -> None:
    """At least one of the two may take the other's place, and both only if neither is better."""
    forth = rules.replaces(one, environment, other, older)
    back = rules.replaces(other, older, one, environment)
    if environment == older:
        assert forth or back
        assert (forth and back) is (one == other)
    else:
        assert not (forth and environment == "sandbox")


@given(st.integers(946684800, 4000000000).map(lambda second: datetime.fromtimestamp(second, UTC)), YEARS)
def test_a_claim_is_renewed_within_its_last_third_and_its_last_month(until, validity_seconds) -> None:
    at = rules.renew_at(until, validity_seconds)
    assert at is not None
    assert timedelta(0) < until - at <= timedelta(days=30)
    assert until - at <= timedelta(seconds=validity_seconds) / 3


def test_a_claim_without_end_is_never_renewed() -> None:
    assert rules.renew_at(None, 10) is None


@given(st.sampled_from(ClaimStatus), st.integers(1, 20))
def test_a_failed_claim_is_tried_again_a_bounded_number_of_times(status: ClaimStatus, failures: int) -> None:
    target = on_failure(status, failures)
    if target is None:
        assert status not in (ClaimStatus.SIGNED, ClaimStatus.MINED)
    else:
        assert target in rules.MOVES[status]
        assert (target is ClaimStatus.FAILED) is (failures >= rules.MAX_FAILURES)


@given(chain_id=st.integers(1, 2**63), production_to_test=st.booleans())
def test_a_sandbox_decision_reaches_no_chain_that_is_not_known_to_be_harmless(chain_id, production_to_test):
    harmless = chain_id in chain_rules.LOCAL_CHAIN_IDS | chain_rules.TEST_CHAIN_IDS
    assert Firewall(production_to_test=production_to_test).lets("sandbox", chain_id) is harmless


@pytest.mark.parametrize(
    ("environment", "chain_id", "reached"),
    [
        ("sandbox", 31337, True),
        ("sandbox", 11155111, True),
        ("sandbox", 1, False),  # a fork of mainnet under its id as well
        ("sandbox", 424242, False),  # nobody knows it
        ("production", 1, True),
        ("production", 424242, True),
        ("production", 31337, False),
        ("production", 11155111, False),
    ],
)
def test_what_each_environment_reaches(environment, chain_id, reached):
    assert Firewall().lets(environment, chain_id) is reached
    rehearsal = Firewall(production_to_test=True).lets(environment, chain_id)
    assert rehearsal is (reached or environment == "production")
