"""What we call is what was compiled, and what we read out of answers and receipts is what they say."""

import pytest
from eth_abi.abi import decode, encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from issuer.chain import abi, contracts
from issuer.chain.contracts import ClaimInput, Onboarding, Revocation
from issuer.chain.wire import Log, Receipt
from issuer.claims.rules import onchain_id
from issuer.errors import ChainError

FUNCTIONS = [value for value in vars(abi).values() if isinstance(value, abi.Function)]
NAMES = ("Identity", "IdentityFactory", "ClaimIssuer", "ClaimIssuerRegistry", "ClaimGated")

BYTES20 = st.binary(min_size=20, max_size=20).filter(any)
ADDRESSES = BYTES20.map(to_checksum_address)
UINTS = st.integers(0, 2**256 - 1)
CLAIMS = st.builds(
    ClaimInput,
    topic=st.integers(1, 2**256 - 1),
    scheme=UINTS,
    signature=st.binary(max_size=70),
    data=st.binary(max_size=70),
    uri=st.text(max_size=20),
)
ITEMS = st.lists(st.builds(Onboarding, wallet=ADDRESSES, claims=st.lists(CLAIMS, max_size=3).map(tuple)), max_size=3)


def compiled(function):
    """The ABI entry of this name and these inputs, in the contract that we say has it."""
    return [
        entry
        for entry in contracts.artifact(function.contract).abi
        if entry["type"] == "function"
        and entry["name"] == function.name
        and [_type(part) for part in entry["inputs"]] == list(function.inputs)
    ]


def _type(part):
    if not part["type"].startswith("tuple"):
        return part["type"]
    inner = ",".join(_type(component) for component in part["components"])
    return f"({inner}){part['type'].removeprefix('tuple')}"


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_each_function_is_in_the_compiled_abi(function):
    (entry,) = compiled(function)
    if function.outputs:
        assert [_type(part) for part in entry["outputs"]] == list(function.outputs)
        assert entry["stateMutability"] in ("view", "pure")
    else:
        assert entry["stateMutability"] == "nonpayable"


def test_the_table_is_not_empty():
    assert len(FUNCTIONS) >= 20


@pytest.mark.parametrize(
    ("contract", "name", "topic", "indexed"),
    [
        ("Identity", "ClaimAdded", contracts.CLAIM_ADDED, ["claimId", "topic", "issuer"]),
        ("Identity", "ClaimChanged", contracts.CLAIM_CHANGED, ["claimId", "topic", "issuer"]),
        ("ClaimIssuer", "ClaimFailed", contracts.CLAIM_FAILED, ["identity", "topic"]),
        ("ClaimIssuer", "SubjectRevoked", contracts.SUBJECT_REVOKED, ["identity", "topic"]),
    ],
)
def test_each_event_is_in_the_compiled_abi(contract, name, topic, indexed):
    (entry,) = [
        each for each in contracts.artifact(contract).abi if (each["type"], each.get("name")) == ("event", name)
    ]
    assert keccak(text=f"{name}({','.join(_type(part) for part in entry['inputs'])})") == topic
    assert [part["name"] for part in entry["inputs"] if part["indexed"]] == indexed


@pytest.mark.parametrize("name", NAMES)
def test_an_artifact_has_code_and_its_immutables_lie_within(name):
    shipped = contracts.artifact(name)
    assert shipped.deployed_bytecode
    assert len(shipped.bytecode) > len(shipped.deployed_bytecode)
    for start, length in shipped.immutable_references:
        assert shipped.deployed_bytecode[start : start + length] == bytes(length)


@given(ITEMS)
def test_onboard_carries_every_item(items):
    data = contracts.onboard(items)
    (read,) = decode(abi.ONBOARD.inputs, data[4:])
    assert data[:4] == abi.ONBOARD.selector
    assert [(to_checksum_address(wallet), claims) for wallet, claims in read] == [
        (item.wallet, tuple(claim.values() for claim in item.claims)) for item in items
    ]


@given(st.lists(st.builds(Revocation, identity=ADDRESSES, topic=UINTS, epoch=st.integers(0, 65535)), max_size=4))
def test_revoke_batch_carries_every_item(items):
    (read,) = decode(abi.REVOKE_BATCH.inputs, contracts.revoke_batch(items)[4:])
    assert [(to_checksum_address(identity), *rest) for identity, *rest in read] == [
        (item.identity, item.topic, item.epoch) for item in items
    ]


# -- answers


def test_the_zero_address_is_no_address():
    assert contracts.decode_address(bytes(32)) is None
    assert contracts.decode_address(bytes(12) + bytes([0xAA]) * 20) == "0xaAaAaAaaAaAaAaaAaAAAAAAAAaaaAaAaAaaAaaAa"


