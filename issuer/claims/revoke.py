"""The way back: claims that are `revoking` leave in batches, by (identity, topic, epoch)."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from issuer import crashpoint
from issuer.chain import contracts
from issuer.chain.contracts import Revocation
from issuer.chain.gateway import Gateway
from issuer.chain.lanes import LaneKeeper
from issuer.chain.tables import Transaction
from issuer.chain.transactions import Plan
from issuer.claims import store
from issuer.claims.moving import move
from issuer.claims.rules import ClaimStatus
from issuer.claims.settle import REVOKE
from issuer.claims.tables import Claim
from issuer.clock import now as clock_now
from issuer.db import Database
from issuer.errors import Changed


class Revocations:
    """`claim_issuer`: the address of our ClaimIssuer on the lane's chain."""

    def __init__(
        self,
        db: Database,
        gateway: Gateway,
        lane: LaneKeeper,
        claim_issuer: str,
        *,
        batch_size: int = 200,
        clock: Callable[[], datetime] = clock_now,
    ) -> None:
        self._db = db
        self._gateway = gateway
        self._lane = lane
        self._claim_issuer = claim_issuer
        self._batch_size = batch_size
        self._clock = clock

    async def step(self) -> bool:
        """Send the next batch. True if there was anything to revoke."""
        async with self._db.read() as session:
            claims = await store.to_revoke(session, self._lane.chain_id, now=self._clock(), limit=self._batch_size)
        if not claims:
            return False
        calls = [contracts.epoch_of(self._claim_issuer, claim.identity, int(claim.topic)) for claim in claims]
        head, answers = await self._gateway.snapshot(calls)
        crashpoint.reached("revoke.preflight")
        epochs = [contracts.decode_uint(answer) for answer in answers]
        await self._note_dead([claim for claim, epoch in zip(claims, epochs, strict=True) if _is_dead(claim, epoch)])
        alive = [claim for claim, epoch in zip(claims, epochs, strict=True) if not _is_dead(claim, epoch)]
        if not alive:
            return True
        items = [Revocation(identity=claim.identity, topic=int(claim.topic), epoch=claim.epoch or 0) for claim in alive]
        plan = Plan(
            purpose=REVOKE,
            recipient=self._claim_issuer,
            calldata=contracts.revoke_batch(items),
            gas_limit=contracts.revoke_gas(len(items)),
        )
        await self._lane.submit([plan], head, lambda session, made: self._link_revocations(session, made, alive))
        return True

    async def _link_revocations(self, session: AsyncSession, made: Sequence[Transaction], claims: list[Claim]) -> None:
        (transaction,) = made
        locked = await store.locked(session, [claim.id for claim in claims])
        if any(claim.status != ClaimStatus.REVOKING for claim in locked):
            raise Changed("a revocation was settled meanwhile")
        await store.link_all(session, [(transaction.id, claim.id) for claim in locked], REVOKE)

    async def _note_dead(self, claims: list[Claim]) -> None:
        """The chain's epoch is past these claims' already: nothing is left to send for them."""
        if not claims:
            return
        async with self._db.write() as session:
            for claim in await store.locked(session, [claim.id for claim in claims]):
                if claim.status == ClaimStatus.REVOKING:
                    move(session, claim, ClaimStatus.REVOKED, at=self._clock(), cause="already_revoked")


def _is_dead(claim: Claim, epoch: int) -> bool:
    """Revoked at our ClaimIssuer already: its word carries an epoch that is over."""
    return claim.epoch is None or epoch > claim.epoch
