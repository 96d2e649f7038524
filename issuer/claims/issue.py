"""The way out: queued claims are checked against their sealed decision and the chain, signed, and sent in batches."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from issuer import crashpoint, metrics
from issuer.cases import ownership
from issuer.cases.evidence import is_proved, locked_case
from issuer.cases.levels import LEVELS
from issuer.cases.rules import CaseStatus
from issuer.cases.tables import Case, Decision
from issuer.chain import contracts
from issuer.chain.contracts import Authorization
from issuer.chain.gateway import Gateway, Head
from issuer.chain.lanes import MAX_UNMINED, LaneKeeper
from issuer.chain.rules import is_local
from issuer.chain.signer import Signer, checked_sign
from issuer.chain.tables import Transaction, TransactionClaim
from issuer.chain.transactions import Plan
from issuer.claims import rules, store, succession
from issuer.claims.batches import Prepared, gas, lane_prefix, one_kind
from issuer.claims.queueing import SALT, may_reach
from issuer.claims.rules import ClaimStatus, Word
from issuer.claims.settle import ISSUE, backoff
from issuer.claims.tables import Claim
from issuer.clock import now as clock_now
from issuer.db import Database
from issuer.errors import ChainError, Changed
from issuer.secrets import KeyRing

log = structlog.get_logger(__name__)

LEAVE_SECONDS = 24 * 60 * 60  # how long a hosted batch may wait to be mined


class Contracts(msgspec.Struct, frozen=True, kw_only=True):
    """Where our contracts are on this chain (EIP-55)."""

    claim_issuer: str
    factory: str


class Issues:
    """`batch_size` claims at most leave together, fewer if they would not fit into one transaction's gas."""

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
        batch_size: int = 20,
        clock: Callable[[], datetime] = clock_now,
    ) -> None:
        self._db = db
        self._gateway = gateway
        self._lane = lane
        self._signer = claim_signer
        self._at = contracts_at
        self._domain = rules.domain_separator(lane.chain_id, contracts_at.claim_issuer)
        self._decision_keys = decision_keys
        self._data_keys = data_keys
        self._batch_size = batch_size
        self._clock = clock

    async def step(self) -> bool:
        """Send the next batch. True if something moved."""
        if not await self._may_send():
            return False
        async with self._db.read() as session:
            rows = await store.ready(session, self._lane.chain_id, now=self._clock(), limit=self._batch_size)
            case_ids = [case.id for _, case in rows]
            decisions = await store.newest_decisions(session, case_ids)
            vetoed = await store.vetoed(session, case_ids)
        proved: list[Claim] = []
        unproved: list[Claim] = []
        for claim, case in rows:
            sound = case.id not in vetoed and self._is_backed(claim, case, decisions.get(case.id))
            (proved if sound else unproved).append(claim)
        await self._hold_unproved(unproved)
        if not proved:
            return bool(unproved)
        prepared, head = await self._prepare(one_kind(proved), {case.id: case for _, case in rows})
        if not prepared:
            return True
        await self._submit(prepared, head)
        return True

    def _is_backed(self, claim: Claim, case: Case, decision: Decision | None) -> bool:
        """Is the claim what its case's newest decision, sealed by a daemon, allows, and nothing else?

        Claims can be changed by the process that faces the internet, so each of its words is compared with sealed ones.
        The form is the operator's choice and makes nothing true: both need the claim signer.
        """
        if decision is None or decision.id != claim.decision_id or decision.outcome != CaseStatus.APPROVED:
            return False
        level = LEVELS.get(case.level)
        return (
            is_proved(case, decision, self._decision_keys)
            and level is not None
            and claim.wallet == case.wallet
            and int(claim.topic) in level.topics
            and claim.validity_seconds == level.validity_seconds
            and claim.chain_id in case.chain_ids
            and may_reach(case.environment, claim.chain_id)
            and _is_asked_for(case, claim.chain_id)
            and claim.onchain_id == "0x" + rules.onchain_id(self._at.claim_issuer, int(claim.topic)).hex()
        )

    async def _may_send(self) -> bool:
        """An idle lane sends at once. While something is unmined, claims gather: a full batch or a block's time."""
        unmined = await self._lane.unmined()
        if not unmined:
            return True
        if len(unmined) >= MAX_UNMINED:
            return False
        block = timedelta(seconds=self._lane.profile.block_seconds)
        if self._clock() - unmined[-1].created_at >= block:
            return True
        async with self._db.read() as session:
            waiting = await store.ready(session, self._lane.chain_id, now=self._clock(), limit=self._batch_size)
        return len(waiting) >= self._batch_size

    async def _prepare(self, claims: Sequence[Claim], cases: Mapping[str, Case]) -> tuple[list[Prepared], Head]:
        """Ask the chain about each claim, then sign those that are still to be made."""
        calls = []
        for claim in claims:
            calls += [
                *contracts.identity_calls(self._at.factory, claim.wallet, self._at.claim_issuer),
                contracts.epoch_of(self._at.claim_issuer, claim.identity, int(claim.topic)),
                contracts.get_claim(claim.identity, bytes.fromhex(claim.onchain_id[2:])),
            ]
        head, answers = await self._gateway.snapshot(calls)
        crashpoint.reached("issue.preflight")
        prepared: list[Prepared] = []
        for index, claim in enumerate(claims):
            linked, predicted, epoch, onchain = answers[4 * index : 4 * index + 4]
            identity = contracts.identity_of(linked, predicted)
            if identity != claim.identity:
                await self._change_identity(claim, identity)
            elif _stands(claim, contracts.decode_claim(onchain), contracts.decode_uint(epoch)):
                await self._adopt(claim)
            else:
                prepared.append(await self._sign(claim, cases[claim.case_id], contracts.decode_uint(epoch), head))
        return self._within_gas(prepared), head

    def _within_gas(self, prepared: list[Prepared]) -> list[Prepared]:
        while prepared and gas(prepared) > contracts.MAX_TRANSACTION_GAS:
            prepared = prepared[:-1]
        return prepared

    async def _sign(self, claim: Claim, case: Case, epoch: int, head: Head) -> Prepared:
        """`case` is the one that was compared with its sealed decision, not a later reading of the same row."""
        commitment = rules.commitment(
            salt=self._data_keys.open(SALT, claim.salt, row=claim.id),
            case_id=case.id,
            level=case.level,
            provider=case.provider,
            environment=case.environment,
        )
        word = Word(
            epoch=epoch,
            issued_at=head.timestamp,
            expires_at=head.timestamp + claim.validity_seconds,
            commitment=commitment,
        ).pack()
        if claim.form == rules.HOSTED:
            return Prepared(claim=claim, word=word, signature=None)
        message = rules.claim_message(domain=self._domain, identity=claim.identity, topic=int(claim.topic), word=word)
        return Prepared(claim=claim, word=word, signature=await self._compact(message))

    async def _compact(self, message: bytes) -> bytes:
        signature = await checked_sign(self._signer, message)
        return rules.compact_signature(signature.r, signature.s, signature.y_parity)

    async def _submit(self, prepared: list[Prepared], head: Head) -> None:
        plan = Plan(
            purpose=ISSUE,
            recipient=self._at.claim_issuer,
            calldata=await self._calldata(prepared, head),
            gas_limit=gas(prepared),
        )
        await self._lane.submit(plan, head, lambda session, tx: self._link_issues(session, tx, prepared))

    async def _calldata(self, prepared: list[Prepared], head: Head) -> bytes:
        """Signed claims speak for themselves; a hosted batch carries the signer's leave: a gas key cannot mint."""
        first = prepared[0].claim
        if first.form == rules.SIGNED:
            return contracts.onboard([item.onboarding() for item in prepared])
        items, topic = [item.hosted() for item in prepared], int(first.topic)
        nonce = (lane_prefix(self._lane.sender) << 64) | await self._lane.next_nonce()
        deadline = head.timestamp + LEAVE_SECONDS
        message = rules.batch_message(
            domain=self._domain,
            topic=topic,
            items=contracts.hosted_items(items),
            nonce=nonce,
            deadline=deadline,
        )
        leave = Authorization(nonce=nonce, deadline=deadline, signature=await self._compact(message))
        return contracts.onboard_hosted(topic, items, leave)

    async def _link_issues(self, session: AsyncSession, transaction: Transaction, prepared: list[Prepared]) -> None:
        """All that let these claims be signed is looked at again, locked, in the transaction that commits them."""
        at = self._clock()
        for case_id in sorted({item.claim.case_id for item in prepared}):
            case = await locked_case(session, case_id)
            if case is None or case.status != CaseStatus.APPROVED or case.person_ruling or case.redacted_at:
                raise Changed("a case moved while its claim was being signed")
        if await store.vetoed(session, {item.claim.case_id for item in prepared}):
            raise Changed("a person took a case back while its claim was being signed")
        by_id = {item.claim.id: item for item in prepared}
        claims = await store.locked(session, list(by_id))
        if any(claim.status != ClaimStatus.QUEUED for claim in claims):
            raise Changed("a claim moved while it was being signed")
        if any(older.status != ClaimStatus.CONFIRMED for older in await store.alive_for(session, claims)):
            raise Changed("an older claim of this identity and topic is on its way")
        for claim in claims:
            word = Word.unpack(by_id[claim.id].word)
            claim.epoch = word.epoch
            claim.word = "0x" + by_id[claim.id].word.hex()
            signature = by_id[claim.id].signature
            claim.signature = None if signature is None else "0x" + signature.hex()
            claim.valid_until = rules.valid_until(word)
            store.move(session, claim, ClaimStatus.SIGNED, at=at, cause="signed", detail={"nonce": transaction.nonce})
            session.add(TransactionClaim(transaction_id=transaction.id, claim_id=claim.id, purpose=ISSUE))
            metrics.QUEUE_WAIT.labels(claim.chain_id).observe((at - claim.created_at).total_seconds())

    async def _change_identity(self, claim: Claim, identity: str | None) -> None:
        """The wallet was linked to another Identity since the claim was queued."""
        if identity is None:
            raise ChainError("the IdentityFactory names no Identity; is the deployment file of this chain?")
        async with self._db.write() as session:
            taken = await store.waiting_for(session, identity, claim.topic, claim.chain_id)
            for row in await store.locked(session, [claim.id]):
                if row.status != ClaimStatus.QUEUED:
                    continue
                if taken is None:
                    row.identity, row.updated_at = identity, self._clock()
                else:
                    row.next_try_at = self._clock() + backoff(1)  # the other one goes first

    async def _adopt(self, claim: Claim) -> None:
        """This very claim stands on chain: somebody sent our signature. Nothing is sent twice (invariant I15)."""
        async with self._db.write() as session:
            for row in await store.locked(session, [claim.id]):
                if row.status == ClaimStatus.QUEUED:
                    await succession.confirm(session, [(row, {})], at=self._clock(), cause="already_on_chain")

    async def _hold_unproved(self, claims: list[Claim]) -> None:
        if not claims:
            return
        async with self._db.write() as session:
            for claim in await store.locked(session, [claim.id for claim in claims]):
                if claim.status == ClaimStatus.QUEUED:
                    log.error("decision_not_proved", claim_id=claim.id, case_id=claim.case_id)
                    store.move(session, claim, ClaimStatus.FAILED, at=self._clock(), cause="decision_not_proved")


def _is_asked_for(case: Case, chain_id: int) -> bool:
    """On a live chain the wallet's owner asked for it with a signature; on a local one nobody need."""
    return is_local(chain_id) or ownership.covers(
        case.proof_message, case.proof_signature, wallet=case.wallet, level=case.level, chain_ids=[chain_id]
    )


def _stands(claim: Claim, onchain: contracts.ClaimInput | None, epoch: int) -> bool:
    """Does exactly what we signed for this claim stand on chain, and still count?"""
    if onchain is None or claim.word is None or claim.epoch != epoch:
        return False
    return "0x" + onchain.data.hex() == claim.word and "0x" + onchain.signature.hex() == (claim.signature or "0x")
