"""Wallets: who owns them, whose they are together, and how they stand."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

Wallet = Annotated[
    str,
    Meta(
        description="20-byte address in hex: all lower case, or in EIP-55 mixed case.",
        examples=["0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"],
    ),
]


class ProofBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A challenge that the wallet's owner signed."""

    message: Annotated[str, Meta(max_length=2000, description="As the challenge gave it, to the byte.")]
    signature: Annotated[str, Meta(max_length=132, description="`personal_sign` of it: 0x and 65 bytes.")]

    def __repr__(self) -> str:
        return "ProofBody(***)"


class AskForChallenge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the owner of a wallet is to be asked to sign."""

    level: Annotated[str, Meta(description="One of GET /v1/levels.", examples=["basic"])]
    domain: Annotated[str, Meta(description="Your dapp's host, which the wallet will show.", examples=["dapp.example"])]
    chain_ids: Annotated[
        list[int] | None, Meta(description="Chains that the case will be for. Default: every configured one.")
    ] = None


class ChallengeView(msgspec.Struct, frozen=True, kw_only=True):
    """Have `message` signed with `personal_sign` before `ends_at`, then send both as `proof` of POST /v1/cases."""

    message: str
    ends_at: datetime


class AskToLink(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two wallets that are to count as one person's."""

    wallet: Annotated[str, Meta(description="The other wallet: EIP-55, or all lower case.")]
    domain: Annotated[
        str, Meta(description="Your dapp's host, which the wallets will show.", examples=["dapp.example"])
    ]


class LinkChallenges(msgspec.Struct, frozen=True, kw_only=True):
    """Have each message signed by its own wallet with `personal_sign`, then send both to POST .../link."""

    message: str
    other_message: str
    ends_at: datetime


class LinkWallets(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Both halves of a link, each signed by its own wallet."""

    wallet: Annotated[str, Meta(description="The other wallet.")]
    proof: ProofBody
    other_proof: ProofBody


class LinkedWallets(msgspec.Struct, frozen=True, kw_only=True):
    wallets: list[str]


class SubjectStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`topics` are those with a confirmed claim that has not run out; `verified_until` the earliest end of them."""

    wallet: str
    summary: str
    verified_at: datetime | None
    verified_until: datetime | None
    topics: list[str]
