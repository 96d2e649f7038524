"""One chain in the daemon: its node, its lane and its watcher, and the loops that drive them.

Rooms share the database and nothing else, so a chain whose node is away delays its own claims and no other's.
"""

import asyncio
import contextlib
from functools import partial

import msgspec

from issuer.chain import contracts, rules
from issuer.chain.deploy import Deployment, check_deployment
from issuer.chain.gateway import Gateway
from issuer.chain.lanes import LaneKeeper
from issuer.chain.rules import ChainProfile
from issuer.chain.signer import Signer
from issuer.chain.signers import load_signer, refuse_shared_keys
from issuer.chain.watcher import Watcher
from issuer.claims.foreign import Offers
from issuer.claims.issue import Contracts, Issues
from issuer.claims.queueing import Issuance
from issuer.claims.renewal import Renewals
from issuer.claims.revoke import Revocations
from issuer.claims.settle import ClaimSettlement
from issuer.claims.witness import Witness
from issuer.claims.work import ClaimWorker
from issuer.db import Database
from issuer.errors import ChainError, ClaimwrightError, NodeUnavailable, SettingsError
from issuer.loops import LONGEST_PAUSE_SECONDS, Step, attempt, every, wait
from issuer.monitoring.sight import ChainSight
from issuer.reconcile.repair import Repairs
from issuer.reconcile.work import Reconciler, deployed_in
from issuer.secrets import KeyRing
from issuer.settings import ChainSettings

