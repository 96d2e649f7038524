"""The hosted form through the same engine: one word at the ClaimIssuer, a batch under the claim signer's leave."""

import pytest
import sqlalchemy as sa

from issuer.cases.rules import CaseStatus
from issuer.chain import rules as chain_rules
from issuer.chain.tables import Transaction
from issuer.claims.rules import ClaimStatus
from issuer.errors import LaneHeld
from issuer.providers.protocol import Outcome
from tests.integration.engine.conftest import CHAIN_ID, Engine


@pytest.fixture
def hosting(engine: Engine) -> Engine:
    engine.restart(chain_rules.profile(CHAIN_ID), hosted=True)
    return engine


async def test_approved_declined_and_approved_again(hosting: Engine) -> None:
    case = await hosting.open_case()
    await hosting.ring(case, Outcome.APPROVED)
    await hosting.settle()
    (claim,) = await hosting.claims_of(case)
    assert (claim.status, claim.form, claim.signature) == (ClaimStatus.CONFIRMED, "hosted", None)
    assert await hosting.is_verified(case.wallet)

    await hosting.ring(case, Outcome.DECLINED)
    await hosting.settle()
    (claim,) = await hosting.claims_of(case)
    assert claim.status == ClaimStatus.REVOKED
    assert not await hosting.is_verified(case.wallet)

    await hosting.ring(case, Outcome.APPROVED)
    await hosting.settle()
    assert [claim.status for claim in await hosting.claims_of(case)] == [ClaimStatus.REVOKED, ClaimStatus.CONFIRMED]
    assert await hosting.is_verified(case.wallet)


async def test_many_go_out_in_few_transactions_for_less_gas(hosting: Engine) -> None:
    cases = [await hosting.open_case() for _ in range(40)]
    before = await hosting.sent()
    for case in cases:
        await hosting.ring(case, Outcome.APPROVED)
    await hosting.settle()
    for case in cases:
        assert await hosting.is_verified(case.wallet)
    assert await hosting.sent() <= before + 3


async def test_signed_and_hosted_claims_do_not_share_a_transaction(engine: Engine) -> None:
    signed = await engine.open_case()
    await engine.ring(signed, Outcome.APPROVED)
    engine.restart(chain_rules.profile(CHAIN_ID), hosted=True)
    hosted = await engine.open_case()
    await engine.ring(hosted, Outcome.APPROVED)
    await engine.settle()
    forms = {claim.form for case in (signed, hosted) for claim in await engine.claims_of(case)}
    assert forms == {"signed", "hosted"}
    assert await engine.is_verified(signed.wallet)
    assert await engine.is_verified(hosted.wallet)
    async with engine.db.read() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(Transaction)) == 2


async def test_a_signed_claim_is_not_followed_by_a_hosted_one_that_it_would_hide(engine: Engine) -> None:
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)
    await engine.settle()
    await engine.ring(case, Outcome.DECLINED)
    await engine.settle()
    await engine.lane.release()
    engine.restart(chain_rules.profile(CHAIN_ID), hosted=True)
    await engine.ring(case, Outcome.APPROVED)
    await engine.settle()
    assert [claim.form for claim in await engine.claims_of(case)] == ["signed", "signed"]
    assert await engine.is_verified(case.wallet)


@pytest.mark.failure("F16")
async def test_a_batch_that_the_claim_signer_does_not_sign_is_not_sent(hosting: Engine) -> None:
    case = await hosting.open_case()
    await hosting.ring(case, Outcome.APPROVED)
    before = await hosting.sent()

    class Silent:
        address = hosting.keys.claim_signer.address

        async def sign_digest(self, digest: bytes, message: bytes) -> object:
            return await hosting.keys.sender.sign_digest(digest, message)  # another key's signature

    hosting.claims._issues._signing._signer = Silent()  # type: ignore[assignment]
    with pytest.raises(LaneHeld):
        await hosting.pump()
    assert await hosting.sent() == before
    assert (await hosting.case(case)).status == CaseStatus.APPROVED
