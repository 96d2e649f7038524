"""One table of what nodes say. A phrase that is not in it is never taken for an outcome."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.chain.errors import ReadFailure, SendOutcome, SendResult, read_failure, send_result

S = SendResult

PHRASES = [
    # anvil 1.7.1
    ("transaction already imported", S.KNOWN),
    ("nonce too low", S.NONCE_LOW),
    ("replacement transaction underpriced", S.UNDERPRICED),
    ("max fee per gas less than block base fee", S.UNDERPRICED),
    ("Insufficient funds for gas * price + value", S.FUNDS),
    ("invalid chain id for signer", S.REFUSED),
    ("Failed to decode transaction", S.REFUSED),
    # go-ethereum
    ("already known", S.KNOWN),
    ("nonce too low: next nonce 7, tx nonce 3", S.NONCE_LOW),
    ("transaction underpriced: tip needed 1000000000, tip permitted 1", S.UNDERPRICED),
    ("insufficient funds for gas * price + value: balance 0, tx cost 1", S.FUNDS),
    ("exceeds block gas limit", S.REFUSED),
    ("intrinsic gas too low: gas 20000, minimum needed 21000", S.REFUSED),
    ("invalid sender", S.REFUSED),
    ("transaction gas limit too high (cap: 16777216, tx: 20000000)", S.REFUSED),
    ("tx fee (1.50 ether) exceeds the configured cap (1.00 ether)", S.REFUSED),
    ("max priority fee per gas higher than max fee per gas", S.REFUSED),
    ("txpool is full", S.UNKNOWN),
    ("nonce too high", S.UNKNOWN),
    # Nethermind before it took geth's words
    ("AlreadyKnown", S.KNOWN),
    ("OldNonce, Current nonce: 7, nonce of rejected tx: 3", S.NONCE_LOW),
    ("FeeTooLowToCompete", S.UNDERPRICED),
    ("InsufficientFunds, Account balance: 0, cumulative cost: 1", S.FUNDS),
    ("GasLimitExceeded, Gas limit: 100, gas limit of rejected tx: 150", S.REFUSED),
    ("FailedToResolveSender", S.REFUSED),
    ("OwnNonceAlreadyUsed", S.UNKNOWN),  # the nonce is taken, by which bytes is not said
    # Besu before it took geth's words
    ("Known transaction", S.KNOWN),
    ("Nonce too low", S.NONCE_LOW),
    ("Gas price below configured minimum gas price", S.UNDERPRICED),
    ("Upfront cost exceeds account balance", S.FUNDS),
    ("Intrinsic gas exceeds gas limit", S.REFUSED),
    # nobody's
    ("", S.UNKNOWN),
    ("internal error", S.UNKNOWN),
    ("rate limit exceeded", S.UNKNOWN),
]


@pytest.mark.parametrize(("phrase", "expected"), PHRASES)
def test_a_nodes_phrase_has_one_class(phrase, expected):
    assert send_result(phrase) is expected
    assert send_result(phrase.upper()) is expected
    assert send_result(f"INTERNAL_ERROR: {phrase}") is expected


@given(st.text(alphabet="0123456789abcdefxyz :*#", max_size=200))
def test_other_text_is_unknown(text):
    assert send_result(text) is S.UNKNOWN


def test_only_three_results_say_that_the_node_did_not_take_the_bytes():
    assert {result for result in S if SendOutcome(result).surely_not_taken} == {S.UNDERPRICED, S.FUNDS, S.REFUSED}
    assert {result for result in S if SendOutcome(result).held_by_node} == {S.ACCEPTED, S.KNOWN}


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        (3, "execution reverted: nope", ReadFailure.REVERTED),
        (3, "", ReadFailure.REVERTED),
        (-32000, "execution reverted", ReadFailure.REVERTED),
        (-32015, "VM execution error.", ReadFailure.REVERTED),
        (-32000, "out of gas", ReadFailure.REVERTED),
        (-32603, "EVM error OutOfGas", ReadFailure.REVERTED),
        (-32000, "invalid opcode: INVALID", ReadFailure.REVERTED),
        (-32005, "daily request count exceeded", ReadFailure.UNAVAILABLE),
        (-32603, "Internal error", ReadFailure.UNAVAILABLE),
        (-32000, "header not found", ReadFailure.UNAVAILABLE),
        (-32000, "missing trie node abc (path )", ReadFailure.UNAVAILABLE),
        (429, "Too Many Requests", ReadFailure.UNAVAILABLE),
        (-32601, "the method does not exist", ReadFailure.REFUSED),
        (-32602, "invalid argument 0", ReadFailure.REFUSED),
    ],
)
def test_an_error_to_a_read_has_one_class(code, message, expected):
    assert read_failure(code, message) is expected
