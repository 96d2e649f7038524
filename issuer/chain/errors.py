"""What nodes say, and what we make of it.

Nodes have no common error codes, only phrases; this is the one table of them. A phrase that is not here is `unknown`,
and an unknown outcome is never a reason to sign again: the stored bytes are sent once more, or the chain is asked.

Sources: go-ethereum `core/txpool/errors.go`, `core/error.go` (Nethermind >= 1.37 and Besu >= 26 answer in its words);
Nethermind `AcceptTxResult.cs`; Besu `RpcErrorType.java`; Foundry anvil 1.7 `InvalidTransactionError`, as measured.
"""

import re
from enum import StrEnum

import msgspec

_LONGEST = 1000  # characters of an error text that are looked at


class SendResult(StrEnum):
    """What a node said to signed bytes. Only `funds`, `underpriced` and `refused` say that it did not take them.

    `nonce_low` means that some transaction with this nonce is mined: ours, in any of its forms, or a stranger's.
    """

    ACCEPTED = "accepted"
    KNOWN = "known"
    NONCE_LOW = "nonce_low"
    UNDERPRICED = "underpriced"
    FUNDS = "funds"
    REFUSED = "refused"  # these bytes will never be accepted
    UNKNOWN = "unknown"


class SendOutcome(msgspec.Struct, frozen=True):
    """The class of the answer, never its text: a node may quote anything."""

    result: SendResult

    @property
    def surely_not_taken(self) -> bool:
        return self.result in (SendResult.UNDERPRICED, SendResult.FUNDS, SendResult.REFUSED)

    @property
    def held_by_node(self) -> bool:
        return self.result in (SendResult.ACCEPTED, SendResult.KNOWN)


# First match wins; compared in lower case. What waiting may cure (a full pool, a nonce gap) is left out: `unknown`.
_SENDS: tuple[tuple[SendResult, str], ...] = (
    (SendResult.KNOWN, r"already known|known transaction|alreadyknown"),  # geth, Nethermind, Besu, older Nethermind
    (SendResult.KNOWN, r"transaction already imported"),  # anvil
    (SendResult.NONCE_LOW, r"nonce too low|nonce is too low|oldnonce"),  # geth, anvil, Besu; OpenEthereum; Nethermind
    (SendResult.UNDERPRICED, r"replacement transaction underpriced|transaction underpriced"),
    (SendResult.UNDERPRICED, r"max fee per gas less than block base fee"),  # geth, anvil, Arbitrum
    (SendResult.UNDERPRICED, r"feetoolow|gas price below configured minimum"),  # Nethermind; Besu
    (SendResult.UNDERPRICED, r"transaction gas price .*is too low|gas price too low"),  # OpenEthereum; Arbitrum
    (SendResult.FUNDS, r"insufficient funds|insufficientfunds|upfront cost exceeds account balance"),
    (SendResult.REFUSED, r"exceeds block gas limit|exceeds transaction gas limit|exceeds max transaction gas limit"),
    (SendResult.REFUSED, r"transaction gas limit too high|gaslimitexceeded|gas limit reached"),
    (SendResult.REFUSED, r"intrinsic gas (too low|exceeds gas limit)|gas required exceeds"),
    (SendResult.REFUSED, r"invalid sender|invalid signature|failedtoresolvesender|failed to recover sender"),
    (SendResult.REFUSED, r"invalid chain ?id|wrong chain ?id|incompatible eip-155"),
    (SendResult.REFUSED, r"oversized data|transaction size exceeds|negative value|gas uint64 overflow"),
    (SendResult.REFUSED, r"transaction type not supported|max initcode size exceeded"),
    (SendResult.REFUSED, r"max priority fee per gas higher than max fee per gas"),
    (SendResult.REFUSED, r"exceeds the configured cap|transaction fee cap exceeded"),  # geth; Besu
    (SendResult.REFUSED, r"sender not an eoa|senderiscontract|rlp: |failed to decode (signed )?transaction"),
)
_SEND_TABLE = tuple((result, re.compile(pattern)) for result, pattern in _SENDS)


def send_result(message: str) -> SendResult:
    """The class of an error text that answered `eth_sendRawTransaction`."""
    text = message[:_LONGEST].lower()
    for result, pattern in _SEND_TABLE:
        if pattern.search(text):
            return result
    return SendResult.UNKNOWN


class ReadFailure(StrEnum):
    """What an error means that answered a read."""

    REVERTED = "reverted"  # the contract's answer, the same from every honest node
    UNAVAILABLE = "unavailable"  # waiting helps
    REFUSED = "refused"


_REVERTED = re.compile(
    r"revert|out of gas|outofgas|invalid opcode|invalidfeopcode|opcodenotfound|invalid jump|invalidjump|"
    r"stack (under|over)flow|vm execution error"
)
_UNAVAILABLE = re.compile(
    r"rate limit|too many requests|limit exceeded|capacity|timed? ?out|try again|overloaded|internal error|"
    r"header not found|missing trie node|unknown block|syncing|temporarily"
)
_REVERT_CODE = 3  # geth, anvil
_TRANSIENT_CODES = frozenset({-32005, -32603, -32002, 429})  # EIP-1474: limit exceeded, internal, resource unavailable


def read_failure(code: int, message: str) -> ReadFailure:
    """The class of a JSON-RPC error that answered a read."""
    text = message[:_LONGEST].lower()
    if code == _REVERT_CODE or _REVERTED.search(text):
        return ReadFailure.REVERTED
    if code in _TRANSIENT_CODES or _UNAVAILABLE.search(text):
        return ReadFailure.UNAVAILABLE
    return ReadFailure.REFUSED
