"""F01: SIGKILL at every step boundary, then a new daemon, then the oracle. Real processes on a real chain.

Half of the product of points and stores runs in `scripts/test`, each point on one store; all of it, the marker
`matrix`, in `scripts/chaos --matrix`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from issuer import crashpoint
from issuer.cases.tables import Case
from issuer.chain import rules as chain_rules
from issuer.chain.tables import Attempt, Lane, Transaction
from issuer.claims.rules import ClaimStatus
from issuer.claims.tables import Claim
from issuer.inbox.tables import InboxEvent
from issuer.providers.protocol import Outcome
from issuer.queue.port import INBOX
from tests.daemons import Daemon
from tests.e2e.rig import until
from tests.integration.engine.conftest import Engine, daemon_environment, rpc
from tests.oracle import Oracle
from tests.persona_http import PersonaHttp

GWEI = 10**9
WAVE = 4  # claims of one step


class Scene:
    """One database, one case, and a daemon that dies where it is told."""

    def __init__(self, engine: Engine, daemon: Daemon, oracle: Oracle) -> None:
        self.engine = engine
        self.daemon = daemon
        self.oracle = oracle
        self.sent = 1  # transactions that are still to come
        self.replaced = 0  # second forms of those that there are

    async def queued(self) -> Case:
        """An approved case with its claim queued."""
        case = await self.engine.open_case()
        await self.engine.ring(case, Outcome.APPROVED)
        return case

    async def confirmed(self) -> Case:
        case = await self.queued()
        await self.engine.settle()
        await self.engine.lane.release()
        return case

    async def knock(self, case: Case, outcome: Outcome) -> None:
        """The provider decides and its webhook is in the inbox, as the API would put it there."""
        self.engine.persona.says(case, outcome)
        event_id = await self.engine.receive(case)
        async with self.engine.db.write() as session:
            await self.engine.queue.enqueue(session, INBOX, [event_id])

    async def counts(self) -> tuple[int, int]:
        async with self.engine.db.read() as session:
            transactions = await session.scalar(sa.select(sa.func.count()).select_from(Transaction))
            attempts = await session.scalar(sa.select(sa.func.count()).select_from(Attempt))
        return transactions or 0, attempts or 0

    async def let_time_pass(self) -> None:
        """What the dead daemon held runs out: its lease, and its grace for an event that it had taken."""
        async with self.engine.db.write() as session:
            await session.execute(sa.update(Lane).values(leased_until=sa.literal(0, sa.BigInteger)))
            await session.execute(sa.update(InboxEvent).values(received_at=sa.literal(0, sa.BigInteger)))


@pytest.fixture
async def scene(engine: Engine, store_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    async with PersonaHttp(engine.persona.readings) as persona:
        env = daemon_environment(engine, store_url, persona.url, tmp_path)
        daemon = Daemon(env, tmp_path / "daemon.log", wave=WAVE)
        since = (await engine.gateway.head()).number
        try:
            yield Scene(engine, daemon, Oracle(engine.db, engine.url, engine.deployment, since=since))
        finally:
            await daemon.kill()


Expected = tuple[Case, list[ClaimStatus]]
CONFIRMED, REVOKED, RENEWED = (
    [ClaimStatus.CONFIRMED],
    [ClaimStatus.REVOKED],
    [ClaimStatus.SUPERSEDED, ClaimStatus.CONFIRMED],
)


async def approve(scene: Scene) -> Expected:
    case = await scene.engine.open_case()
    await scene.knock(case, Outcome.APPROVED)
    return case, CONFIRMED


async def decline(scene: Scene) -> Expected:
    case = await scene.confirmed()
    await scene.knock(case, Outcome.DECLINED)
    return case, REVOKED


async def issue(scene: Scene) -> Expected:
    return await scene.queued(), CONFIRMED


async def revoke(scene: Scene) -> Expected:
    case = await scene.confirmed()
    await scene.engine.ring(case, Outcome.DECLINED)
    return case, REVOKED


async def renew(scene: Scene) -> Expected:
    case = await scene.confirmed()
    async with scene.engine.db.write() as session:
        await session.execute(sa.update(Claim).values(renew_at=datetime.now(UTC)))
    return case, RENEWED


async def bump(scene: Scene) -> Expected:
    """A transaction is on the wire and the base fee has risen above what it offers."""
    engine = scene.engine
    await mine_at(scene, GWEI)
    await rpc(engine.url, "evm_setAutomine", False)
    case = await scene.queued()
    await engine.pump()
    await engine.lane.release()
    await mine_at(scene, 20 * GWEI)
    scene.sent, scene.replaced = 0, 1
    return case, CONFIRMED


async def cancel(scene: Scene) -> Expected:
    """A person wants what is on the wire gone: its nonce is used up by a NOOP, and the claim goes out under another."""
    engine = scene.engine
    await mine_at(scene, GWEI)
    await rpc(engine.url, "evm_setAutomine", False)
    case = await scene.queued()
    await engine.pump()
    await engine.lane.release()
    async with engine.db.write() as session:
        await session.execute(sa.update(Transaction).values(wanted=chain_rules.CANCEL))
    scene.replaced = 1
    return case, CONFIRMED


Act = Callable[[Scene], Awaitable[Expected]]
ACTS: dict[tuple[str, ...], tuple[Act, ...]] = {
    crashpoint.CASE: (approve, decline),
    crashpoint.RENEW: (renew,),
    crashpoint.ISSUE: (issue, renew),
    crashpoint.REVOKE: (revoke,),
    crashpoint.RECEIPT: (issue, revoke, renew),
    crashpoint.BUMP: (bump,),
    crashpoint.NOOP: (cancel,),
}
PAIRS = [(point, act) for points, acts in ACTS.items() for act in acts for point in points]


STORES = ("sqlite", "postgresql")


def case(number: int, store: str) -> object:
    point, act = PAIRS[number]
    marks = [] if store == STORES[number % 2] else [pytest.mark.matrix]
    return pytest.param(point, act, store, marks=marks, id=f"{act.__name__}-{point}-{store}")


CASES = [case(number, store) for store in STORES for number in range(len(PAIRS))]


@pytest.mark.failure("F01")
@pytest.mark.parametrize(("point", "act", "store_url"), CASES, indirect=["store_url"])
async def test_f01_killed_at(scene: Scene, point: str, act: Act) -> None:
    case, outcomes = await act(scene)
    before = await scene.counts()
    scene.daemon.start(CLAIMWRIGHT_CRASH_AT=point)
    assert await scene.daemon.ended(60) == -9, scene.daemon.tail()
    await scene.let_time_pass()
    scene.daemon.start()
    if scene.replaced:
        await until_replaced(scene)
        await rpc(scene.engine.url, "evm_setAutomine", True)
        await rpc(scene.engine.url, "evm_mine")

    async def settled() -> bool | None:
        claims = await scene.engine.claims_of(case)
        return True if [claim.status for claim in claims] == outcomes and not await scene.oracle.unsettled() else None

    await until(settled, 60, scene.daemon.tail)
    assert await scene.daemon.stop() == 0
    assert await scene.oracle.problems() == []
    for claim in await scene.engine.claims_of(case):
        assert claim.tx_hash
        assert bool(claim.revoked_tx_hash) == (claim.status == ClaimStatus.REVOKED)
    transactions, attempts = await scene.counts()
    assert (transactions, attempts) == (before[0] + scene.sent, before[1] + scene.sent + scene.replaced)


async def mine_at(scene: Scene, base_fee: int) -> None:
    """A block with this base fee."""
    await rpc(scene.engine.url, "anvil_setNextBlockBaseFeePerGas", hex(base_fee))
    await rpc(scene.engine.url, "evm_mine")


@pytest.mark.failure("F01")
@pytest.mark.parametrize("point", crashpoint.ISSUE)
async def test_f01_killed_with_claims_made_ready_ahead(scene: Scene, point: str) -> None:
    """What waits ready behind those that are being sent is known to nobody else: it is made ready again, once."""
    cases = [await scene.queued() for _ in range(3 * WAVE)]
    scene.daemon.start(CLAIMWRIGHT_CRASH_AT=point)
    assert await scene.daemon.ended(60) == -9, scene.daemon.tail()
    await scene.let_time_pass()
    scene.daemon.start()

    async def settled() -> bool | None:
        claims = await scene.engine.rows(Claim)
        done = all(claim.status == ClaimStatus.CONFIRMED for claim in claims)
        return True if done and not await scene.oracle.unsettled() else None

    await until(settled, 60, scene.daemon.tail)
    assert await scene.daemon.stop() == 0
    assert await scene.oracle.problems() == []
    assert len(await scene.engine.rows(Claim)) == len(cases)
    transactions, attempts = await scene.counts()
    assert transactions == attempts


async def until_replaced(scene: Scene) -> None:
    """The second form is stored and the node has it: whichever is mined counts, and it is to be this one."""

    async def there() -> bool | None:
        attempts = await scene.engine.rows(Attempt)
        return True if len(attempts) == 2 and await scene.engine.gateway.transaction_known(attempts[1].hash) else None

    await until(there, 60, scene.daemon.tail)


def test_every_point_is_in_the_matrix() -> None:
    assert {point for point, _ in PAIRS} == crashpoint.POINTS
