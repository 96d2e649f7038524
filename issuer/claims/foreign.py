"""Claims for Identities made elsewhere: whose the Identity is, who may write there, and what its holder sends himself.

An Identity made elsewhere is anybody's code. What it says decides where a claim of its own holder goes, and nothing
else: no answer of it makes a claim true.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from issuer.chain import contracts
from issuer.chain.asking import ask_each
from issuer.chain.contracts import PURPOSE_CLAIM, PURPOSE_MANAGEMENT, ClaimInput
from issuer.chain.gateway import Call, Event, Gateway
from issuer.chain.rules import confirmations
from issuer.claims import store, succession
from issuer.claims.moving import Moves
from issuer.claims.plain import Queued
from issuer.claims.rules import ClaimStatus
from issuer.claims.tables import Claim
from issuer.clock import now as clock_now
from issuer.db import Database

S = ClaimStatus
NOT_CONTROLLED = "identity_not_controlled"
OFFERED = 200  # claims looked at in one step
SPAN, SPANS = 2_000, 25  # blocks searched for a holder's transaction, newest first


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """Is the Identity the wallet's, may our ClaimIssuer write there, and what does it show under our claim id?"""

    controlled: bool
    writable: bool
    epoch: int
    shown: ClaimInput | None


async def survey(gateway: Gateway, claims: Sequence[Queued], *, factory: str, claim_issuer: str) -> list[Survey]:
    """One for each claim, in order. A wallet controls an Identity as its manager, or by a link at our factory."""
    calls = [call for claim in claims for call in _questions(claim, factory, claim_issuer)]
    answers = iter(await ask_each(gateway, calls))
    found = []
    for claim in claims:
        epoch, linked, managed, shown, *writing = [next(answers) for _ in range(6)]
        found.append(
            Survey(
                controlled=contracts.says_yes(managed) or contracts.says_address(linked) == claim.identity,
                writable=_may_write(claim_issuer, writing),
                epoch=contracts.decode_uint(epoch),
                shown=contracts.decode_claim(shown),
            )
        )
    return found


def _questions(claim: Queued, factory: str, claim_issuer: str) -> list[Call]:
    return [
        contracts.epoch_of(claim_issuer, claim.identity, int(claim.topic)),
        contracts.get_identity(factory, claim.wallet),
        contracts.key_has_purpose(claim.identity, contracts.key_of(claim.wallet), PURPOSE_MANAGEMENT),
        *_offer_questions(claim, claim_issuer),
    ]


def _offer_questions(claim: Claim | Queued, claim_issuer: str) -> list[Call]:
    """What stands there, and may our ClaimIssuer write: by a key, or as the adder of an Identity of our making?"""
    return [
        contracts.get_claim(claim.identity, bytes.fromhex(claim.onchain_id[2:])),
        contracts.key_has_purpose(claim.identity, contracts.key_of(claim_issuer), PURPOSE_CLAIM),
        contracts.adder(claim.identity),
    ]


def _may_write(claim_issuer: str, answers: Sequence[bytes | None]) -> bool:
    key, adder = answers
    return contracts.says_yes(key) or contracts.says_address(adder) == claim_issuer


class Offers:
    """Watches for what holders send: one chain's claims that were signed and that only they can put on chain."""

    def __init__(
        self,
        db: Database,
        gateway: Gateway,
        *,
        chain_id: int,
        claim_issuer: str,
        depth: int,
        clock: Callable[[], datetime] = clock_now,
    ) -> None:
        self._db = db
        self._gateway = gateway
        self._chain_id = chain_id
        self._issuer = claim_issuer
        self._depth = depth
        self._clock = clock

    async def step(self) -> bool:
        """Look at each offered claim once. True if one may be sent by us now."""
        async with self._db.read() as session:
            claims = await store.offered(session, self._chain_id, limit=OFFERED)
        if not claims:
            return False
        head = await self._gateway.head()  # first: what the answers show is of this block or a newer one
        answers = await ask_each(
            self._gateway, [call for claim in claims for call in _offer_questions(claim, self._issuer)]
        )
        free = False
        for place, claim in enumerate(claims):
            shown, *writing = answers[3 * place : 3 * place + 3]
            stands = _shows(claim, contracts.decode_claim(shown))
            sent = await self._sent(claim, head.number) if stands and claim.status == S.SIGNED else None
            free |= await self._judge(claim, stands, _may_write(self._issuer, writing), sent, head.number)
        return free

    async def _judge(self, seen: Claim, stands: bool, writable: bool, sent: Event | None, head: int) -> bool:
        async with self._db.write() as session:
            claims = (await store.locked_to_settle(session, [seen.id])).values()
            moves = Moves(self._clock(), claims)
            for claim in claims:
                if claim.status != seen.status:
                    return False
                claim.next_try_at = moves.at  # looked at; the others first
                if stands and claim.status == S.SIGNED:
                    claim.tx_hash = sent.tx_hash if sent else None
                    claim.block_number = sent.block_number if sent else head
                    detail = {"tx_hash": claim.tx_hash, "block_number": claim.block_number}
                    moves.add(claim, S.MINED, cause="sent_by_holder", detail=detail)
                if stands and confirmations(head, claim.block_number or head) >= self._depth:
                    claim.detail = None
                    await succession.confirm(session, [(claim, {})], moves, cause="sent_by_holder")
                elif not stands and claim.status == S.MINED:
                    claim.tx_hash = claim.block_number = None
                    moves.add(claim, S.SIGNED, cause="reorg")
                elif not stands and writable:
                    claim.detail = None
                    moves.add(claim, S.QUEUED, cause="key_given")
                    await moves.write(session)
                    return True
            await moves.write(session)
        return False

    async def _sent(self, claim: Claim, head: int) -> Event | None:
        """The holder's transaction, if it is not too long ago."""
        kinds = [contracts.CLAIM_ADDED, contracts.CLAIM_CHANGED]
        claim_id = bytes.fromhex(claim.onchain_id[2:])
        last = head
        for _ in range(SPANS):
            if last < 0:
                break
            first = max(0, last - SPAN + 1)
            found = await self._gateway.logs(first, last, [kinds, [claim_id]], address=claim.identity)
            if found:
                return found[-1]
            last = first - 1
        return None


def _shows(claim: Claim, shown: ClaimInput | None) -> bool:
    return (
        shown is not None and "0x" + shown.data.hex() == claim.word and "0x" + shown.signature.hex() == claim.signature
    )
