"""What can leave together in one transaction, in which form, and when."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import cache

import msgspec

from issuer.chain import contracts
from issuer.chain.contracts import Addition, Authorization, ClaimInput, Hosted, Onboarding
from issuer.claims import rules
from issuer.claims.plain import Queued

FOREIGN = "foreign"
# Claims of one step, at most and at least. More would spread a step's fixed costs further, but would also hold SQLite's
# one write lock, for which webhooks wait, longer than the fifth of a second that this many take.
WAVE, LEAST_WAVE = 1024, 128
LONG_STEP_SECONDS = 2.0  # a lane's lease lasts five, and revocations wait for the step to end


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """One claim ready to go into a batch. A hosted one has no signature of its own: its batch is signed as a whole."""

    claim: Queued
    word: bytes
    signature: bytes | None

    def onboarding(self) -> Onboarding:
        claim_input = ClaimInput(
            topic=int(self.claim.topic), scheme=rules.SCHEME_ECDSA, signature=self.signature or b"", data=self.word
        )
        return Onboarding(wallet=self.claim.wallet, claims=(claim_input,))

    def addition(self) -> Addition:
        (claim_input,) = self.onboarding().claims
        return Addition(identity=self.claim.identity, claim=claim_input)

    def hosted(self) -> Hosted:
        return Hosted(wallet=self.claim.wallet, word=self.word)


def leaving(
    claims: Sequence[Queued],
    *,
    most: int,
    now: datetime,
    newest_at: datetime | None,
    block: timedelta,
    more: bool = False,
) -> list[list[Queued]]:
    """What of these claims (oldest first) leaves now, each list in a transaction of at most `most`.

    Full batches leave at once. The rest of a kind waits for company for `block` at most: since its oldest was queued,
    or since the newest unmined transaction was made; for none at all if there is no such one (`newest_at` is None).
    But if `more` is waiting behind these claims, the rest behind full ones goes with the next of its kind.
    """
    full: list[list[Queued]] = []
    rests: list[list[Queued]] = []
    for (kind, _), same in _kinds(claims).items():
        size = min(most, capacity(kind))
        whole = len(same) // size * size
        full += [same[start : start + size] for start in range(0, whole, size)]
        rest = same[whole:]
        if rest and not (more and whole) and (newest_at is None or now - min(newest_at, _oldest(rest)) >= block):
            rests.append(rest)
    return full + rests


def _oldest(claims: Iterable[Queued]) -> datetime:
    return min(claim.created_at for claim in claims)


def next_wave(wave: int, took: float) -> int:
    """How many claims the next step takes on: a busy machine or a slow signer gets smaller bites. `took` in seconds."""
    if took > LONG_STEP_SECONDS:
        return max(wave // 2, LEAST_WAVE)
    return min(wave * 2, WAVE) if took < LONG_STEP_SECONDS / 4 else wave


def _kinds(claims: Sequence[Queued]) -> dict[tuple[str, str], list[Queued]]:
    """Those that can share a transaction: one kind, and one topic if it is hosted."""
    kinds: dict[tuple[str, str], list[Queued]] = {}
    for claim in claims:
        kinds.setdefault((kind_of(claim), claim.topic if claim.form == rules.HOSTED else ""), []).append(claim)
    return kinds


def kind_of(claim: Queued) -> str:
    """How it goes on chain: in a form of its own, or added to an Identity made elsewhere."""
    return FOREIGN if claim.foreign else claim.form


def is_signed_alone(claim: Queued) -> bool:
    """Has it a signature of its own? A hosted one is signed with its batch."""
    return claim.form != rules.HOSTED


def gas(prepared: Sequence[Prepared], calldata: bytes) -> int:
    """A gas limit for the batch."""
    kind = kind_of(prepared[0].claim)
    if kind == FOREIGN:
        return contracts.add_claims_to_gas([item.addition() for item in prepared], calldata)
    if kind == rules.SIGNED:
        return contracts.onboard_gas([item.onboarding() for item in prepared], calldata)
    return contracts.onboard_hosted_gas(len(prepared), calldata)


@cache
def capacity(kind: str) -> int:
    """How many claims of a kind fit into one transaction whatever they are: no byte of their calldata is a cheap 0."""
    return bisect_right(range(1, WAVE), contracts.MAX_TRANSACTION_GAS, key=lambda count: _most_gas(kind, count))


def _most_gas(kind: str, count: int) -> int:
    wallet, word, signature = "0x" + "ff" * 20, b"\xff" * 32, b"\xff" * 64
    claim = ClaimInput(topic=2**256 - 1, scheme=rules.SCHEME_ECDSA, signature=signature, data=word)
    if kind == FOREIGN:
        added = [Addition(identity=wallet, claim=claim)] * count
        return contracts.add_claims_to_gas(added, contracts.add_claims_to(added))
    if kind == rules.SIGNED:
        signed = [Onboarding(wallet=wallet, claims=(claim,))] * count
        return contracts.onboard_gas(signed, contracts.onboard(signed))
    hosted = [Hosted(wallet=wallet, word=word)] * count
    leave = Authorization(nonce=2**256 - 1, deadline=2**256 - 1, signature=signature)
    return contracts.onboard_hosted_gas(count, contracts.onboard_hosted(2**256 - 1, hosted, leave))


def lane_prefix(sender: str) -> int:
    """Keeps the leaves of several lanes apart, and those of one lane in few storage words at the ClaimIssuer."""
    return int(sender[2:18], 16)
