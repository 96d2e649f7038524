"""One chain in the daemon: its node, its lanes and its watcher, and the loops that drive them.

Rooms share the database and nothing else, so a chain whose node is away delays its own claims and no other's.
"""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from typing import Any

import msgspec

from issuer.chain import contracts, rules
from issuer.chain.deploy import Deployment, check_deployment
from issuer.chain.gateway import Gateway
from issuer.chain.lanes import LaneKeeper, Limits
from issuer.chain.leases import LEASE
from issuer.chain.rules import GWEI, ChainProfile, Share
from issuer.chain.signer import Signer
from issuer.chain.signers import load_signer, load_signers, refuse_shared_keys
from issuer.chain.upkeep import Upkeep
from issuer.chain.watcher import Watcher
from issuer.claims.foreign import Offers
from issuer.claims.issue import Issues
from issuer.claims.preflight import Contracts
from issuer.claims.queueing import Issuance
from issuer.claims.renewal import Renewals
from issuer.claims.revoke import Revocations
from issuer.claims.rules import Firewall
from issuer.claims.settle import ClaimSettlement
from issuer.claims.witness import Witness
from issuer.claims.work import ClaimWorker
from issuer.db import Database
from issuer.errors import ChainError, ClaimwrightError, NodeUnavailable, SettingsError
from issuer.lane_loop import BUSY_SECONDS, LaneLoop
from issuer.loops import LONGEST_PAUSE_SECONDS, attempt, every, keeping_house, wait
from issuer.monitoring.sight import ChainSight
from issuer.reconcile.repair import Repairs
from issuer.reconcile.work import Reconciler, deployed_in
from issuer.secrets import KeyRing
from issuer.settings import ChainSettings

PROBE_SECONDS = 1.0
SPARE_SECONDS = 1.0  # between tries to watch a chain that another process watches, or for what it has sent
SIGHT_SECONDS = 10.0  # between looks at the head and the balances, for those who watch
RENEW_SECONDS = 15.0  # between looks for claims that end in a month
BEAT_SECONDS = LEASE.total_seconds() / 3
HOLDER_SECONDS = 10.0  # between looks at what holders and outside issuers send themselves
RECONCILE_SECONDS = 15.0


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """What every room gets of the daemon."""

    db: Database
    decision_keys: KeyRing
    data_keys: KeyRing
    hosted_levels: frozenset[str]
    firewall: Firewall
    batch_size: int
    stop: asyncio.Event


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """Who signs on one chain. Senders pay for gas, a lane each; the revoker, if there is one, has a lane of its own."""

    senders: Sequence[Signer]
    revoker: Signer | None
    claim_signer: Signer

    @property
    def lanes(self) -> list[Signer]:
        """Every address that sends, and must be an operator of the ClaimIssuer."""
        return [*self.senders, *([self.revoker] if self.revoker else ())]


