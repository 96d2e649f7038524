"""SIGKILL at the two moments that matter: signed bytes are committed and not sent, sent and not known to be mined."""

import pytest
import sqlalchemy as sa

from issuer.chain.tables import Attempt, Transaction
from tests.e2e.rig import Rig

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def counts(rig: Rig) -> tuple[int, int]:
    async with rig.db.read() as session:
        transactions = await session.scalar(sa.select(sa.func.count()).select_from(Transaction))
        attempts = await session.scalar(sa.select(sa.func.count()).select_from(Attempt))
    return transactions or 0, attempts or 0


@pytest.mark.failure("F01")
@pytest.mark.parametrize("moment", ["before_send", "after_send"])
@pytest.mark.parametrize("purpose", ["issue", "revoke"])
async def test_killed_around_the_send(rig: Rig, moment: str, purpose: str) -> None:
    assert rig.proxy is not None
    case = await rig.open_case()
    if purpose == "revoke":
        await rig.approve(case)
        await rig.until_claim(case["id"], "confirmed")
    nonce, (transactions, attempts) = await rig.sender_nonce(), await counts(rig)
    killed: list[int] = []

    async def kill() -> bool:
        if killed:
            return True
        killed.append(rig.pids["daemon"])
        rig.kill("daemon")
        return False

    setattr(rig.proxy, moment, kill)
    try:
        if purpose == "issue":
            await rig.approve(case)
            done = await rig.until_claim(case["id"], "confirmed", seconds=30)
        else:
            await rig.simulate(case["provider_ref"], "decline_inquiry")
            done = await rig.until_claim(case["id"], "revoked", seconds=30)
    finally:
        setattr(rig.proxy, moment, None)
    assert killed
    assert rig.pids["daemon"] != killed[0]
    assert await rig.is_verified(case["wallet"]) is (purpose == "issue")
    assert len(done["claims"]) == 1
    assert await rig.sender_nonce() == nonce + 1, "one transaction"
    assert await counts(rig) == (transactions + 1, attempts + 1), "and one signed form of it"
