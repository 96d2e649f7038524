"""Which keys a ClaimIssuer accepts claims of, and what its manager sends to change that.

Sources: `contracts/interfaces/IClaimSigners.sol`, `IERC734.sol`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from issuer.chain import abi, contracts
from issuer.chain.contracts import KEY_TYPE_CLAIMWRIGHT, PURPOSE_CLAIM
from issuer.chain.gateway import Gateway


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """One transaction of a contract's manager; `to` EIP-55."""

    what: str
    to: str
    data: bytes


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Which of a signer's claims count: by when they were issued, and how long they live. None or 0: no limit."""

    issued_from: datetime | None = None
    issued_until: datetime | None = None
    max_life_days: int = 0

    def values(self) -> tuple[int, int, int]:
        """As the contract takes them: Unix seconds, and days."""
        return _seconds(self.issued_from), _seconds(self.issued_until), self.max_life_days


class SignerState(msgspec.Struct, frozen=True, kw_only=True):
    """What the ClaimIssuer knows of an address. Not `registered`: nothing that it signed counts."""

    address: str
    registered: bool
    suspended: bool
    terms: Terms


def add(claim_issuer: str, signer: str, terms: Terms) -> list[Act]:
    data = abi.ADD_KEY.calldata(contracts.key_of(signer), PURPOSE_CLAIM, KEY_TYPE_CLAIMWRIGHT)
    added = Act(what=f"the ClaimIssuer accepts claims signed by {signer}", to=claim_issuer, data=data)
    return [added] if terms == Terms() else [added, *limit(claim_issuer, signer, terms)]


def limit(claim_issuer: str, signer: str, terms: Terms) -> list[Act]:
    """Replaces the terms that it had."""
    data = abi.SET_SIGNER_TERMS.calldata(signer, *terms.values())
    return [Act(what=f"terms for what {signer} signs", to=claim_issuer, data=data)]


def suspend(claim_issuer: str, signer: str) -> list[Act]:
    data = abi.SUSPEND_SIGNER.calldata(signer)
    return [Act(what=f"nothing that {signer} signed counts", to=claim_issuer, data=data)]


def restore(claim_issuer: str, signer: str) -> list[Act]:
    data = abi.RESTORE_SIGNER.calldata(signer)
    return [Act(what=f"what {signer} signed counts again", to=claim_issuer, data=data)]


def remove(claim_issuer: str, signer: str) -> list[Act]:
    data = abi.REMOVE_KEY.calldata(contracts.key_of(signer), PURPOSE_CLAIM)
    return [Act(what=f"the ClaimIssuer accepts claims of {signer} no longer", to=claim_issuer, data=data)]


async def states(gateway: Gateway, claim_issuer: str, signers: Sequence[str]) -> list[SignerState]:
    """In the order asked. Raises the gateway's errors."""
    keys = [abi.GET_KEY.call(claim_issuer, contracts.key_of(signer)) for signer in signers]
    terms = [abi.SIGNER_TERMS.call(claim_issuer, signer) for signer in signers]
    answers = await gateway.call([*keys, *terms])
    return [
        _state(signer, key, told)
        for signer, key, told in zip(signers, answers[: len(keys)], answers[len(keys) :], strict=True)
    ]


def _state(signer: str, key: bytes | None, terms: bytes | None) -> SignerState:
    purposes, key_type = contracts.decoded(abi.GET_KEY.outputs, key)[:2] if key else ((), 0)
    first, last, days, suspended = contracts.decoded(abi.SIGNER_TERMS.outputs, terms) if terms else (0, 0, 0, False)
    return SignerState(
        address=signer,
        registered=PURPOSE_CLAIM in purposes and key_type == KEY_TYPE_CLAIMWRIGHT,
        suspended=suspended,
        terms=Terms(issued_from=_moment(first), issued_until=_moment(last), max_life_days=days),
    )


def _seconds(at: datetime | None) -> int:
    return 0 if at is None else int(at.timestamp())


def _moment(seconds: int) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
