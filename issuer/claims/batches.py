"""What can leave together in one transaction, in which form, and when."""

from collections.abc import Sequence
from functools import cache

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


class Batches(msgspec.Struct, frozen=True):
    """`full` ones gain nothing by waiting; `partial` ones, at most one of a kind, might fill up."""

    full: list[list[Claim]]
    partial: list[list[Claim]]


def batches(claims: Sequence[Claim], *, most: int) -> Batches:
    """Claims that can share a transaction, oldest first: one form, and one topic if it is hosted; `most` at most."""
    kinds: dict[tuple[str, str], list[Claim]] = {}
    for claim in claims:
        kinds.setdefault((claim.form, claim.topic if claim.form == rules.HOSTED else ""), []).append(claim)
    full, partial = [], []
    for (form, _), same in kinds.items():
        size = min(most, capacity(form))
        cut = [same[start : start + size] for start in range(0, len(same), size)]
        full += [batch for batch in cut if len(batch) == size]
        partial += [batch for batch in cut if len(batch) < size]
    return Batches(full, partial)


def gas(prepared: Sequence[Prepared]) -> int:
    """A gas limit for the batch."""
    if prepared[0].claim.form == rules.SIGNED:
        return contracts.onboard_gas([item.onboarding() for item in prepared])
    return contracts.onboard_hosted_gas([item.hosted() for item in prepared])


@cache
def capacity(form: str) -> int:
    """How many claims of a form fit into one transaction whatever they are: no byte of their calldata is a cheap 0."""
    dear = "0x" + "ff" * 20
    signed = Onboarding(
        wallet=dear,
        claims=(ClaimInput(topic=2**256 - 1, scheme=rules.SCHEME_ECDSA, signature=b"\xff" * 64, data=b"\xff" * 32),),
    )
    hosted = Hosted(wallet=dear, word=b"\xff" * 32)
    count = 1
    while (
        contracts.onboard_gas([signed] * (count + 1))
        if form == rules.SIGNED
        else contracts.onboard_hosted_gas([hosted] * (count + 1))
    ) <= contracts.MAX_TRANSACTION_GAS:
        count += 1
    return count


def lane_prefix(sender: str) -> int:
    """Keeps the leaves of several lanes apart, and those of one lane in few storage words at the ClaimIssuer."""
    return int(sender[2:18], 16)