@pytest.mark.parametrize("answer", [None, b"", b"\x01", bytes(31)])
@pytest.mark.parametrize("decoder", [contracts.decode_address, contracts.decode_uint, contracts.decode_bool])
def test_no_answer_is_an_error_and_not_a_no(decoder, answer):
    with pytest.raises(ChainError):
        decoder(answer)


@pytest.mark.parametrize("word", [2, 2**255])
def test_a_bool_is_one_or_zero(word):
    with pytest.raises(ChainError):
        contracts.decode_bool(word.to_bytes(32, "big"))


@given(CLAIMS, ADDRESSES)
def test_a_claim_is_read_back(claim, issuer):
    values = [claim.topic, claim.scheme, issuer, claim.signature, claim.data, claim.uri]
    assert contracts.decode_claim(encode(abi.GET_CLAIM.outputs, values)) == claim


@given(st.binary(max_size=400))
def test_a_claim_of_a_hostile_identity_never_breaks_us(answer):
    assert contracts.decode_claim(answer) is None or isinstance(contracts.decode_claim(answer), ClaimInput)


def test_a_claim_whose_uri_is_no_text_is_read():
    types = [kind if kind != "string" else "bytes" for kind in abi.GET_CLAIM.outputs]
    answer = encode(types, [1, 1, "0x" + "11" * 20, b"s", b"d", b"\xff"])
    assert contracts.decode_claim(answer) == ClaimInput(topic=1, scheme=1, signature=b"s", data=b"d", uri="\ufffd")


def test_an_unknown_claim_is_none():
    answer = encode(abi.GET_CLAIM.outputs, [0, 0, "0x" + "00" * 20, b"", b"", ""])
    assert contracts.decode_claim(answer) is None
    assert contracts.decode_claim(None) is None
    assert contracts.decode_claim(b"") is None  # no identity there yet


# -- events

ISSUER, IDENTITY, STRANGER = (to_checksum_address(bytes([number]) * 20) for number in (1, 2, 3))


def receipt(*logs):
    return Receipt("0x" + "00" * 32, 1, "0x" + "00" * 32, True, 21_000, logs)


def word(value):
    return bytes(12) + bytes.fromhex(value[2:]) if isinstance(value, str) else value.to_bytes(32, "big")


def test_claims_added_and_changed_are_found():
    claim_id = onchain_id(ISSUER, 7)
    added = Log(IDENTITY, (contracts.CLAIM_ADDED, claim_id, word(7), word(ISSUER)), b"")
    changed = Log(STRANGER, (contracts.CLAIM_CHANGED, claim_id, word(7), word(ISSUER)), b"")
    other = Log(IDENTITY, (keccak(text="ClaimRemoved()"), claim_id, word(7), word(ISSUER)), b"")
    short = Log(ISSUER, (contracts.CLAIM_ADDED, claim_id, word(7)), b"")
    bare = Log(ISSUER, (), b"")
    assert contracts.claims_added(receipt(added, changed, other, short, bare)) == {
        (IDENTITY, claim_id),
        (STRANGER, claim_id),
    }


@pytest.mark.parametrize(
    ("event", "reader", "container"),
    [
        (contracts.CLAIM_FAILED, contracts.claims_failed, list),
        (contracts.SUBJECT_REVOKED, contracts.subjects_revoked, set),
    ],
)
def test_only_the_issuers_own_word_counts(event, reader, container):
    topics = (event, word(IDENTITY), word(7))
    said = receipt(
        Log(ISSUER, topics, word(3)),
        Log(STRANGER, topics, word(4)),
        Log(ISSUER, topics, b""),
        Log(ISSUER, topics[:2], word(5)),
    )
    assert reader(said, ISSUER) == container([(IDENTITY, 7, 3)])


def signed_item(number):
    claim = ClaimInput(topic=7, scheme=1, signature=b"\xff" * 64, data=b"\xff" * 32)
    return Onboarding(wallet=to_checksum_address(number.to_bytes(20, "big")), claims=(claim,))


def test_twenty_signed_claims_fit_one_transaction():
    items = [signed_item(2**159 + number) for number in range(20)]
    assert contracts.onboard_gas(items, contracts.onboard(items)) < contracts.MAX_TRANSACTION_GAS


@given(ITEMS, CLAIMS)
def test_more_to_do_never_asks_for_less_gas(items, claim):
    more = [*items, Onboarding(wallet="0x" + "11" * 20, claims=(claim,))]
    assert contracts.onboard_gas(more, contracts.onboard(more)) > contracts.onboard_gas(items, contracts.onboard(items))
