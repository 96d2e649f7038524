"""Our contracts as typed functions: calldata and gas limits out, answers and events in. No I/O.

Source: `contracts/interfaces`, the Solidity ABI specification.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from issuer.addresses import eip55
from issuer.chain import abi, encoding
from issuer.chain.abi import Artifact as Artifact
from issuer.chain.abi import artifact as artifact
from issuer.chain.wire import Call, Log, Receipt
from issuer.errors import ChainError
from issuer.hashes import keccak

PURPOSE_MANAGEMENT = 1
PURPOSE_CLAIM = 3
KEY_TYPE_CLAIMWRIGHT = 712
_NOBODY = "0x" + "00" * 20
_NO_SUCH_ANSWER = "a contract gave no such answer; is the deployment file of this chain?"

# Gas. Unused gas costs nothing; too little makes the whole batch revert, because the ClaimIssuer starts no creation and
# no claim unless its full stipend is left. Here each item is counted by what it can really use (an identity from our
# factory runs our code and nobody else's), and the largest stipend is added once, for the last check.
MAX_TRANSACTION_GAS = 2**24  # EIP-7825
# As in contracts/ClaimIssuer.sol; a test asks the deployed contract.
CREATE_GAS = 300_000
CLAIM_GAS = 400_000
CLAIM_WORD_GAS = 24_000
NOTE_GAS = 50_000
# Ceilings, a quarter above what was measured on new identities and new claims; a test keeps a tenth spare.
_FIXED = 50_000  # the call, the guards, and what must be left over when a stipend is checked
_ITEM = 190_000  # finding the identity or making it
_CLAIM = 270_000  # storing a claim, but for its words; a ClaimFailed costs less
_ADDITION = 15_000  # around the call: encoding it, and a ClaimFailed
_HOSTED = 150_000  # an identity made, a storage word at the issuer, the identity's event
_AUTHORIZED = 80_000  # a recovered signature, its nonce, a topic opened for the first time
_REVOCATION = 36_000  # a new storage word, an event, three words of calldata
_INTRINSIC = 21_000


class ClaimInput(msgspec.Struct, frozen=True, kw_only=True):
    """One claim as the contracts take it; its issuer is the ClaimIssuer itself."""

    topic: int
    scheme: int
    signature: bytes
    data: bytes
    uri: str = ""

    def values(self) -> tuple[int, int, bytes, bytes, str]:
        return self.topic, self.scheme, self.signature, self.data, self.uri


class Onboarding(msgspec.Struct, frozen=True, kw_only=True):
    """The claims of one wallet's identity, which is made if there is none."""

    wallet: str
    claims: tuple[ClaimInput, ...]


class Addition(msgspec.Struct, frozen=True, kw_only=True):
    """A claim for an identity that was made elsewhere and gave the ClaimIssuer a key."""

    identity: str
    claim: ClaimInput


class Hosted(msgspec.Struct, frozen=True, kw_only=True):
    """A claim word that the ClaimIssuer keeps for a wallet's identity, which is made if there is none."""

    wallet: str
    word: bytes


class Authorization(msgspec.Struct, frozen=True, kw_only=True):
    """A claim signer's leave for one hosted batch. `deadline` in Unix seconds; each `nonce` counts once."""

    nonce: int
    deadline: int
    signature: bytes


class Revocation(msgspec.Struct, frozen=True, kw_only=True):
    """Ends (identity, topic) if it is still in `epoch`; sent twice, it does nothing twice."""

    identity: str
    topic: int
    epoch: int


def onboard(items: Sequence[Onboarding]) -> bytes:
    """Calldata for the ClaimIssuer, from an operator."""
    encoded = encoding.array(_onboarding(item) for item in items)
    return abi.ONBOARD.selector + encoding.dynamic_tuple([], [encoded])


