"""What a lane does for transactions that are sent and not mined: push them, raise their fees, clear their way.

The lowest nonce is pushed first, because nothing behind it can be mined before it. Stored bytes are sent again
unchanged; a replacement is another attempt at the same nonce, and all attempts are kept, for any of them may be mined.
"""

import asyncio
from collections import Counter
from datetime import timedelta

import sqlalchemy as sa
import structlog

from issuer import crashpoint
from issuer.chain import fees, leases, rules, store
from issuer.chain.errors import SendResult
from issuer.chain.fees import Fees
from issuer.chain.lanes import LaneKeeper, Quote
from issuer.chain.leases import Lease
from issuer.chain.nonces import Look, Nonces
from issuer.chain.rules import Hold, Purpose, TxStatus
from issuer.chain.tables import Attempt, Chain, Transaction
from issuer.chain.transactions import Plan, noop
from issuer.chain.watcher import Settlement
from issuer.errors import LaneHeld

log = structlog.get_logger(__name__)

REFUSALS = 3  # looks in a row at which a node called the lowest nonce's bytes unusable, before a NOOP takes their place


class Upkeep:
    """One lane's. Used by the task that drives the lane; raises what the lane and its node raise."""

    def __init__(self, lane: LaneKeeper, settlement: Settlement) -> None:
        self._lane = lane
        self._nonces = Nonces(lane, settlement)
        self._due_at = 0.0
        self._tended: Lease | None = None  # under which it last did
        self._refused: Counter[str] = Counter()

    async def tend(self, *, now: bool = False) -> None:
        """Look after the lane if it is time, if a node's answer asks for it, or `now`."""
        time = asyncio.get_running_loop().time()
        lease, urgent = self._lane.lease(), now or self._lane.restless
        if not (urgent or time >= self._due_at):
            return
        self._lane.restless = False
        self._due_at = time + self._lane.profile.resend_seconds
        async with self._lane.db.read() as session:
            lane = await self._lane.row(session)
            unmined = await store.transactions(session, lane.id, TxStatus.SIGNED)
            attempts = await store.attempts(session, [transaction.id for transaction in unmined])
            known = await session.get(Chain, self._lane.chain_id)
        if not unmined and (lane.hold is None or lane.hold in rules.FOUND_AGAIN):
            return
        # Of one node: the nonce of one and the receipts of another, a block behind, would accuse a stranger.
        node, _ = await self._lane.gateway.pinned()
        nonce, head = await node.standing(self._lane.sender)
        look = Look(lane=lane, unmined=unmined, attempts=attempts, node=node, nonce=nonce, head=head)
        await self._nonces.compare(look)
        behind = known is not None and head.number < (known.head_number or 0)
        filling = [] if behind else await self._nonces.fill(look)
        # Whether what another process signed was ever sent, or what this one did in another life, nobody knows.
        await self._push(look, filling, everything=urgent or self._tended is not lease)
        self._tended = lease

    async def _push(self, look: Look, filling: list[bytes], *, everything: bool) -> None:
        held: LaneHeld | None = None
        try:
            for transaction in look.waiting:
                if transaction.wanted:
                    await self._replace(look, transaction, nothing=transaction.wanted == rules.CANCEL)
            await self._raise_lowest(look)
        except LaneHeld as error:
            held = error  # no new form of any can be signed; the stored ones need no key
        await self._resend(look, filling, everything=everything)
        if held is not None:
            raise held

    async def _raise_lowest(self, look: Look) -> None:
        """The lowest nonce alone: what is behind it waits for it, whatever it offers."""
        for transaction in look.waiting[:1]:
            newest = look.attempts[transaction.id][-1]
            due = fees.bump_due(
                _price(newest),
                base_fee=look.head.base_fee,
                attempts=len(look.attempts[transaction.id]),
                waited=(self._lane.clock() - newest.signed_at).total_seconds(),
                first=self._lane.profile.bump_seconds,
                no_mempool=self._lane.profile.no_mempool,
            )
            if due:
                await self._replace(look, transaction, nothing=newest.noop)
                return
        if look.lane.hold == Hold.FEE_CAP:
            await self._lane.hold(look.lane, None)

    async def _replace(self, look: Look, transaction: Transaction, *, nothing: bool) -> None:
        """Another attempt at the same nonce with both fees raised: the same calldata, or nothing at all (a NOOP)."""
        kind = "noop" if nothing else "bump"
        old, profile = _price(look.attempts[transaction.id][-1]), self._lane.profile
        quote = await self._lane.quote()
        price = fees.bump(old, base_fee=look.head.base_fee, suggested_tip=quote.tip, max_fee=profile.max_fee)
        if price is None:
            reason = f"nonce {transaction.nonce} waits at the highest fee that is allowed ({profile.max_fee} wei)"
            await self._lane.hold(look.lane, Hold.FEE_CAP, reason)
            return
        plan = noop(self._lane.sender, profile.noop_gas) if nothing else await self._plan(transaction)
        if not await self._may_cost(look, transaction, plan.purpose, price, old, quote):
            return
        if look.lane.hold == Hold.FEE_CAP:
            await self._lane.hold(look.lane, None)
        signed = await self._lane.sign(plan, transaction.nonce, price)
        crashpoint.reached(f"{kind}.signed")
        attempt = self._lane.new_attempt(transaction.id, signed, noop=nothing)
        async with self._lane.db.write() as session:
            await leases.renew(session, self._lane.lease())
            session.add(attempt)
            done = sa.update(Transaction).where(Transaction.id == transaction.id).values(wanted=None)
            await session.execute(done)
            crashpoint.reached(f"{kind}.before_commit")
        self._lane.promise(plan.gas_limit * price.max_fee)
        crashpoint.reached(f"{kind}.committed")
        look.attempts[transaction.id].append(attempt)
        log.info("replaced", chain_id=self._lane.chain_id, nonce=transaction.nonce, result=plan.purpose)
        await self._lane.send(kind, [signed.raw])
        crashpoint.reached(f"{kind}.sent")

    async def _may_cost(
        self, look: Look, transaction: Transaction, purpose: str, price: Fees, old: Fees, quote: Quote
    ) -> bool:
        """Is the difference within what the lane has and may spend? If not, the old form goes on being sent."""
        purse = await self._lane.purse(look.lane, price, quote)
        hold = fees.refusal(purse, transaction.gas_limit * (price.max_fee - old.max_fee), purpose)
        if hold in (None, Hold.RESERVE):  # what is sent already is better mined than stuck
            return True
        log.warning("fee_not_raised", chain_id=self._lane.chain_id, lane=look.lane.id, reason=str(hold))
        return False

    async def _resend(self, look: Look, filling: list[bytes], *, everything: bool) -> None:
        """Push what could have been mined by now, or `everything`, lowest nonce first.

        Bytes that no node will ever accept make room for a NOOP.
        """
        sent_by = self._lane.clock() - timedelta(seconds=self._lane.profile.block_seconds)
        newest = [look.attempts[transaction.id][-1] for transaction in look.waiting]
        pushed = [attempt for attempt in newest if everything or attempt.signed_at <= sent_by]
        if not filling and not pushed:
            return
        async with self._lane.db.read() as session:
            raw = filling + await store.raw(session, pushed)
        outcomes = (await self._lane.send("rebroadcast", raw))[len(filling) :]
        if not pushed or pushed[0] is not newest[0]:
            return
        lowest = look.waiting[0]
        if outcomes[0].result is not SendResult.REFUSED or pushed[0].noop:
            self._refused.clear()
            return
        self._refused[lowest.id] += 1
        if self._refused[lowest.id] >= REFUSALS:
            log.error("transaction_unusable", chain_id=self._lane.chain_id, nonce=lowest.nonce)
            await self._replace(look, lowest, nothing=True)

    async def _plan(self, transaction: Transaction) -> Plan:
        async with self._lane.db.read() as session:
            calldata = await store.calldata(session, transaction.id)
        return Plan(
            purpose=Purpose(transaction.purpose),
            recipient=transaction.recipient,
            calldata=calldata,
            gas_limit=transaction.gas_limit,
        )


def _price(attempt: Attempt) -> Fees:
    return Fees(max_fee=attempt.max_fee_per_gas, tip=attempt.max_priority_fee_per_gas)