class ChainRoom:
    """Raises `SettingsError` when keys or deployment file do not fit the chain."""

    def __init__(self, settings: ChainSettings, shared: Shared) -> None:
        self.chain_id = settings.chain_id
        self.deployment = Deployment.load(settings.deployment_file)
        if self.deployment.chain_id != self.chain_id:
            raise SettingsError(
                "CLAIMWRIGHT_CHAIN_ID", f"is not the chain of the deployment file ({self.deployment.chain_id})"
            )
        self.at = Contracts(
            claim_issuer=self.deployment.contracts["ClaimIssuer"], factory=self.deployment.contracts["IdentityFactory"]
        )
        self.profile = profile(settings)
        self.keys = load_keys(settings)
        self.gateway = Gateway(settings.rpc_urls, chain=(self.chain_id, self.deployment.genesis_hash))
        self.sight = ChainSight(
            shared.db,
            self.gateway,
            chain_id=self.chain_id,
            profile=self.profile,
            daily_fees_gwei=settings.daily_fees_gwei,
        )
        self._stop = shared.stop
        self._alone = shared.db.is_sqlite
        self._sent = asyncio.Event()  # something to watch
        self._watches = False
        self._left = 0  # transactions that are not final
        self._away = False
        self._deployed_in: int | None = None
        self._settlement = ClaimSettlement({self.chain_id: self.at.claim_issuer})
        self._watcher = Watcher(shared.db, self.gateway, self._settlement, chain_id=self.chain_id, profile=self.profile)
        self._lanes = self._lane_loops(settings, shared)
        self.issuance = Issuance(
            claim_issuers={self.chain_id: self.at.claim_issuer},
            data_keys=shared.data_keys,
            hosted_levels=shared.hosted_levels,
            firewall=shared.firewall,
        )
        self._renewals = Renewals(shared.db, self.issuance, chain_id=self.chain_id, decision_keys=shared.decision_keys)
        self._offers = Offers(
            shared.db,
            self.gateway,
            chain_id=self.chain_id,
            claim_issuer=self.at.claim_issuer,
            depth=self.profile.depth,
        )
        self._witness = Witness(
            shared.db,
            self.gateway,
            chain_id=self.chain_id,
            factory=self.at.factory,
            claim_issuer=self.at.claim_issuer,
            profile=self.profile,
        )
        self._reconciler = Reconciler(
            shared.db,
            self.gateway,
            chain_id=self.chain_id,
            claim_issuer=self.at.claim_issuer,
            depth=self.profile.depth,
            repairs=Repairs(shared.db, look=self._watcher.look),
        )

    def _lane_loops(self, settings: ChainSettings, shared: Shared) -> list[LaneLoop]:
        """One for each sender. Revocations take one lane only: the revoker's, or the first sender's, ahead of issues.

        A revocation may overtake an issue that is unmined in another lane: it raises the epoch of (identity, topic), so
        the issue, whenever it lands, carries one that is over.
        """
        senders = list(self.keys.senders)
        revoker = self.keys.revoker or senders[0]
        loops = []
        for signer in self.keys.lanes:
            issues = signer in senders
            lane = LaneKeeper(
                shared.db,
                self.gateway,
                signer,
                chain_id=self.chain_id,
                profile=self.profile,
                share=Share(senders.index(signer), len(senders)) if issues else Share(),
                limits=limits(settings, shared.batch_size, revoker.address),
            )
            worker = ClaimWorker(
                self._revocations(shared, lane) if signer is revoker else None,
                self._issues(shared, lane) if issues else None,
            )
            loops.append(LaneLoop(lane, Upkeep(lane, self._settlement), worker, sent=self._sent, stop=self._stop))
        return loops

    def _revocations(self, shared: Shared, lane: LaneKeeper) -> Revocations:
        return Revocations(shared.db, self.gateway, lane, self.at.claim_issuer, batch_size=shared.batch_size)

    def _issues(self, shared: Shared, lane: LaneKeeper) -> Issues:
        return Issues(
            shared.db,
            self.gateway,
            lane,
            self.keys.claim_signer,
            self.at,
            decision_keys=shared.decision_keys,
            data_keys=shared.data_keys,
            firewall=shared.firewall,
            batch_size=shared.batch_size,
        )

    def loops(self) -> list[Coroutine[Any, Any, None]]:
        """Every loop of this chain; each ends after `stop`."""
        return [
            self._watch(),
            keeping_house(SIGHT_SECONDS, self.sight.look, "sight", self._stop, self.chain_id),
            keeping_house(RENEW_SECONDS, self._renew, "renew", self._stop, self.chain_id),
            keeping_house(HOLDER_SECONDS, self._witness.step, "witness", self._stop, self.chain_id),
            keeping_house(HOLDER_SECONDS, self._look_at_offers, "offers", self._stop, self.chain_id),
            keeping_house(RECONCILE_SECONDS, self._reconcile, "reconcile", self._stop, self.chain_id),
            every(PROBE_SECONDS, self._probe, "probe", self._stop, self.chain_id),
            *(lane.run(self._until_right) for lane in self._lanes),
            *(every(BEAT_SECONDS, each.lane.renew, "lease", self._stop, self.chain_id) for each in self._lanes),
        ]

    async def aclose(self) -> None:
        """Let its nodes and its keys' keepers go."""
        await self.gateway.aclose()
        for signer in (*self.keys.lanes, self.keys.claim_signer):
            await signer.aclose()

    def wake(self) -> None:
        for lane in self._lanes:
            lane.wake()

    async def identity(self, wallet: str) -> str | None:
        """The wallet's Identity here, linked or predicted. Raises `ChainError` without an answer.

        A node that did not answer is not waited for again until it answers the probe: decisions do not wait for it.
        """
        if self._away:
            raise NodeUnavailable("the node did not answer a moment ago")
        calls = contracts.identity_calls(self.at.factory, wallet, self.at.claim_issuer)
        try:
            linked, predicted = await self.gateway.call(calls)
        except NodeUnavailable:
            self._away = True
            raise
        return contracts.identity_of(linked, predicted)

    async def _renew(self) -> None:
        if await self._renewals.step():
            self.wake()

    async def _look_at_offers(self) -> None:
        if await self._offers.step():
            self.wake()

    async def _reconcile(self) -> None:
        if self._deployed_in is None:
            self._deployed_in = await deployed_in(self.gateway, self.deployment)
        await self._reconciler.step(first_block=self._deployed_in)

    async def _probe(self) -> None:
        if self._away:
            await self.gateway.head()
            self._away = False

    async def _watch(self) -> None:
        """Look at the chain often while something is on its way, and otherwise only when something is sent."""
        pause = self.profile.poll_seconds
        try:
            while not self._stop.is_set():
                self._sent.clear()
                fine = await attempt(self._look, "watch", self.chain_id)
                pause = self.profile.poll_seconds if fine else min(pause * 2, LONGEST_PAUSE_SECONDS)
                if fine and not self._watches:
                    await wait(SPARE_SECONDS, self._stop)  # another process watches; take over when it is gone
                elif fine and not self._left:
                    spare = LONGEST_PAUSE_SECONDS if self._alone else SPARE_SECONDS
                    await wait(spare, self._sent, self._stop)  # in time to keep the lease
                else:
                    await wait(pause, self._stop)
        finally:
            with contextlib.suppress(ClaimwrightError):
                await self._watcher.release()

    async def _look(self) -> None:
        self._watches = await self._watcher.ensure()
        look = self._watcher.look if self._watches else self._watcher.unfinished
        before, self._left = self._left, await look()
        if self._left < before:
            self.wake()  # claims that gathered behind those transactions can go now

    async def _check_chain(self) -> None:
        problems = await check_deployment(
            self.gateway,
            self.deployment,
            senders=[signer.address for signer in self.keys.lanes],
            claim_signer=self.keys.claim_signer.address,
        )
        if problems:
            raise ChainError("; ".join(problems))

    async def _until_right(self) -> None:
        pause = BUSY_SECONDS
        while not self._stop.is_set() and not await attempt(self._check_chain, "chain_check", self.chain_id):
            await wait(pause, self._stop)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def load_keys(settings: ChainSettings) -> Keys:
    """Keys with different jobs: some pay gas, one makes claims true. Decrypting takes about a second each."""
    chain_ids = [settings.chain_id]
    senders = load_signers(settings.senders, chain_ids=chain_ids)
    revokers = load_signers(settings.revoker, chain_ids=chain_ids, optional=True)
    claim_signer = load_signer(settings.claim_signer, chain_ids=chain_ids)
    refuse_shared_keys(senders, revokers, [claim_signer])
    if len(revokers) > 1:
        raise SettingsError("CLAIMWRIGHT_REVOKER_KEYSTORE", "names several keys, where there can be one only")
    return Keys(senders=senders, revoker=revokers[0] if revokers else None, claim_signer=claim_signer)


def profile(settings: ChainSettings) -> ChainProfile:
    """The chain's, with what the operator set."""
    known = rules.profile(settings.chain_id, depth=settings.depth)
    max_fee = known.max_fee if settings.max_fee_gwei is None else settings.max_fee_gwei * GWEI
    return msgspec.structs.replace(
        known,
        max_fee=max_fee,
        max_tip=min(known.max_tip, max_fee),
        max_unmined=settings.max_in_flight or known.max_unmined,
    )


def limits(settings: ChainSettings, batch_size: int, reserve_at: str) -> Limits:
    """`reserve_at`: the address that revocations are sent from."""
    full, rest = divmod(settings.reserve_revocations, batch_size)
    gas = full * contracts.revoke_gas(batch_size) + (contracts.revoke_gas(rest) if rest else 0)
    return Limits(
        daily_cap=None if settings.daily_fees_gwei is None else settings.daily_fees_gwei * GWEI,
        reserve_gas=gas,
        reserve_at=reserve_at,
    )
