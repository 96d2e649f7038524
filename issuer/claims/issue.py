"""The way out: queued claims are checked against their sealed decision and the chain, signed, and sent in batches."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from time import monotonic

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from issuer import crashpoint, metrics
from issuer.cases import evidence, ownership
from issuer.cases.evidence import is_proved, locked_backing, policy_of
from issuer.cases.levels import Policy
from issuer.cases.rules import CaseStatus
from issuer.cases.tables import Case, Decision
from issuer.chain import contracts
from issuer.chain.contracts import ClaimInput, Standing
from issuer.chain.gateway import Call, Gateway, Head
from issuer.chain.lanes import LaneKeeper
from issuer.chain.rules import is_local, shard
from issuer.chain.signer import Signer
from issuer.chain.store import InFlight
from issuer.chain.tables import Transaction
from issuer.claims import foreign, rules, store, succession, waiting
from issuer.claims.batches import WAVE, Prepared, leaving, next_wave
from issuer.claims.rules import ClaimStatus, Firewall, Word
from issuer.claims.settle import ISSUE, backoff
from issuer.claims.signing import ClaimSigning
from issuer.claims.tables import Claim
from issuer.clock import now as clock_now
from issuer.db import Database
from issuer.errors import Changed
from issuer.secrets import KeyRing
from issuer.stops import store as stops

ASKED_TOGETHER = 256  # wallets of one question, which takes a node some 3,000,000 gas: any answers that

log = structlog.get_logger(__name__)


class Contracts(msgspec.Struct, frozen=True, kw_only=True):
    """Where our contracts are on this chain (EIP-55)."""

    claim_issuer: str
    factory: str


class Issues:
    """`batch_size` claims at most share a transaction, fewer if they would not fit into its gas."""

    def __init__(
        self,
        db: Database,
        gateway: Gateway,
        lane: LaneKeeper,
        claim_signer: Signer,
        contracts_at: Contracts,
        *,
        decision_keys: KeyRing,
        data_keys: KeyRing,
        firewall: Firewall = Firewall(),  # noqa: B008 - frozen
        batch_size: int = 200,
        clock: Callable[[], datetime] = clock_now,
    ) -> None:
        self._db = db
        self._gateway = gateway
        self._lane = lane
        self._signing = ClaimSigning(
            claim_signer, chain_id=lane.chain_id, claim_issuer=contracts_at.claim_issuer, data_keys=data_keys
        )
        self._at = contracts_at
        self._decision_keys = decision_keys
        self._firewall = firewall
        self._batch_size = batch_size
        self._wave = WAVE
        self._clock = clock

    async def step(self) -> bool:
        """Send what can leave now, in as many transactions as it takes and the lane has room for.

        True if something moved.
        """
        began = monotonic()
        moved = await self._send()
        self._wave = next_wave(self._wave, monotonic() - began)
        return moved

    async def _send(self) -> bool:
        in_flight = await self._lane.in_flight()
        room = self._lane.profile.max_unmined - in_flight.count
        if room <= 0:
            return False
        async with self._db.read() as session:
            if await stops.standing(session, [self._lane.chain_id]):
                return False  # what waits goes on waiting; `claimwright stop lift` lets it go
            rows = await waiting.ready(
                session, self._lane.chain_id, now=self._clock(), limit=self._wave, share=self._lane.share
            )
            if not rows:
                return False
            case_ids = [case.id for _, case in rows]
            decisions = await store.newest_decisions(session, case_ids)
            vetoed = await evidence.vetoed(session, case_ids, self._decision_keys)
        proved: list[Claim] = []
        unproved: list[Claim] = []
        outdated: list[Claim] = []
        allowed = self._allowed({case.id: case for _, case in rows if case.id not in vetoed}, decisions)
        ends = _ends(allowed, decisions)
        for claim, case in rows:
            sound = self._is_backed(claim, case, decisions.get(case.id), allowed.get(case.id))
            fresh = case.id not in ends or ends[case.id] > self._clock()
            (unproved if not sound else proved if fresh else outdated).append(claim)
        await self._hold(unproved, "decision_not_proved")
        await self._hold(outdated, rules.REVERIFICATION_DUE)
        batches = self._leaving(proved, in_flight, more=len(rows) == self._wave)[:room]
        if not batches:
            return bool(unproved or outdated)
        prepared, head = await self._prepare(batches, {case.id: case for _, case in rows}, ends)
        if prepared:
            await self._submit(prepared, head)
        return True

    def _allowed(self, cases: Mapping[str, Case], decisions: Mapping[str, Decision]) -> dict[str, Policy]:
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

    def _is_backed(self, claim: Claim, case: Case, decision: Decision | None, policy: Policy | None) -> bool:
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

    def _leaving(self, claims: Sequence[Claim], in_flight: InFlight, *, more: bool) -> list[list[Claim]]:
        waited = None if in_flight.newest_at is None else (self._clock() - in_flight.newest_at).total_seconds()
        block_seconds = self._lane.profile.block_seconds
        return leaving(claims, most=self._batch_size, waited=waited, block_seconds=block_seconds, more=more)

    async def _prepare(
        self, batches: list[list[Claim]], cases: Mapping[str, Case], ends: Mapping[str, datetime]
    ) -> tuple[list[list[Prepared]], Head]:
        """Ask the chain about each claim, then sign those that are still to be made."""
        everything = [claim for batch in batches for claim in batch]
        claims = [claim for claim in everything if not claim.foreign]
        head, standings, shown = await self._standings(claims)
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
        async with self._lane.signatures_of(self._signing.address):
            prepared, unmade = await self._signing.sign(wanted, cases, epochs, head, ends)
        await self._hold(unmade, "claim_not_made")
        await self._offer([item for item in prepared if item.claim.id in offered])
        by_id = {item.claim.id: item for item in prepared if item.claim.id not in offered}
        ready = [[by_id[claim.id] for claim in batch if claim.id in by_id] for batch in batches]
        return [batch for batch in ready if batch], head

    async def _survey(self, claims: Sequence[Claim], epochs: dict[str, int]) -> set[str]:
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

    async def _standings(self, claims: Sequence[Claim]) -> tuple[Head, list[Standing], dict[str, ClaimInput | None]]:
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

    def _question(self, claims: Sequence[Claim]) -> Call:
        wallets, topics = [claim.wallet for claim in claims], [int(claim.topic) for claim in claims]
        return contracts.standings(self._at.factory, self._at.claim_issuer, wallets, topics)

    async def _submit(self, prepared: list[list[Prepared]], head: Head) -> None:
        sender, nonce = self._lane.sender, await self._lane.next_nonce()
        async with self._lane.signatures_of(self._signing.address):
            plans = [
                await self._signing.plan(batch, head, sender=sender, nonce=nonce + place)
                for place, batch in enumerate(prepared)
            ]
        await self._lane.submit(plans, head, lambda session, made: self._link_issues(session, made, prepared))

    async def _link_issues(
        self, session: AsyncSession, transactions: Sequence[Transaction], prepared: list[list[Prepared]]
    ) -> None:
        # A batch that could not be paid for has no transaction.
        carried: dict[str, tuple[Prepared, Transaction | None]] = {
            item.claim.id: (item, transaction)
            for transaction, batch in zip(transactions, prepared, strict=False)
            for item in batch
        }
        await self._commit(session, carried)
        links = [(made.id, claim_id) for claim_id, (_, made) in carried.items() if made is not None]
        await store.link_all(session, links, ISSUE)

    async def _offer(self, prepared: Sequence[Prepared]) -> None:
        """Signed, and for their holders to send: our ClaimIssuer may not write there."""
        if prepared:
            async with self._db.write() as session:
                await self._commit(session, {item.claim.id: (item, None) for item in prepared})

    async def _commit(self, session: AsyncSession, carried: Mapping[str, tuple[Prepared, Transaction | None]]) -> None:
        """All that let these claims be signed is looked at again, locked, in the transaction that commits them."""
        if await stops.standing(session, [self._lane.chain_id], committing=True):
            raise Changed("issuing was stopped while claims were being signed")
        case_ids = {item.claim.case_id for item, _ in carried.values()}
        if await locked_backing(session, case_ids) != case_ids:
            raise Changed("a case moved while its claim was being signed")
        if await evidence.vetoed(session, case_ids, self._decision_keys):
            raise Changed("a person took a case back while its claim was being signed")
        claims = [item.claim for item, _ in carried.values()]
        if not await store.lock_unchanged(session, claims):
            raise Changed("a claim moved while it was being signed")
        if any(older.status != ClaimStatus.CONFIRMED for older in await store.alive_for(session, claims)):
            raise Changed("an older claim of this identity and topic is on its way")
        moves = store.Moves(self._clock())
        for claim in claims:
            item, transaction = carried[claim.id]
            word = Word.unpack(item.word)
            claim.epoch = word.epoch
            claim.word = "0x" + item.word.hex()
            claim.signature = None if item.signature is None else "0x" + item.signature.hex()
            claim.signer = self._signing.address
            claim.valid_until = rules.valid_until(word)
            claim.renew_at = rules.renew_at(claim.valid_until, claim.validity_seconds)
            claim.detail = rules.AWAITING_HOLDER if transaction is None else None
            detail = {"offered": True} if transaction is None else {"nonce": transaction.nonce}
            moves.add(claim, ClaimStatus.SIGNED, cause="signed", detail=detail)
            metrics.QUEUE_WAIT.labels(claim.chain_id).observe((moves.at - claim.created_at).total_seconds())
        await moves.write(session)

    async def _change_identity(self, claim: Claim, identity: str) -> None:
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

    async def _adopt(self, claim: Claim) -> None:
        """This very claim stands on chain: somebody sent our signature. Nothing is sent twice (invariant I15)."""
        async with self._db.write() as session:
            for row in await store.locked(session, [claim.id]):
                if row.status == ClaimStatus.QUEUED:
                    moves = store.Moves(self._clock())
                    await succession.confirm(session, [(row, {})], moves, cause="already_on_chain")
                    await moves.write(session)

    async def _hold(self, claims: Sequence[Claim], cause: str) -> None:
        """Alone: the others go on."""
        if not claims:
            return
        async with self._db.write() as session:
            for claim in await store.locked(session, [claim.id for claim in claims]):
                if claim.status == ClaimStatus.QUEUED:
                    log.error("claim_not_signed", reason=cause, claim_id=claim.id, case_id=claim.case_id)
                    claim.detail = cause
                    store.move(session, claim, ClaimStatus.FAILED, at=self._clock(), cause=cause)


def _ends(allowed: Mapping[str, Policy], decisions: Mapping[str, Decision]) -> dict[str, datetime]:
    """By case: until when its decision supports claims. Cases whose policy asks for no new check are left out."""
    ends = {case_id: policy.supports_until(decisions[case_id].decided_at) for case_id, policy in allowed.items()}
    return {case_id: end for case_id, end in ends.items() if end is not None}


def _is_asked_for(case: Case, chain_id: int) -> bool:
    """On a live chain the wallet's owner asked for it with a signature; on a local one nobody need."""
    return is_local(chain_id) or ownership.covers(
        case.proof_message, case.proof_signature, wallet=case.wallet, level=case.level, chain_ids=[chain_id]
    )


def _is_there(claim: Claim, case: Case) -> bool:
    """An Identity made elsewhere is the one that the sealed case names; of every other the chain says where it is."""
    return claim.identity == case.identity if claim.foreign else case.identity is None


def _stands(claim: Claim, onchain: ClaimInput | None, epoch: int) -> bool:
    """Does exactly what we signed for this claim stand on chain, and still count?"""
    if onchain is None or claim.word is None or claim.epoch != epoch:
        return False
    return "0x" + onchain.data.hex() == claim.word and "0x" + onchain.signature.hex() == (claim.signature or "0x")
