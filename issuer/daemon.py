"""The process that signs: it handles events, moves cases, and drives one lane and its watcher. `claimwright daemon`.

Loops are independent: a provider that is down delays cases, a chain that is down delays claims, and that is all.
"""

import asyncio
import contextlib
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import msgspec
import structlog

from issuer import crashpoint, migrations
from issuer.cases.levels import LEVELS
from issuer.cases.work import CaseWorker
from issuer.chain import contracts, rules, signer
from issuer.chain.deploy import Deployment, check_deployment
from issuer.chain.gateway import Gateway
from issuer.chain.lanes import LaneKeeper
from issuer.chain.rules import ChainProfile
from issuer.chain.signers import load_signer, refuse_shared_keys
from issuer.chain.watcher import Watcher
from issuer.claims.issue import Contracts, Issues
from issuer.claims.queueing import Issuance
from issuer.claims.revoke import Revocations
from issuer.claims.settle import ClaimSettlement
from issuer.claims.work import ClaimWorker
from issuer.db import Database
from issuer.errors import ChainError, ClaimwrightError, LaneHeld, NodeUnavailable, SettingsError, WrongChain
from issuer.providers.registry import providers as open_providers
from issuer.queue.open import open_queue
from issuer.queue.port import INBOX, LANE
from issuer.secrets import KeyRing
from issuer.settings import DaemonSettings

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 1.0
IDLE_SECONDS = 1.0  # between looks when nobody rings
BUSY_SECONDS = 0.25  # the same, while something is unmined and others gather behind it
LONGEST_PAUSE_SECONDS = 5.0
NODE_AWAY_SECONDS = 2.0
GWEI = 10**9


async def run(settings: DaemonSettings, stop: asyncio.Event) -> None:
    """Run until `stop` is set. Raises `SettingsError` or `WrongChain` before any work if something is not right."""
    crashpoint.arm(settings.crash_at)
    deployment = Deployment.load(settings.deployment_file)
    if deployment.chain_id != settings.chain_id:
        raise SettingsError("CLAIMWRIGHT_CHAIN_ID", f"is not the chain of the deployment file ({deployment.chain_id})")
    sender, claim_signer = _signers(settings)
    db = Database(settings.database_url.reveal())
    gateway = Gateway(settings.rpc_url)
    vendors = open_providers(settings)
    queue = open_queue(db)
    try:
        if not await migrations.at_head(db):
            raise SettingsError("DATABASE_URL", "the store is not migrated; run `claimwright migrate`")
        daemon = _Daemon(settings, deployment, db, gateway, stop)
        lane, watcher, claims = daemon.chain_room(sender, claim_signer)
        cases = CaseWorker(
            db,
            queue,
            vendors,
            decision_keys=daemon.decision_keys,
            issuance=daemon.issuance,
            identities=daemon.identities,
            wake=daemon.work.set,
            silent_seconds=settings.silent_seconds,
        )
        handlers = {INBOX: cases.handle_event, LANE: daemon.ring}
        log.info("daemon_ready", chain_id=settings.chain_id, pid=os.getpid())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(queue.run(handlers, stop))
            tasks.create_task(daemon.every(SWEEP_SECONDS, cases.sweep, "sweep"))
            tasks.create_task(daemon.drive(lane, claims, sender.address, claim_signer.address))
            tasks.create_task(daemon.watch(watcher))
        with contextlib.suppress(ClaimwrightError):
            await lane.release()
    finally:
        await queue.aclose()
        await gateway.aclose()
        for vendor in vendors.values():
            await vendor.aclose()
        await db.aclose()


