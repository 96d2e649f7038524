"""A signed claim as its holder can put it on the Identity: nothing of ours is needed to send it."""

import msgspec

from issuer.chain import contracts
from issuer.chain.contracts import ClaimInput
from issuer.claims import rules
from issuer.claims.rules import ClaimStatus
from issuer.claims.tables import Claim
from issuer.errors import Conflict

S = ClaimStatus
_OFFERED = frozenset({S.SIGNED, S.MINED, S.CONFIRMED, S.REMOVED, S.FAILED})


class HolderCall(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction for the holder's wallet: `data` to the Identity `to` on `chain_id`. `claim_id` as in ERC-735."""

    chain_id: int
    to: str
    data: str
    claim_id: str


def for_holder(claim: Claim) -> HolderCall:
    """`addClaim` with what we signed. Raises `Conflict` when there is nothing to offer."""
    if claim.status not in _OFFERED:
        raise Conflict(f"a claim that is {claim.status} is not offered to its holder")
    if claim.form != rules.SIGNED or claim.word is None or claim.signature is None or claim.issuer is None:
        raise Conflict("this claim has no signature that its holder could send")
    signed = ClaimInput(
        topic=int(claim.topic),
        scheme=rules.SCHEME_ECDSA,
        signature=bytes.fromhex(claim.signature[2:]),
        data=bytes.fromhex(claim.word[2:]),
    )
    return HolderCall(
        chain_id=claim.chain_id,
        to=claim.identity,
        data="0x" + contracts.add_claim(claim.issuer, signed).hex(),
        claim_id=claim.onchain_id,
    )
