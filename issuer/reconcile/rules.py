"""Where chain, database and provider differ. Functions of values: no I/O, the chain's time is an argument.

A claim is compared by its key, (identity, topic) on one chain. While a transaction of a key is not settled, or its last
event is not deep enough, the two sides may rightly differ, and nothing is said about it.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from enum import StrEnum

import msgspec

from issuer.claims.rules import ClaimStatus

S = ClaimStatus
Key = tuple[str, str]


class Code(StrEnum):
    """Stable names of the differences; docs/operations.md says what each asks of an operator."""

    # about a claim
    MISSING_ON_CHAIN = "missing_on_chain"
    REMOVED_BY_HOLDER = "removed_by_holder"
    PUT_BACK_BY_HOLDER = "put_back_by_holder"
    OTHER_CLAIM_SHOWN = "other_claim_shown"
    NOT_VALID = "not_valid"
    EPOCH_AHEAD = "epoch_ahead"
    STALE_STATUS = "stale_status"
    REVOCATION_MISSING = "revocation_missing"
    UNKNOWN_ON_CHAIN = "unknown_on_chain"
    UNREADABLE = "unreadable"
    # about a case
    CLAIM_MISSING = "claim_missing"
    PROVIDER_DISAGREES = "provider_disagrees"
    # about a sender
    NONCE_UNACCOUNTED = "nonce_unaccounted"
    EXTRA_TRANSACTION = "extra_transaction"


# What `--repair` can mend through the moves that the daemon makes every day; the rest needs a person.
REPAIRABLE = frozenset(
    {
        Code.MISSING_ON_CHAIN,
        Code.REMOVED_BY_HOLDER,
        Code.PUT_BACK_BY_HOLDER,
        Code.OTHER_CLAIM_SHOWN,
        Code.EPOCH_AHEAD,
        Code.STALE_STATUS,
        Code.REVOCATION_MISSING,
        Code.PROVIDER_DISAGREES,
    }
)

# What the daemon mends by itself: the chain is right, and so is whoever may change it there.
AUTOMATIC = frozenset(
    {
        Code.REMOVED_BY_HOLDER,
        Code.PUT_BACK_BY_HOLDER,
        Code.EPOCH_AHEAD,
        Code.STALE_STATUS,
        Code.REVOCATION_MISSING,
    }
)

# While one of these is open, nothing new is issued to the Identity or its subject.
BLOCKING = frozenset({Code.UNKNOWN_ON_CHAIN})


class OnChain(msgspec.Struct, frozen=True, kw_only=True):
    """What the chain says of one key now.

    `shown`: the data that the Identity shows under our claim id, in hex; `valid`: our ClaimIssuer vouches for it.
    `removed`: the last event was a removal. `settled`: that event is deep enough to be believed. `readable` is false
    when the Identity, which may be anybody's code, gives no answer.
    """

    identity: str
    topic: str
    epoch: int
    shown: str | None = None
    valid: bool = False
    removed: bool = False
    settled: bool = True
    readable: bool = True


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """One of our claims. `pending`: a transaction of it is not settled. `valid_until` in Unix seconds."""

    id: str
    case_id: str
    identity: str
    topic: str
    status: ClaimStatus
    word: str | None = None
    epoch: int | None = None
    valid_until: int | None = None
    pending: bool = False


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """One case. `approved`: its claims should stand. `served`: a claim of its wallet stands or is on its way.

    `provider`: does the provider approve it now? None: not asked, or a person's word stands against the answer.
    """

    case_id: str
    approved: bool
    served: bool
    provider: bool | None = None


class Nonces(msgspec.Struct, frozen=True, kw_only=True):
    """One sender. `first` is the lowest nonce that is ours to account for, `used` how many the chain has used up,
    `attempted` the nonces we have signed bytes for, `mined` those of them whose bytes are in a block. `adopted` are
    those that a person has let go, in pairs of the first and the one after the last."""

    sender: str
    first: int
    used: int
    next_nonce: int
    attempted: frozenset[int]
    mined: frozenset[int]
    adopted: tuple[int, ...] = ()

    def let_go(self, nonce: int) -> bool:
        return any(first <= nonce < end for first, end in zip(self.adopted[::2], self.adopted[1::2], strict=True))


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One difference. `claim_id` and `case_id` are ours; `detail` is a sentence."""

    code: Code
    detail: str
    identity: str | None = None
    topic: str | None = None
    claim_id: str | None = None
    case_id: str | None = None
    sender: str | None = None
    nonce: int | None = None

    @property
    def repairable(self) -> bool:
        return self.code in REPAIRABLE


def compare(
    chain: Collection[OnChain], stored: Collection[Stored], cases: Collection[Judged], *, now: int
) -> list[Finding]:
    """Every difference, in an order that does not depend on that of the lists. `now`: chain time in Unix seconds."""
    return compare_claims(chain, stored, now=now) + compare_cases(cases)


def compare_claims(chain: Collection[OnChain], stored: Collection[Stored], *, now: int) -> list[Finding]:
    """Of the keys in `chain`; claims of other keys are left alone."""
    rows: dict[Key, list[Stored]] = defaultdict(list)
    for row in sorted(stored, key=lambda row: row.id):
        rows[row.identity, row.topic].append(row)
    findings: list[Finding] = []
    for seen in sorted(chain, key=lambda seen: (seen.identity, seen.topic)):
        findings += _of_key(seen, rows[seen.identity, seen.topic], now)
    return findings