class _Daemon:
    """What the loops share: the doorbell `work` (something to sign), `sent` (something to watch), and `stop`."""

    def __init__(
        self, settings: DaemonSettings, deployment: Deployment, db: Database, gateway: Gateway, stop: asyncio.Event
    ) -> None:
        self.db = db
        self.gateway = gateway
        self.stop = stop
        self.work = asyncio.Event()
        self._node_away_until = 0.0
        self._idle = True
        self.sent = asyncio.Event()
        self.settings = settings
        self.deployment = deployment
        self.chain_id = settings.chain_id
        self.at = Contracts(
            claim_issuer=deployment.contracts["ClaimIssuer"], factory=deployment.contracts["IdentityFactory"]
        )
        self.decision_keys = KeyRing.parse("CLAIMWRIGHT_DECISION_KEYS", settings.decision_keys)
        self.data_keys = KeyRing.parse("CLAIMWRIGHT_DATA_KEYS", settings.data_keys)
        self.issuance = Issuance(
            claim_issuers={self.chain_id: self.at.claim_issuer},
            data_keys=self.data_keys,
            hosted_levels=_hosted_levels(settings),
        )
        self.profile = _profile(settings)

    def chain_room(self, sender: signer.Signer, claim_signer: signer.Signer) -> tuple[LaneKeeper, Watcher, ClaimWorker]:
        lane = LaneKeeper(self.db, self.gateway, sender, chain_id=self.chain_id, profile=self.profile)
        settlement = ClaimSettlement(self.issuance.claim_issuers)
        watcher = Watcher(self.db, self.gateway, settlement, chain_id=self.chain_id, profile=self.profile)
        revocations = Revocations(
            self.db, self.gateway, lane, self.at.claim_issuer, batch_size=self.settings.batch_size
        )
        issues = Issues(
            self.db,
            self.gateway,
            lane,
            claim_signer,
            self.at,
            decision_keys=self.decision_keys,
            data_keys=self.data_keys,
            batch_size=self.settings.batch_size,
        )
        claims = ClaimWorker(revocations, issues)
        return lane, watcher, claims

    async def identities(self, wallet: str) -> Mapping[int, str]:
        """The wallet's Identity on our chain, linked or predicted. Raises `ChainError` without an answer.

        A node that just did not answer is not asked again for a while, so that decisions do not wait for it.
        """
        time = asyncio.get_running_loop().time()
        if time < self._node_away_until:
            raise NodeUnavailable("the node did not answer a moment ago")
        calls = contracts.identity_calls(self.at.factory, wallet, self.at.claim_issuer)
        try:
            linked, predicted = await self.gateway.call(calls)
        except NodeUnavailable:
            self._node_away_until = time + NODE_AWAY_SECONDS
            raise
        identity = contracts.identity_of(linked, predicted)
        return {self.chain_id: identity} if identity else {}

    async def ring(self, _key: str) -> None:
        self.work.set()

    async def every(self, seconds: float, step: Callable[[], Awaitable[object]], name: str) -> None:
        """Run a step, wait, repeat. Its failures are logged by name and never end the loop."""
        pause = seconds
        while not self.stop.is_set():
            pause = seconds if await self._try(step, name) else min(pause * 2, LONGEST_PAUSE_SECONDS)
            await _wait(self.stop, pause)

    async def drive(self, lane: LaneKeeper, claims: ClaimWorker, sender: str, claim_signer: str) -> None:
        """Pump whenever there is something to sign; push what is unmined again now and then."""
        pause = IDLE_SECONDS
        await self._until_right(partial(self._check_chain, sender, claim_signer))
        resend_at = 0.0
        while not self.stop.is_set():
            await _wait(self.work, pause, self.stop)
            self.work.clear()
            time = asyncio.get_running_loop().time()
            due = time >= resend_at
            if due:
                resend_at = time + self.profile.resend_seconds
            fine = await self._try(partial(self._pump, lane, claims, resend=due), "pump")
            usual = IDLE_SECONDS if self._idle else BUSY_SECONDS
            pause = usual if fine else min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def watch(self, watcher: Watcher) -> None:
        """Look at the chain often while something is on its way, and otherwise only when something is sent."""
        pause = self.profile.poll_seconds
        while not self.stop.is_set():
            self.sent.clear()
            fine = await self._try(partial(self._look, watcher), "watch")
            pause = self.profile.poll_seconds if fine else min(pause * 2, LONGEST_PAUSE_SECONDS)
            if fine and self._idle:
                await _wait(self.sent, LONGEST_PAUSE_SECONDS, self.stop)
            else:
                await _wait(self.stop, pause)

    async def _look(self, watcher: Watcher) -> None:
        before = self._idle
        left = await watcher.look()
        self._idle = left == 0
        if self._idle and not before:
            self.work.set()  # claims that gathered behind the last transaction can go now

    async def _pump(self, lane: LaneKeeper, claims: ClaimWorker, *, resend: bool) -> None:
        if not await lane.ensure():
            return
        if await lane.unmined():
            self.sent.set()
            if resend:
                await lane.resend(await self.gateway.head())
        while await claims.pump():
            self.sent.set()

    async def _check_chain(self, sender: str, claim_signer: str) -> None:
        chain_id, genesis = await self.gateway.chain_id(), await self.gateway.genesis_hash()
        if chain_id != self.chain_id or genesis != self.deployment.genesis_hash:
            raise WrongChain("the node is on another chain than the deployment file; check CLAIMWRIGHT_RPC_URL")
        problems = await check_deployment(self.gateway, self.deployment, sender=sender, claim_signer=claim_signer)
        if problems:
            raise ChainError("; ".join(problems))

    async def _until_right(self, check: Callable[[], Awaitable[None]]) -> None:
        pause = BUSY_SECONDS
        while not self.stop.is_set() and not await self._try(check, "chain_check"):
            await _wait(self.stop, pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _try(self, step: Callable[[], Awaitable[object]], name: str) -> bool:
        try:
            await step()
        except LaneHeld as error:
            log.warning("lane_held", chain_id=self.chain_id, reason=error.message)
            return False
        except ClaimwrightError as error:
            log.warning("step_failed", step=name, error_code=error.code, reason=error.message)
            return False
        except Exception:
            log.exception("step_broke", step=name)  # a bug: named, loud, and it does not stop the other loops
            return False
        return True


def _signers(settings: DaemonSettings) -> tuple[signer.Signer, signer.Signer]:
    """Two keys with two jobs: one pays gas, the other makes claims true. Decrypting takes about a second each."""
    chain_ids = [settings.chain_id]
    sender = load_signer(settings.senders, chain_ids=chain_ids)
    claim_signer = load_signer(settings.claim_signer, chain_ids=chain_ids)
    refuse_shared_keys([sender], [claim_signer])
    return sender, claim_signer


def _hosted_levels(settings: DaemonSettings) -> frozenset[str]:
    names = frozenset(filter(None, re.split(r"[\s,]+", settings.hosted_levels)))
    if names - LEVELS.keys():
        raise SettingsError("CLAIMWRIGHT_HOSTED_LEVELS", f"names no level; known: {', '.join(sorted(LEVELS))}")
    return names


def _profile(settings: DaemonSettings) -> ChainProfile:
    profile = rules.profile(settings.chain_id, depth=settings.depth)
    if settings.max_fee_gwei is not None:
        profile = msgspec.structs.replace(profile, max_fee=settings.max_fee_gwei * GWEI)
    return profile


async def _wait(first: asyncio.Event, seconds: float, *others: asyncio.Event) -> None:
    """Return when one of the events is set or the time is up."""
    waits = [asyncio.ensure_future(event.wait()) for event in (first, *others)]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
