"""Proof that whoever asks for a case owns the wallet: the owner signs a message that says what for. No I/O.

The message is an ERC-4361 one ("Sign-In with Ethereum"), so wallets show the dapp's domain, and its statement names
level and chains. The API redeems it once; the daemon looks at it again before it signs for a live chain, because the
process that faces the internet writes the case.

Sources: ERC-4361 (message), ERC-191 version 0x45 (`personal_sign`), EIP-55.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from issuer.hashes import keccak
from issuer.recovery import address_of

LIFE = timedelta(minutes=15)
LONGEST_MESSAGE = 2000

_HOST = r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[0-9]{1,5})?"
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"
_MESSAGE = re.compile(
    rf"(?P<domain>{_HOST}) wants you to sign in with your Ethereum account:\n"
    r"(?P<wallet>0x[0-9a-fA-F]{40})\n\n"
    r'Check me at level "(?P<level>[a-z0-9_-]{1,64})" and put the result on chain (?P<chains>[0-9]+(?:, [0-9]+)*)\.\n\n'
    rf"URI: https://(?P=domain)\nVersion: 1\nChain ID: (?P<first>[0-9]+)\nNonce: (?P<nonce>[0-9a-f]{{32}})\n"
    rf"Issued At: {_TIME}\nExpiration Time: (?P<ends>{_TIME})"
)
_LINK = re.compile(
    rf"(?P<domain>{_HOST}) wants you to sign in with your Ethereum account:\n"
    r"(?P<wallet>0x[0-9a-fA-F]{40})\n\n"
    r"I own this wallet and (?P<other>0x[0-9a-fA-F]{40}); count them as one person's\.\n\n"
    rf"URI: https://(?P=domain)\nVersion: 1\nChain ID: (?P<first>[0-9]+)\nNonce: (?P<nonce>[0-9a-f]{{32}})\n"
    rf"Issued At: {_TIME}\nExpiration Time: (?P<ends>{_TIME})"
)
_SIGNATURE = re.compile(r"0x[0-9a-fA-F]{130}")


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """What an owner is asked to sign. `domain` is the dapp's host, with its port if it has one of its own."""

    domain: str
    wallet: str
    level: str
    chain_ids: tuple[int, ...]
    nonce: str
    issued_at: datetime

    @property
    def ends_at(self) -> datetime:
        return self.issued_at + LIFE

    def message(self) -> str:
        """The text to sign, to the byte."""
        return (
            f"{self.domain} wants you to sign in with your Ethereum account:\n"
            f"{self.wallet}\n\n"
            f'Check me at level "{self.level}" and put the result on chain {", ".join(map(str, self.chain_ids))}.\n\n'
            f"URI: https://{self.domain}\nVersion: 1\nChain ID: {self.chain_ids[0]}\nNonce: {self.nonce}\n"
            f"Issued At: {_time(self.issued_at)}\nExpiration Time: {_time(self.ends_at)}"
        )


class LinkChallenge(msgspec.Struct, frozen=True, kw_only=True):
    """What the owner of two wallets signs with each of them, so that they count as one person's."""

    domain: str
    wallet: str
    other: str
    chain_id: int
    nonce: str
    issued_at: datetime

    @property
    def ends_at(self) -> datetime:
        return self.issued_at + LIFE

    def message(self) -> str:
        """The text to sign, to the byte."""
        return (
            f"{self.domain} wants you to sign in with your Ethereum account:\n"
            f"{self.wallet}\n\n"
            f"I own this wallet and {self.other}; count them as one person's.\n\n"
            f"URI: https://{self.domain}\nVersion: 1\nChain ID: {self.chain_id}\nNonce: {self.nonce}\n"
            f"Issued At: {_time(self.issued_at)}\nExpiration Time: {_time(self.ends_at)}"
        )


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """What a message of ours says."""

    wallet: str
    level: str
    chain_ids: tuple[int, ...]
    nonce: str
    ends_at: datetime


def is_domain(text: str) -> bool:
    return re.fullmatch(_HOST, text) is not None


def read(message: str) -> Claimed | None:
    """None for a text that is no message of ours."""
    found = _MESSAGE.fullmatch(message) if len(message) <= LONGEST_MESSAGE else None
    if found is None:
        return None
    try:
        ends_at = datetime.strptime(found["ends"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    chain_ids = tuple(map(int, found["chains"].split(", ")))
    return Claimed(
        wallet=found["wallet"], level=found["level"], chain_ids=chain_ids, nonce=found["nonce"], ends_at=ends_at
    )


def signer_of(message: str, signature: str) -> str | None:
    """The address (EIP-55) whose key signed the message with `personal_sign`. None for what is no signature.

    65 bytes r | s | v in hex; v is 27 or 28, or 0 or 1 as some wallets write it.
    """
    if not _SIGNATURE.fullmatch(signature):
        return None
    raw = bytes.fromhex(signature[2:])
    parity = raw[64] - 27 if raw[64] >= 27 else raw[64]
    if parity not in (0, 1):
        return None
    body = message.encode()
    digest = keccak(b"\x19Ethereum Signed Message:\n" + str(len(body)).encode() + body)
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:64], "big")
    return address_of(digest, r=r, s=s, y_parity=parity)


def covers(message: str | None, signature: str | None, *, wallet: str, level: str, chain_ids: Sequence[int]) -> bool:
    """Did the owner of `wallet` ask for exactly this level, on all of these chains? For ever: it was asked in time."""
    claimed = read(message or "")
    return (
        claimed is not None
        and claimed.wallet == wallet
        and claimed.level == level
        and set(chain_ids) <= set(claimed.chain_ids)
        and signer_of(message or "", signature or "") == wallet
    )


def links(message: str, signature: str, *, wallet: str, other: str) -> str | None:
    """The nonce of a message in which the owner of `wallet` owns to `other` as well; None if it is no such thing."""
    found = _LINK.fullmatch(message) if len(message) <= LONGEST_MESSAGE else None
    if found is None or (found["wallet"], found["other"]) != (wallet, other):
        return None
    return found["nonce"] if signer_of(message, signature) == wallet else None


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