def _onboarding(item: Onboarding) -> bytes:
    claims = encoding.array(
        encoding.dynamic_tuple(
            [encoding.uint(claim.topic), encoding.uint(claim.scheme)],
            [encoding.blob(claim.signature), encoding.blob(claim.data), encoding.blob(claim.uri.encode())],
        )
        for claim in item.claims
    )
    return encoding.dynamic_tuple([encoding.address(item.wallet)], [claims])


def onboard_hosted(topic: int, items: Sequence[Hosted], authorization: Authorization) -> bytes:
    """Calldata for the ClaimIssuer, from an operator."""
    leave = encoding.dynamic_tuple(
        [encoding.uint(authorization.nonce), encoding.uint(authorization.deadline)],
        [encoding.blob(authorization.signature)],
    )
    arguments = encoding.dynamic_tuple([encoding.uint(topic)], [_pairs(items), leave])
    return abi.ONBOARD_HOSTED.selector + arguments


def add_claims_to(items: Sequence[Addition]) -> bytes:
    """Calldata for the ClaimIssuer, from an operator."""
    return abi.ADD_CLAIMS_TO.calldata([(item.identity, item.claim.values()) for item in items])


def hosted_items(items: Sequence[Hosted]) -> bytes:
    """What stands for the items in the struct that a claim signer signs: keccak256(abi.encode(items)), 32 bytes."""
    return keccak(encoding.dynamic_tuple([], [_pairs(items)]))


def _pairs(items: Sequence[Hosted]) -> bytes:
    return encoding.static_array(encoding.address(item.wallet) + encoding.bytes32(item.word) for item in items)


def add_claim(issuer: str, claim: ClaimInput) -> bytes:
    """Calldata for the Identity, from its holder."""
    return abi.ADD_CLAIM.calldata(claim.topic, claim.scheme, issuer, claim.signature, claim.data, claim.uri)


def revoke_batch(items: Sequence[Revocation]) -> bytes:
    """Calldata for the ClaimIssuer, from an operator."""
    return abi.REVOKE_BATCH.calldata([(item.identity, item.topic, item.epoch) for item in items])


def onboard_gas(items: Sequence[Onboarding], calldata: bytes) -> int:
    """A gas limit for `onboard(items)` that no content can exhaust; may be above `MAX_TRANSACTION_GAS`."""
    claims = [_words(claim) * CLAIM_WORD_GAS for item in items for claim in item.claims]
    largest = max([CREATE_GAS, *(CLAIM_GAS + words for words in claims)])
    reserve = largest + largest // 63  # EIP-150: a call gets at most 63/64 of what is left
    use = len(items) * _ITEM + len(claims) * _CLAIM + sum(claims)
    return _INTRINSIC + _FIXED + _calldata(calldata) + use + reserve


def onboard_hosted_gas(count: int, calldata: bytes) -> int:
    """A gas limit for `onboardHosted` of `count` items, on the same reasoning as `onboard_gas`."""
    largest = max(CREATE_GAS, NOTE_GAS)
    return _INTRINSIC + _FIXED + _AUTHORIZED + _calldata(calldata) + count * _HOSTED + largest + largest // 63


def add_claims_to_gas(items: Sequence[Addition], calldata: bytes) -> int:
    """A gas limit for `add_claims_to(items)`: the code is not ours, so each item may use all that it is given."""
    stipends = [CLAIM_GAS + _words(item.claim) * CLAIM_WORD_GAS for item in items]
    reserve = max(stipends) // 63
    return _INTRINSIC + _FIXED + _calldata(calldata) + sum(stipends) + len(items) * _ADDITION + reserve


def revoke_gas(count: int) -> int:
    """A gas limit for `revokeBatch` of `count` items."""
    return _INTRINSIC + _FIXED + count * _REVOCATION


