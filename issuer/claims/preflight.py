"""What lets a queued claim leave: its sealed decision, what the chain says, and its signature."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from time import monotonic

import msgspec
import structlog

from issuer import crashpoint
from issuer.cases import evidence, ownership
from issuer.cases.levels import Policy
from issuer.cases.rules import CaseStatus
from issuer.cases.sealing import Backing, Sealed, is_proved, policy_of
from issuer.chain import contracts
from issuer.chain.contracts import ClaimInput, Standing
from issuer.chain.gateway import Call, Gateway, Head
from issuer.chain.lanes import LaneKeeper, Quote
from issuer.chain.rules import is_local, shard
from issuer.chain.store import InFlight
from issuer.claims import foreign, rules, store, succession, waiting
from issuer.claims.batches import Prepared, is_signed_alone, leaving
from issuer.claims.moving import Moves, move
from issuer.claims.plain import Queued
from issuer.claims.rules import ClaimStatus, Firewall
from issuer.claims.settle import backoff
from issuer.claims.signing import ClaimSigning
from issuer.clock import now as clock_now
from issuer.db import Database
from issuer.secrets import KeyRing
from issuer.stops import store as stops

ASKED_TOGETHER = 256  # wallets of one question, which takes a node some 3,000,000 gas: any answers that

log = structlog.get_logger(__name__)


class Contracts(msgspec.Struct, frozen=True, kw_only=True):
    """Where our contracts are on this chain (EIP-55)."""

    claim_issuer: str
    factory: str


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """Signed claims: those that share a transaction each, and those that are offered to their holders.

    `head`: what they were checked at; `quote`: what the lane had then. `more`: others waited behind them. `at`: seconds
    of the monotonic clock.
    """

    batches: Sequence[Sequence[Prepared]] = ()
    offered: Sequence[Prepared] = ()
    head: Head | None = None
    quote: Quote | None = None
    more: bool = False
    at: float

    @property
    def claim_ids(self) -> list[str]:
        return [item.claim.id for items in (*self.batches, self.offered) for item in items]


class Preflight:
    """`batch_size` claims at most share a transaction, fewer if they would not fit into its gas.

    What it finds is looked at again when it is committed. Written here is only what is not to be signed as it stands.
    """

    def __init__(
        self,
        db: Database,
        gateway: Gateway,
        lane: LaneKeeper,
        signing: ClaimSigning,
        contracts_at: Contracts,
        *,
        decision_keys: KeyRing,
        firewall: Firewall,
        batch_size: int,
        clock: Callable[[], datetime] = clock_now,
    ) -> None:
        self._db = db
        self._gateway = gateway
        self._lane = lane
        self._signing = signing
        self._at = contracts_at
        self._decision_keys = decision_keys
        self._firewall = firewall
        self._batch_size = batch_size
        self._clock = clock

    async def make_ready(self, limit: int, beside: Sequence[Ready] = ()) -> Ready | None:
        """Of so many claims at most, those that can leave. `beside`: other waves, made and not committed yet.

        None: nothing moved, and nothing can leave. Raises `LaneHeld` and what the gateway raises.
        """
        in_flight = await self._lane.in_flight()
        if beside:
            count = in_flight.count + sum(len(wave.batches) for wave in beside)
            in_flight = msgspec.structs.replace(in_flight, count=count, newest_at=self._clock())
        room = self._lane.profile.max_unmined - in_flight.count
        if room <= 0:
            return None
        async with self._db.read() as session:
            if await stops.standing(session, [self._lane.chain_id]):
                return None  # what waits goes on waiting; `claimwright stop lift` lets it go
            rows = await waiting.ready(
                session,
                self._lane.chain_id,
                now=self._clock(),
                limit=limit,
                share=self._lane.share,
                without=[claim_id for wave in beside for claim_id in wave.claim_ids],
            )
            if not rows:
                return None
            case_ids = [case.id for _, case in rows]
            decisions = await store.newest_sealed(session, case_ids)
            vetoed = await evidence.vetoed(session, case_ids, self._decision_keys)
        proved: list[Queued] = []
        unproved: list[Queued] = []
        outdated: list[Queued] = []
        allowed = self._allowed({case.id: case for _, case in rows if case.id not in vetoed}, decisions)
        ends = _ends(allowed, decisions)
        for claim, case in rows:
            sound = self._is_backed(claim, case, decisions.get(case.id), allowed.get(case.id))
            fresh = case.id not in ends or ends[case.id] > self._clock()
            (unproved if not sound else proved if fresh else outdated).append(claim)
        await self._hold(unproved, "decision_not_proved")
        await self._hold(outdated, rules.REVERIFICATION_DUE)
        more = len(rows) == limit
        batches = self._leaving(proved, in_flight, more=more)[:room]
        if not batches:
            return Ready(at=monotonic()) if unproved or outdated else None
        return await self._prepared(batches, {case.id: case for _, case in rows}, ends, more=more)

    def _allowed(self, cases: Mapping[str, Backing], decisions: Mapping[str, Sealed]) -> dict[str, Policy]:
        """By case: what its newest decision allows, if that is an approval that a daemon sealed."""
        found = {}
        for case_id, case in cases.items():
            decision = decisions.get(case_id)
            if decision is None or decision.outcome != CaseStatus.APPROVED:
                continue
            policy = policy_of(case, decision) if is_proved(case, decision, self._decision_keys) else None
            if policy is not None:
                found[case_id] = policy
        return found

    def _is_backed(self, claim: Queued, case: Backing, decision: Sealed | None, policy: Policy | None) -> bool:
        """Is the claim what its case's newest decision, sealed by a daemon, allows, and nothing else?

        Claims can be changed by the process that faces the internet, so each of its words is compared with sealed ones.
        The form is the operator's choice and makes nothing true: both need the claim signer.
        """
        return (
            decision is not None
            and policy is not None
            and decision.id == claim.decision_id
            and claim.wallet == case.wallet
            and _is_there(claim, case)
            and int(claim.topic) in policy.topics
            and claim.validity_seconds == policy.validity_seconds
            and claim.chain_id in case.chain_ids
            and self._firewall.lets(case.environment, claim.chain_id)
            and _is_asked_for(case, claim.chain_id)
            and claim.onchain_id == "0x" + rules.onchain_id(self._at.claim_issuer, int(claim.topic)).hex()
        )

    def _leaving(self, claims: Sequence[Queued], in_flight: InFlight, *, more: bool) -> list[list[Queued]]:
        block = timedelta(seconds=self._lane.profile.block_seconds)
        return leaving(
            claims, most=self._batch_size, now=self._clock(), newest_at=in_flight.newest_at, block=block, more=more
        )

    async def _prepared(
        self, batches: list[list[Queued]], cases: Mapping[str, Backing], ends: Mapping[str, datetime], *, more: bool
    ) -> Ready:
        """Ask the chain about each claim, then sign those that are still to be made."""
        everything = [claim for batch in batches for claim in batch]
        claims = [claim for claim in everything if not claim.foreign]
        (head, standings, shown), quote = await asyncio.gather(self._standings(claims), self._lane.quote())
        crashpoint.reached("issue.preflight")
        epochs: dict[str, int] = {}
        for claim, there in zip(claims, standings, strict=True):
            if there.identity != claim.identity:
                await self._change_identity(claim, there.identity)
            elif _stands(claim, shown.get(claim.id), there.epoch):
                await self._adopt(claim)
            else:
                epochs[claim.id] = there.epoch
        offered = await self._survey([claim for claim in everything if claim.foreign], epochs)
        wanted = [claim for claim in everything if claim.id in epochs]
        async with self._lane.signatures_of(self._signing.address, wanted=any(map(is_signed_alone, wanted))):
            prepared, unmade = await self._signing.sign(wanted, cases, epochs, head, ends)
        await self._hold(unmade, "claim_not_made")
        by_id = {item.claim.id: item for item in prepared if item.claim.id not in offered}
        signed = [[by_id[claim.id] for claim in batch if claim.id in by_id] for batch in batches]
        return Ready(
            batches=[batch for batch in signed if batch],
            offered=[item for item in prepared if item.claim.id in offered],
            head=head,
            quote=quote,
            more=more,
            at=monotonic(),
        )

    async def _survey(self, claims: Sequence[Queued], epochs: dict[str, int]) -> set[str]:
        """Claims for Identities made elsewhere: notes the epochs of those to be signed.

        Returns the ids of those that are only offered to their holders.
        """
        offered = set()
        found = await foreign.survey(
            self._gateway, claims, factory=self._at.factory, claim_issuer=self._at.claim_issuer
        )
        for claim, there in zip(claims, found, strict=True):
            if not there.controlled:
                await self._hold([claim], foreign.NOT_CONTROLLED)
            elif _stands(claim, there.shown, there.epoch):
                await self._adopt(claim)
            else:
                epochs[claim.id] = there.epoch
                if not there.writable:
                    offered.add(claim.id)
        return offered

    async def _standings(self, claims: Sequence[Queued]) -> tuple[Head, list[Standing], dict[str, ClaimInput | None]]:
        """Of a head: where each identity is, with its epoch; and by claim id what is there, if it was ever signed."""
        lists = [claims[start : start + ASKED_TOGETHER] for start in range(0, len(claims), ASKED_TOGETHER)]
        signed = [claim for claim in claims if claim.word is not None]
        calls = [self._question(several) for several in lists]
        calls += [contracts.get_claim(claim.identity, bytes.fromhex(claim.onchain_id[2:])) for claim in signed]
        head, answers = await self._gateway.snapshot(calls)
        found: list[Standing] = []
        for several, answer in zip(lists, answers, strict=False):
            found += contracts.decode_standings(answer, len(several))
        onchain = zip(signed, answers[len(lists) :], strict=True)
        return head, found, {claim.id: contracts.decode_claim(answer) for claim, answer in onchain}

    def _question(self, claims: Sequence[Queued]) -> Call:
        wallets, topics = [claim.wallet for claim in claims], [int(claim.topic) for claim in claims]
        return contracts.standings(self._at.factory, self._at.claim_issuer, wallets, topics)

    async def _change_identity(self, claim: Queued, identity: str) -> None:
        """The wallet was linked to another Identity since the claim was queued."""
        async with self._db.write() as session:
            taken = await store.waiting_for(session, identity, claim.topic, claim.chain_id)
            for row in await store.locked(session, [claim.id]):
                if row.status != ClaimStatus.QUEUED:
                    continue
                if taken is None:
                    row.identity, row.updated_at = identity, self._clock()
                    row.shard = shard(identity, row.topic)
                else:
                    row.next_try_at = self._clock() + backoff(1)  # the other one goes first

    async def _adopt(self, claim: Queued) -> None:
        """This very claim stands on chain: somebody sent our signature. Nothing is sent twice (invariant I15)."""
        async with self._db.write() as session:
            for row in (await store.locked_to_settle(session, [claim.id])).values():
                if row.status == ClaimStatus.QUEUED:
                    moves = Moves(self._clock(), [row])
                    await succession.confirm(session, [(row, {})], moves, cause="already_on_chain")
                    await moves.write(session)

    async def _hold(self, claims: Sequence[Queued], cause: str) -> None:
        """Alone: the others go on."""
        if not claims:
            return
        async with self._db.write() as session:
            for claim in await store.locked(session, [claim.id for claim in claims]):
                if claim.status == ClaimStatus.QUEUED:
                    log.error("claim_not_signed", reason=cause, claim_id=claim.id, case_id=claim.case_id)
                    claim.detail = cause
                    move(session, claim, ClaimStatus.FAILED, at=self._clock(), cause=cause)


def _ends(allowed: Mapping[str, Policy], decisions: Mapping[str, Sealed]) -> dict[str, datetime]:
    """By case: until when its decision supports claims. Cases whose policy asks for no new check are left out."""
    ends = {case_id: policy.supports_until(decisions[case_id].decided_at) for case_id, policy in allowed.items()}
    return {case_id: end for case_id, end in ends.items() if end is not None}


def _is_asked_for(case: Backing, chain_id: int) -> bool:
    """On a live chain the wallet's owner asked for it with a signature; on a local one nobody need."""
    return is_local(chain_id) or ownership.covers(
        case.proof_message, case.proof_signature, wallet=case.wallet, level=case.level, chain_ids=[chain_id]
    )


def _is_there(claim: Queued, case: Backing) -> bool:
    """An Identity made elsewhere is the one that the sealed case names; of every other the chain says where it is."""
    return claim.identity == case.identity if claim.foreign else case.identity is None


def _stands(claim: Queued, onchain: ClaimInput | None, epoch: int) -> bool:
    """Does exactly what we signed for this claim stand on chain, and still count?"""
    if onchain is None or claim.word is None or claim.epoch != epoch:
        return False
    return "0x" + onchain.data.hex() == claim.word and "0x" + onchain.signature.hex() == (claim.signature or "0x")
