"""The way out: what passed its preflight is committed and sent in batches, while the next claims pass theirs."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from time import monotonic

from sqlalchemy.ext.asyncio import AsyncSession

from issuer import metrics
from issuer.cases import evidence
from issuer.cases.evidence import locked_backing
from issuer.chain.gateway import Gateway
from issuer.chain.lanes import LaneKeeper
from issuer.chain.signer import Signer
from issuer.chain.tables import Transaction
from issuer.claims import rules, store
from issuer.claims.ahead import Ahead
from issuer.claims.batches import WAVE, Prepared, is_signed_alone, next_wave
from issuer.claims.moving import Moves
from issuer.claims.preflight import Contracts, Preflight, Ready
from issuer.claims.rules import ClaimStatus, Firewall, Word
from issuer.claims.settle import ISSUE
from issuer.claims.signing import ClaimSigning
from issuer.clock import now as clock_now
from issuer.db import Database
from issuer.errors import Changed
from issuer.secrets import KeyRing
from issuer.stops import store as stops

CLOSE_SECONDS = 1.0  # for a send when all ends; what is stored is sent again by whoever has the lane next


class Issues:
    """Of one lane. `batch_size` claims at most share a transaction, fewer if they would not fit into its gas."""

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
        self._lane = lane
        self._signing = ClaimSigning(
            claim_signer, chain_id=lane.chain_id, claim_issuer=contracts_at.claim_issuer, data_keys=data_keys
        )
        preflight = Preflight(
            db,
            gateway,
            lane,
            self._signing,
            contracts_at,
            decision_keys=decision_keys,
            firewall=firewall,
            batch_size=batch_size,
            clock=clock,
        )
        self._decision_keys = decision_keys
        self._wave = WAVE
        self._ahead = Ahead(preflight.make_ready)
        self._sending: asyncio.Task[None] | None = None
        self._clock = clock

    async def step(self) -> bool:
        """Commit what can leave now, in as many transactions as it takes and the lane has room for, and send it.

        While the store works on that, the claims behind it are made ready for the next steps: whatever let them be
        signed is looked at again when they are committed. While the nodes work on it, the next step may begin; the one
        in which nothing moves is done when all is sent. True if something moved.
        """
        began = monotonic()
        try:
            ready = await self._ahead.next(self._wave)
            raw = [] if ready is None else await self._commit(ready)
        except BaseException:
            await self._ahead.drop()
            raise
        await self._all_sent()  # in the order of their nonces
        if ready is None:
            return False
        if raw:
            self._sending = asyncio.create_task(self._lane.send_first(raw, ISSUE))
        self._wave = next_wave(self._wave, monotonic() - began)
        return True

    async def aclose(self) -> None:
        """Drop what was not committed, and let be sent what was, if that does not take long."""
        await self._ahead.drop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._all_sent()

    async def _all_sent(self) -> None:
        """Raises what sending raises. It is stored: whoever looks after the lane sends it again."""
        sending, self._sending = self._sending, None
        if sending is not None:
            await sending

    async def _commit(self, ready: Ready) -> list[bytes]:
        """Returns the transactions that were signed for it, in the order of their nonces."""
        await self._offer(ready.offered)
        prepared, head = ready.batches, ready.head
        if head is None or not prepared:
            return []
        sender, nonce = self._lane.sender, await self._lane.next_nonce()
        hosted = any(not is_signed_alone(batch[0].claim) for batch in prepared)
        async with self._lane.signatures_of(self._signing.address, wanted=hosted):
            plans = [
                await self._signing.plan(batch, head, sender=sender, nonce=nonce + place)
                for place, batch in enumerate(prepared)
            ]
        return await self._lane.commit(
            plans, head, lambda session, made: self._link_issues(session, made, prepared), ready.quote
        )

    async def _link_issues(
        self, session: AsyncSession, transactions: Sequence[Transaction], prepared: Sequence[Sequence[Prepared]]
    ) -> None:
        # A batch that could not be paid for has no transaction.
        carried: dict[str, tuple[Prepared, Transaction | None]] = {
            item.claim.id: (item, transaction)
            for transaction, batch in zip(transactions, prepared, strict=False)
            for item in batch
        }
        await self._sign(session, carried)
        links = [(made.id, claim_id) for claim_id, (_, made) in carried.items() if made is not None]
        await store.link_all(session, links, ISSUE)

    async def _offer(self, prepared: Sequence[Prepared]) -> None:
        """Signed, and for their holders to send: our ClaimIssuer may not write there."""
        if prepared:
            async with self._db.write() as session:
                await self._sign(session, {item.claim.id: (item, None) for item in prepared})

    async def _sign(self, session: AsyncSession, carried: Mapping[str, tuple[Prepared, Transaction | None]]) -> None:
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
        moves = Moves(self._clock())
        waited = metrics.QUEUE_WAIT.labels(self._lane.chain_id)  # found once: that takes as long as what is counted
        for claim in claims:
            item, transaction = carried[claim.id]
            word = Word.unpack(item.word)
            until = rules.valid_until(word)
            changes = {
                "epoch": word.epoch,
                "word": "0x" + item.word.hex(),
                "signature": None if item.signature is None else "0x" + item.signature.hex(),
                "signer": self._signing.address,
                "valid_until": until,
                "renew_at": rules.renew_at(until, claim.validity_seconds),
                "detail": rules.AWAITING_HOLDER if transaction is None else None,
            }
            detail = {"offered": True} if transaction is None else {"nonce": transaction.nonce}
            moves.add_queued(claim, ClaimStatus.SIGNED, changes, cause="signed", detail=detail)
            waited.observe((moves.at - claim.created_at).total_seconds())
        await moves.write(session)