IDLE_SECONDS = 1.0  # between looks when nobody rings
BUSY_SECONDS = 0.25  # the same, while something is unmined and others gather behind it
PROBE_SECONDS = 1.0
SIGHT_SECONDS = 10.0  # between looks at the head and the balances, for those who watch
RENEW_SECONDS = 5.0
RECONCILE_SECONDS = 15.0
GWEI = 10**9


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """What every room gets of the daemon."""

    db: Database
    decision_keys: KeyRing
    data_keys: KeyRing
    hosted_levels: frozenset[str]
    batch_size: int
    stop: asyncio.Event


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
        self.profile = _profile(settings)
        self._stop = shared.stop
        self._work = asyncio.Event()  # something to sign
        self._sent = asyncio.Event()  # something to watch
        self._idle = True
        self._left = 0
        self._away = False
        sender, claim_signer = signers(settings)
        self._signs = (sender.address, claim_signer.address)
        self.gateway = Gateway(settings.rpc_urls, chain=(self.chain_id, self.deployment.genesis_hash))
        self._lane = LaneKeeper(shared.db, self.gateway, sender, chain_id=self.chain_id, profile=self.profile)
        revocations = Revocations(
            shared.db, self.gateway, self._lane, self.at.claim_issuer, batch_size=shared.batch_size
        )
        issues = Issues(
            shared.db,
            self.gateway,
            self._lane,
            claim_signer,
            self.at,
            decision_keys=shared.decision_keys,
            data_keys=shared.data_keys,
            batch_size=shared.batch_size,
        )
        self._claims = ClaimWorker(revocations, issues)
        settlement = ClaimSettlement({self.chain_id: self.at.claim_issuer})
        self.sight = ChainSight(shared.db, self.gateway, chain_id=self.chain_id, profile=self.profile)
        self._watcher = Watcher(shared.db, self.gateway, settlement, chain_id=self.chain_id, profile=self.profile)
        self.issuance = Issuance(
            claim_issuers={self.chain_id: self.at.claim_issuer},
            data_keys=shared.data_keys,
            hosted_levels=shared.hosted_levels,
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

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Every loop of this chain, until `stop`."""
        tasks.create_task(self._drive())
        tasks.create_task(self._watch())
        tasks.create_task(every(SIGHT_SECONDS, self.sight.look, "sight", self._stop, self.chain_id))
        tasks.create_task(every(RENEW_SECONDS, self._renew, "renew", self._stop, self.chain_id))
        tasks.create_task(every(self.profile.block_seconds, self._witness.step, "witness", self._stop, self.chain_id))
        tasks.create_task(every(self.profile.block_seconds, self._look_at_offers, "offers", self._stop, self.chain_id))
        tasks.create_task(every(RECONCILE_SECONDS, self._reconcile, "reconcile", self._stop, self.chain_id))
        tasks.create_task(every(PROBE_SECONDS, self._probe, "probe", self._stop, self.chain_id))

    def wake(self) -> None:
        self._work.set()

    async def release(self) -> None:
        """Let the next process start at once."""
        with contextlib.suppress(ClaimwrightError):
            await self._lane.release()

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
            self._work.set()

    async def _look_at_offers(self) -> None:
        if await self._offers.step():
            self._work.set()

    async def _reconcile(self) -> None:
        await self._reconciler.step(first_block=await deployed_in(self.gateway, self.deployment))

    async def _probe(self) -> None:
        if self._away:
            await self.gateway.head()
            self._away = False

    async def _drive(self) -> None:
        """Pump whenever there is something to sign; push what is unmined again now and then."""
        pause = IDLE_SECONDS
        await self._until_right(self._check_chain)
        resend_at = 0.0
        while not self._stop.is_set():
            await wait(pause, self._work, self._stop)
            self._work.clear()
            time = asyncio.get_running_loop().time()
            due = time >= resend_at
            if due:
                resend_at = time + self.profile.resend_seconds
            fine = await attempt(partial(self._pump, resend=due), "pump", self.chain_id)
            usual = IDLE_SECONDS if self._idle else BUSY_SECONDS
            pause = usual if fine else min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _watch(self) -> None:
        """Look at the chain often while something is on its way, and otherwise only when something is sent."""
        pause = self.profile.poll_seconds
        while not self._stop.is_set():
            self._sent.clear()
            fine = await attempt(self._look, "watch", self.chain_id)
            pause = self.profile.poll_seconds if fine else min(pause * 2, LONGEST_PAUSE_SECONDS)
            if fine and self._idle:
                await wait(LONGEST_PAUSE_SECONDS, self._sent, self._stop)
            else:
                await wait(pause, self._stop)

    async def _look(self) -> None:
        before, self._left = self._left, await self._watcher.look()
        self._idle = self._left == 0
        if self._left < before:
            self._work.set()  # claims that gathered behind those transactions can go now

    async def _pump(self, *, resend: bool) -> None:
        if not await self._lane.ensure():
            return
        if (await self._lane.in_flight()).count:
            self._sent.set()
            if resend:
                await self._lane.resend(await self.gateway.head())
        while not self._stop.is_set() and await self._claims.pump():
            self._sent.set()
            if not await self._lane.ensure():  # a long backlog outlives the lease that it was begun with
                return

    async def _check_chain(self) -> None:
        sender, claim_signer = self._signs
        problems = await check_deployment(self.gateway, self.deployment, sender=sender, claim_signer=claim_signer)
        if problems:
            raise ChainError("; ".join(problems))

    async def _until_right(self, check: Step) -> None:
        pause = BUSY_SECONDS
        while not self._stop.is_set() and not await attempt(check, "chain_check", self.chain_id):
            await wait(pause, self._stop)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def signers(settings: ChainSettings) -> tuple[Signer, Signer]:
    """Two keys with two jobs: one pays gas, the other makes claims true. Decrypting takes about a second each."""
    sender = load_signer(settings.senders, chain_ids=[settings.chain_id])
    claim_signer = load_signer(settings.claim_signer, chain_ids=[settings.chain_id])
    refuse_shared_keys([sender], [claim_signer])
    return sender, claim_signer


def _profile(settings: ChainSettings) -> ChainProfile:
    profile = rules.profile(settings.chain_id, depth=settings.depth)
    if settings.max_fee_gwei is not None:
        profile = msgspec.structs.replace(profile, max_fee=settings.max_fee_gwei * GWEI)
    return profile