def compare_cases(cases: Iterable[Judged]) -> list[Finding]:
    findings = []
    for case in sorted(cases, key=lambda case: case.case_id):
        if case.provider is not None and case.provider is not case.approved:
            detail = f"the provider {'approves' if case.provider else 'does not approve'} it now"
            findings.append(Finding(code=Code.PROVIDER_DISAGREES, detail=detail, case_id=case.case_id))
        if case.approved and not case.served:
            detail = "approved, and no claim of it stands or is on its way"
            findings.append(Finding(code=Code.CLAIM_MISSING, detail=detail, case_id=case.case_id))
    return findings


def compare_nonces(lanes: Iterable[Nonces]) -> list[Finding]:
    """Every nonce that the chain used up, or that we gave away, has bytes of ours; a used one has ours in a block."""
    findings = []
    for lane in lanes:
        for nonce in range(lane.first, max(lane.used, lane.next_nonce)):
            if nonce not in lane.attempted and lane.let_go(nonce):
                continue
            if nonce not in lane.attempted:
                code, detail = Code.NONCE_UNACCOUNTED, "no signed transaction is stored for this nonce"
            elif nonce < lane.used and nonce not in lane.mined:
                code, detail = Code.EXTRA_TRANSACTION, "the chain used this nonce for a transaction that is not ours"
            else:
                continue
            findings.append(Finding(code=code, detail=detail, sender=lane.sender, nonce=nonce))
    return findings


def _of_key(seen: OnChain, rows: Sequence[Stored], now: int) -> list[Finding]:
    if not seen.settled:
        return []
    settled = not any(row.pending for row in rows)
    if not seen.readable:
        standing = [row for row in rows if row.status is S.CONFIRMED]
        unread = [_about(row, Code.UNREADABLE, "the Identity gives no answer about its claim") for row in standing]
        return unread + [finding for row in rows if settled for finding in _of_epoch(seen, row)]
    findings = []
    if seen.valid and seen.shown not in {row.word for row in rows}:
        detail = "our ClaimIssuer vouches for a claim that is not in the database"
        unknown = Finding(code=Code.UNKNOWN_ON_CHAIN, detail=detail, identity=seen.identity, topic=seen.topic)
        findings.append(unknown)
    if settled:
        return findings + [finding for row in rows for finding in _of_row(seen, row, now)]
    return findings + [
        _about(row, Code.STALE_STATUS, "the chain shows the claim and its transaction is not settled here")
        for row in rows
        if row.pending and row.status in (S.SIGNED, S.MINED) and seen.valid and row.word == seen.shown
    ]


def _of_row(seen: OnChain, row: Stored, now: int) -> Iterator[Finding]:
    if row.word is None or row.epoch is None:
        return  # never signed: the chain cannot know of it
    stands = seen.valid and seen.shown == row.word
    if row.status is S.CONFIRMED:
        yield from _of_standing(seen, row, now)
    elif row.status in (S.QUEUED, S.SIGNED, S.MINED, S.FAILED) and stands:
        yield _about(row, Code.STALE_STATUS, f"stands on chain and is {row.status} here")
    elif row.status is S.REMOVED and stands:
        yield _about(row, Code.PUT_BACK_BY_HOLDER, "its holder had removed it and it stands again")
    else:
        yield from _of_epoch(seen, row)


def _of_epoch(seen: OnChain, row: Stored) -> Iterator[Finding]:
    """Whether it is revoked our ClaimIssuer says, whatever the Identity does."""
    if row.word is None or row.epoch is None:
        return
    if row.status is S.REVOKING and seen.epoch > row.epoch:
        yield _about(row, Code.STALE_STATUS, "revoked on chain and revoking here")
    elif row.status is S.REVOKED and seen.epoch <= row.epoch:
        yield _about(row, Code.REVOCATION_MISSING, f"revoked here, and the chain is still in its epoch {row.epoch}")


def _of_standing(seen: OnChain, row: Stored, now: int) -> Iterator[Finding]:
    assert row.epoch is not None
    expired = row.valid_until is not None and row.valid_until <= now
    if seen.epoch > row.epoch:
        yield _about(row, Code.EPOCH_AHEAD, f"revoked on chain: its epoch {row.epoch} is over, {seen.epoch} runs")
    elif seen.shown == row.word:
        if not seen.valid and not expired:
            yield _about(row, Code.NOT_VALID, "stands on chain, but our ClaimIssuer does not vouch for it")
    elif seen.valid:
        yield _about(row, Code.OTHER_CLAIM_SHOWN, "the Identity shows another claim of ours in its place")
    elif seen.removed:
        yield _about(row, Code.REMOVED_BY_HOLDER, "its holder removed it")
    elif not expired:
        yield _about(row, Code.MISSING_ON_CHAIN, "the Identity does not show it")


def _about(row: Stored, code: Code, detail: str) -> Finding:
    return Finding(
        code=code, detail=detail, identity=row.identity, topic=row.topic, claim_id=row.id, case_id=row.case_id
    )
