"""The process that signs: it handles events, moves cases, and drives a room for each chain. `claimwright daemon`.

Loops are independent: a provider that is down delays cases, a chain that is down its own claims, and that is all.
"""

import asyncio
import gc
import os
import re
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import structlog

from issuer import crashpoint, migrations
from issuer.audit.rules import AuditKey
from issuer.audit.work import Auditor
from issuer.cases import levels
from issuer.cases.levels import LEVELS
from issuer.cases.work import CaseWorker
from issuer.chain_room import ChainRoom, Shared
from issuer.claims.queueing import Issuance
from issuer.db import Database
from issuer.errors import ClaimwrightError, SettingsError
from issuer.loops import keeping_house, until_stopped
from issuer.monitoring.pages import DaemonPages
from issuer.monitoring.port import private_port
from issuer.providers.registry import providers as open_providers
from issuer.queue.open import open_queue
from issuer.queue.port import INBOX, LANE, RULING
from issuer.reviews.work import ReviewWorker
from issuer.secrets import KeyRing
from issuer.settings import DaemonSettings

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 5.0
AUDIT_SECONDS = 10.0
SWITCH_SECONDS = 0.0005  # a thread that waits for SQLite comes back within this, however busy the loop is
# A wave makes objects by the ten thousand and hardly a cycle: looking as often as usual took a tenth of its time.
GARBAGE = 50_000, 10, 10


async def run(settings: DaemonSettings, stop: asyncio.Event) -> None:
    """Run until `stop` is set. Raises `SettingsError` before any work if something is not right."""
    crashpoint.arm(settings.crash_at)
    levels.use(settings.levels_file)
    db = Database(settings.database_url.reveal())
    shared = Shared(
        db=db,
        decision_keys=KeyRing.parse("CLAIMWRIGHT_DECISION_KEYS", settings.decision_keys),
        data_keys=KeyRing.parse("CLAIMWRIGHT_DATA_KEYS", settings.data_keys),
        hosted_levels=_hosted_levels(settings),
        firewall=settings.firewall,
        batch_size=settings.batch_size,
        stop=stop,
    )
    rooms = Rooms([ChainRoom(chain, shared) for chain in settings.chains])
    vendors = open_providers(settings)
    queue = open_queue(db)
    try:
        if not await migrations.at_head(db):
            raise SettingsError("DATABASE_URL", "the store is not migrated; run `claimwright migrate`")
        issuance = Issuance(
            claim_issuers={room.chain_id: room.at.claim_issuer for room in rooms},
            data_keys=shared.data_keys,
            hosted_levels=shared.hosted_levels,
            firewall=shared.firewall,
        )
        cases = CaseWorker(
            db,
            queue,
            vendors,
            decision_keys=shared.decision_keys,
            issuance=issuance,
            identities=rooms.identities,
            wake=rooms.wake,
            silent_seconds=settings.silent_seconds,
        )
        reviews = ReviewWorker(
            db,
            vendors,
            decision_keys=shared.decision_keys,
            issuance=issuance,
            identities=rooms.identities,
            read_again=partial(cases.read_again, cause="lifted"),
            wake=rooms.wake,
        )
        auditor = Auditor(
            db,
            None if settings.audit_key is None else AuditKey.parse(settings.audit_key),
            Path(settings.audit_anchor) if settings.audit_anchor else None,
        )
        for room in rooms:
            log.info("daemon_ready", chain_id=room.chain_id, pid=os.getpid())
        sys.setswitchinterval(SWITCH_SECONDS)
        gc.freeze()  # what is loaded by now stays: looking for garbage in it would stop a wave of claims for 0.1 s
        gc.set_threshold(*GARBAGE)
        pages = DaemonPages(
            db,
            queue,
            [room.sight for room in rooms],
            checks_per_day=settings.checks_per_day,
            out=lambda: [key for key, vendor in vendors.items() if vendor.is_out],
        ).pages()
        loops = [
            queue.run({INBOX: cases.handle_event, LANE: rooms.ring, RULING: reviews.handle}, stop),
            keeping_house(SWEEP_SECONDS, cases.sweep, "sweep", stop),
            keeping_house(SWEEP_SECONDS, reviews.sweep, "reviews", stop),
            keeping_house(AUDIT_SECONDS, auditor.step, "audit", stop),
            *(loop for room in rooms for loop in room.loops()),
        ]
        async with private_port("CLAIMWRIGHT_DAEMON_PRIVATE_PORT", settings.private_host, settings.private_port, pages):
            await until_stopped(loops, stop)
    finally:
        await queue.aclose()
        for room in rooms:
            await room.aclose()
        for vendor in vendors.values():
            await vendor.aclose()
        await db.aclose()


class Rooms(list[ChainRoom]):
    """The daemon's chains together, as cases see them."""

    def wake(self) -> None:
        for room in self:
            room.wake()

    async def ring(self, chain_id: str) -> None:
        """The job of the `lane` queue: something was queued for this chain."""
        for room in self:
            if str(room.chain_id) == chain_id:
                room.wake()

    async def identities(self, wallet: str) -> Mapping[int, str]:
        """The wallet's Identity on each chain that answers; the others are asked again by the sweep."""
        answers = await asyncio.gather(*(room.identity(wallet) for room in self), return_exceptions=True)
        found = {}
        for room, answer in zip(self, answers, strict=True):
            if isinstance(answer, ClaimwrightError):
                log.warning("identity_not_read", chain_id=room.chain_id, error_code=answer.code)
            elif isinstance(answer, BaseException):
                raise answer
            elif answer is not None:
                found[room.chain_id] = answer
        return found


def _hosted_levels(settings: DaemonSettings) -> frozenset[str]:
    names = frozenset(filter(None, re.split(r"[\s,]+", settings.hosted_levels)))
    if names - LEVELS.keys():
        raise SettingsError("CLAIMWRIGHT_HOSTED_LEVELS", f"names no level; known: {', '.join(sorted(LEVELS))}")
    return names
