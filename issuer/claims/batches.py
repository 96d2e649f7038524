"""What can leave together in one transaction, and in which form."""

import msgspec

from issuer.chain import contracts
from issuer.chain.contracts import ClaimInput, Hosted, Onboarding
from issuer.claims import rules
from issuer.claims.tables import Claim


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """One claim ready to go into a batch. A hosted one has no signature of its own: its batch is signed as a whole."""

    claim: Claim
    word: bytes
    signature: bytes | None

    def onboarding(self) -> Onboarding:
        claim_input = ClaimInput(
            topic=int(self.claim.topic), scheme=rules.SCHEME_ECDSA, signature=self.signature or b"", data=self.word
        )
        return Onboarding(wallet=self.claim.wallet, claims=(claim_input,))

    def hosted(self) -> Hosted:
        return Hosted(wallet=self.claim.wallet, word=self.word)


def one_kind(claims: list[Claim]) -> list[Claim]:
    """Those that can share a transaction with the first: the same form, and the same topic if it is hosted."""
    first = claims[0]
    same = [claim for claim in claims if claim.form == first.form]
    return same if first.form == rules.SIGNED else [claim for claim in same if claim.topic == first.topic]


def gas(prepared: list[Prepared]) -> int:
    """A gas limit for the batch, which may be above what one transaction can ask for."""
    if prepared[0].claim.form == rules.SIGNED:
        return contracts.onboard_gas([item.onboarding() for item in prepared])
    return contracts.onboard_hosted_gas([item.hosted() for item in prepared])


def lane_prefix(sender: str) -> int:
    """Keeps the leaves of several lanes apart, and those of one lane in few storage words at the ClaimIssuer."""
    return int(sender[2:18], 16)