def _words(claim: ClaimInput) -> int:
    lengths = (len(claim.signature), len(claim.data), len(claim.uri.encode()))
    return sum((length + 31) // 32 for length in lengths)


def _calldata(data: bytes) -> int:
    """16 for a byte, 4 for a zero one. EIP-7623's floor is below the rest for any call of ours."""
    zeros = data.count(0)
    return 16 * (len(data) - zeros) + 4 * zeros


def get_identity(factory: str, wallet: str) -> Call:
    return abi.GET_IDENTITY.call(factory, wallet)


def predict(factory: str, wallet: str, adder: str) -> Call:
    return abi.PREDICT.call(factory, wallet, adder)


def identity_calls(factory: str, wallet: str, adder: str) -> list[Call]:
    """The two questions that `identity_of` answers from: where the wallet is linked, and where it would be."""
    return [get_identity(factory, wallet), predict(factory, wallet, adder)]


def identity_of(linked: bytes | None, predicted: bytes | None) -> str | None:
    """The wallet's Identity, existing or to be made. None only from a factory that is not ours."""
    return decode_address(linked) or decode_address(predicted)


class Standing(msgspec.Struct, frozen=True):
    """Where a wallet's Identity is or will be (EIP-55), and the issuer's epoch of it for a topic."""

    identity: str
    epoch: int


def standings(factory: str, issuer: str, wallets: Sequence[str], topics: Sequence[int]) -> Call:
    """The same question for many wallets at once, each with its topic; `decode_standings` reads the answer."""
    lists = [
        encoding.static_array(encoding.address(wallet) for wallet in wallets),
        encoding.static_array(encoding.uint(topic) for topic in topics),
    ]
    arguments = encoding.dynamic_tuple([encoding.address(issuer)], lists)
    return Call(to=factory, data=abi.STANDINGS.selector + arguments)


def decode_standings(answer: bytes | None, count: int) -> list[Standing]:
    """One for each wallet, in order. Raises `ChainError` for an answer that our factory would not give."""
    size = encoding.WORD * (1 + count)  # of a list with its length
    heads = encoding.uint(2 * encoding.WORD) + encoding.uint(2 * encoding.WORD + size)
    first, second = len(heads), len(heads) + size
    length = encoding.uint(count)
    if answer is None or len(answer) != second + size or answer[:first] != heads:
        raise ChainError(_NO_SUCH_ANSWER)
    if any(answer[place : place + encoding.WORD] != length for place in (first, second)):
        raise ChainError(_NO_SUCH_ANSWER)
    found = []
    for place in range(first + encoding.WORD, second, encoding.WORD):
        identity = decode_address(answer[place : place + encoding.WORD])
        if identity is None:
            raise ChainError(_NO_SUCH_ANSWER)
        found.append(Standing(identity, _uint(answer[place + size : place + size + encoding.WORD])))
    return found


def epoch_of(issuer: str, identity: str, topic: int) -> Call:
    return abi.EPOCH_OF.call(issuer, identity, topic)


def get_claim(identity: str, claim_id: bytes) -> Call:
    return abi.GET_CLAIM.call(identity, claim_id)


def is_claim_valid(issuer: str, identity: str, claim: ClaimInput) -> Call:
    return abi.IS_CLAIM_VALID.call(issuer, identity, claim.topic, claim.signature, claim.data)


def is_verified(registry: str, wallet: str, topic: int) -> Call:
    return abi.IS_VERIFIED.call(registry, wallet, topic)


def is_operator(issuer: str, sender: str) -> Call:
    return abi.IS_OPERATOR.call(issuer, sender)


def key_has_purpose(identity: str, key: bytes, purpose: int) -> Call:
    return abi.KEY_HAS_PURPOSE.call(identity, key, purpose)


def adder(identity: str) -> Call:
    return abi.ADDER.call(identity)


def is_allowed(gate: str, wallet: str) -> Call:
    return abi.IS_ALLOWED.call(gate, wallet)


def key_of(address: str) -> bytes:
    """ERC-734 key of an address, 32 bytes: keccak256(abi.encode(address))."""
    return keccak(encoding.address(address))


def decoded(kinds: Sequence[str], answer: bytes | None) -> tuple[Any, ...]:
    """As `encoding.decode`. Raises `ChainError` for an answer that one of our contracts would not give."""
    try:
        return encoding.decode(kinds, answer or b"")
    except ValueError:
        raise ChainError(_NO_SUCH_ANSWER) from None


def decode_address(answer: bytes | None) -> str | None:
    """EIP-55; None for the zero address."""
    (address,) = decoded(["address"], answer)
    return None if address == _NOBODY else str(address)


def decode_uint(answer: bytes | None) -> int:
    (value,) = decoded(["uint256"], answer)
    return int(value)


def decode_bool(answer: bytes | None) -> bool:
    (value,) = decoded(["bool"], answer)
    return bool(value)


def says_yes(answer: bytes | None) -> bool:
    """As `decode_bool`, of a contract that may be anybody's or none: whatever is no clear yes is no."""
    try:
        return decode_bool(answer)
    except ChainError:
        return False


def says_address(answer: bytes | None) -> str | None:
    """As `decode_address`, of a contract that may be anybody's or none."""
    try:
        return decode_address(answer)
    except ChainError:
        return None


def decode_claim(answer: bytes | None) -> ClaimInput | None:
    """What `getClaim` answered. None: there is no such claim, no identity, or one that makes no sense."""
    kinds = [kind if kind != "string" else "bytes" for kind in abi.GET_CLAIM.outputs]  # its text may be anything
    try:
        topic, scheme, _, signature, data, uri = encoding.decode(kinds, answer or b"")
    except ValueError:
        return None
    if topic == 0:
        return None
    return ClaimInput(topic=topic, scheme=scheme, signature=signature, data=data, uri=uri.decode(errors="replace"))


# Events: topic 0 and the number of topics.
_CLAIM_FIELDS = "bytes32,uint256,uint256,address,bytes,bytes,string"
CLAIM_ADDED = keccak(f"ClaimAdded({_CLAIM_FIELDS})".encode())
CLAIM_CHANGED = keccak(f"ClaimChanged({_CLAIM_FIELDS})".encode())
CLAIM_REMOVED = keccak(f"ClaimRemoved({_CLAIM_FIELDS})".encode())
CLAIM_FAILED = keccak(b"ClaimFailed(address,uint256,uint256)")
SUBJECT_REVOKED = keccak(b"SubjectRevoked(address,uint256,uint16)")


def claims_added(receipt: Receipt) -> set[tuple[str, bytes]]:
    """(identity, claim id) of every claim that an identity says it added or changed: its own word about itself."""
    wanted = (CLAIM_ADDED, CLAIM_CHANGED)
    return {(log.address, log.topics[1]) for log in receipt.logs if len(log.topics) == 4 and log.topics[0] in wanted}


def claims_failed(receipt: Receipt, issuer: str) -> list[tuple[str, int, int]]:
    """(identity, topic, index of the item in the batch) of what the ClaimIssuer could not add."""
    return [
        (address_of(log.topics[1]), _uint(log.topics[2]), _uint(log.data))
        for log in _of(receipt, issuer, CLAIM_FAILED)
    ]  # fmt: skip


def subjects_revoked(receipt: Receipt, issuer: str) -> set[tuple[str, int, int]]:
    """(identity, topic, new epoch) of what the ClaimIssuer revoked."""
    return {
        (address_of(log.topics[1]), _uint(log.topics[2]), _uint(log.data))
        for log in _of(receipt, issuer, SUBJECT_REVOKED)
    }  # fmt: skip


def _of(receipt: Receipt, issuer: str, event: bytes) -> list[Log]:
    return [
        log
        for log in receipt.logs
        if log.address == issuer and len(log.topics) == 3 and log.topics[0] == event and len(log.data) == 32
    ]


def address_of(word: bytes) -> str:
    return eip55(word[12:])


def _uint(word: bytes) -> int:
    return int.from_bytes(word, "big")
