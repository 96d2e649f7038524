"""Compare one chain with our tables and the provider, and mend what the usual moves can mend.

`examine` looks at everything and is what `claimwright reconcile` and the tests' oracle call; `step` is the daemon's:
it looks at what happened since the last time. What differs is looked at again before it is believed, because the
two sides are not read at one moment.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from functools import partial

import msgspec
import structlog

from issuer.cases.tables import Case
from issuer.chain.deployment import Deployment
from issuer.chain.gateway import Gateway
from issuer.chain.tables import Lane
from issuer.clock import now as clock_now
from issuer.db import Database
from issuer.reconcile import rules, store
from issuer.reconcile.chain import ChainReader, Touch
from issuer.reconcile.repair import Repairs
from issuer.reconcile.rules import AUTOMATIC, Code, Finding, Key, Nonces

log = structlog.get_logger(__name__)

LOOKS = 3  # a difference that is still there at the third is one
KEYS_TOGETHER = 2_000
PAUSE_SECONDS = 1.0  # between them: longer than a daemon takes to settle what it has seen

# Does the provider approve this case now? None: it does not say.
AskProvider = Callable[[Case], Awaitable[bool | None]]


async def deployed_in(gateway: Gateway, deployment: Deployment) -> int:
    """The block before which no event can name our ClaimIssuer; 0 if the deployment file does not tell."""
    tx_hash = deployment.transactions.get("ClaimIssuer")
    (receipt,) = await gateway.receipts([tx_hash] if tx_hash else []) or [None]
    return 0 if receipt is None else receipt.block_number


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The events of `first_block` to `last_block` were replayed, and `keys` pairs (identity, topic) compared."""

    chain_id: int
    first_block: int
    last_block: int
    keys: int
    findings: list[Finding]

    @property
    def agrees(self) -> bool:
        return not self.findings


class Reconciler:
    """One chain. `claim_issuer` in EIP-55, `depth` as in the chain's profile, `pause` in seconds."""

    def __init__(
        self,
        db: Database,
        gateway: Gateway,
        *,
        chain_id: int,
        claim_issuer: str,
        depth: int,
        repairs: Repairs | None = None,
        pause: float = PAUSE_SECONDS,
        clock: Callable[[], datetime] = clock_now,
    ) -> None:
        self._db = db
        self._gateway = gateway
        self._chain_id = chain_id
        self._reader = ChainReader(gateway, claim_issuer)
        self._depth = depth
        self._repairs = repairs or Repairs(db, clock=clock)
        self._pause = pause
        self._clock = clock

    async def examine(self, *, first_block: int = 0, provider: AskProvider | None = None) -> Report:
        """Everything we ever signed, everything the chain tells of our ClaimIssuer, every nonce. Changes nothing.

        Raises the gateway's errors, and the provider's: what could not be checked is not called agreement.
        """
        async with self._db.read() as session:
            known = await store.keys(session, self._chain_id)
        head = (await self._gateway.head()).number
        touches = await self._reader.touched(first_block, head)
        keys = known | touches.keys()
        opinions = await self._opinions(provider)
        claims = await self._lasting_claims(keys, touches)
        cases = await self._lasting(lambda: self._cases(opinions))
        nonces = await self._lasting(self._nonces)
        return Report(
            chain_id=self._chain_id,
            first_block=first_block,
            last_block=head,
            keys=len(keys),
            findings=claims + cases + nonces,
        )

    async def repair(self, findings: Collection[Finding], *, whole: bool = True) -> list[Finding]:
        """Mend what can be mended; the findings that were. The daemon finishes what needs the chain.

        `whole`: every event since the deployment was replayed. If not, a claim that seems lost may have been removed by
        its holder before, and is not made anew.
        """
        known = [finding for finding in findings if whole or finding.code is not Code.MISSING_ON_CHAIN]
        return [finding for finding in known if await self._repairs.mend(finding)]

    async def step(self, *, first_block: int = 0) -> None:
        """What the chain told since the last step (`first_block`: of the first): mend it, or keep it for a person."""
        async with self._db.read() as session:
            read_to = await store.read_to(session, self._chain_id)
        head = (await self._gateway.head()).number
        believed = head - self._depth + 1
        start = first_block if read_to is None else read_to + 1
        if start > believed:
            return
        touches = await self._reader.touched(start, head)
        findings = await self._lasting_claims(touches.keys(), touches)
        left = [one for one in findings if one.code not in AUTOMATIC or not await self._repairs.mend(one)]
        async with self._db.write() as session:
            new = await store.record(session, self._chain_id, left, at=self._clock())
            # What happened to a claim while a transaction of it was on its way is looked at when that is over.
            waiting = await store.pending(session, self._chain_id, touches.keys())
            passed = min([believed, *(touches[key].block_number - 1 for key in waiting)])
            await store.note_read_to(session, self._chain_id, max(passed, start - 1))
        for row in new:
            log.error("finding", chain_id=self._chain_id, reason=row.code, claim_id=row.claim_id, case_id=row.case_id)

    async def _lasting_claims(self, keys: Collection[Key], touches: dict[Key, Touch]) -> list[Finding]:
        """Some keys at a time: what is known of all of them at once would fill the memory after a long backlog."""
        asked, findings = sorted(keys), list[Finding]()
        for start in range(0, len(asked), KEYS_TOGETHER):
            several = frozenset(asked[start : start + KEYS_TOGETHER])
            findings += await self._lasting(partial(self._claims, several, touches))
        return findings

    async def _lasting(self, look: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
        """The differences that are still there when they are looked at again."""
        findings = await look()
        for _ in range(LOOKS - 1):
            if not findings:
                break
            await asyncio.sleep(self._pause)
            again = await look()
            findings = [finding for finding in findings if finding in again]
        return findings

    async def _claims(self, keys: Collection[Key], touches: dict[Key, Touch]) -> list[Finding]:
        head = await self._gateway.head()
        chain = await self._reader.look(keys, touches, head.number - self._depth + 1)
        async with self._db.read() as session:  # after the chain, so that it knows all that was signed before
            stored = await store.stored(session, self._chain_id, keys)
        return rules.compare_claims(chain, stored, now=head.timestamp)

    async def _cases(self, opinions: dict[str, bool | None]) -> list[Finding]:
        async with self._db.read() as session:
            cases = await store.cases(session, self._chain_id)
        return rules.compare_cases(store.judged(case, served, opinions.get(case.id)) for case, served in cases)

    async def _opinions(self, ask: AskProvider | None) -> dict[str, bool | None]:
        if ask is None:
            return {}
        async with self._db.read() as session:
            cases = await store.cases(session, self._chain_id)
        return {case.id: await ask(case) for case, _ in cases}

    async def _nonces(self) -> list[Finding]:
        async with self._db.read() as session:
            lanes = await store.lanes(session, self._chain_id)
        return rules.compare_nonces([await self._lane(lane) for lane in lanes])

    async def _lane(self, lane: Lane) -> Nonces:
        used = await self._gateway.nonce(lane.sender)
        async with self._db.read() as session:  # after the chain: each nonce that it used was stored before
            attempts = await store.attempts(session, lane.id)
        hashes = [tx_hash for nonce, rows in attempts.items() if nonce < used for tx_hash in rows]
        mined = await self._gateway.mined(hashes)
        return Nonces(
            sender=lane.sender,
            first=min(attempts, default=lane.next_nonce),
            used=used,
            next_nonce=lane.next_nonce,
            attempted=frozenset(attempts),
            mined=frozenset(nonce for nonce, rows in attempts.items() if not mined.isdisjoint(rows)),
            adopted=tuple(lane.adopted or ()),
        )
