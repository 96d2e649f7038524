"""Claims for ONCHAINID 2.2.1 identities, which their holders made elsewhere."""

import pytest
import sqlalchemy as sa

from issuer.cases.levels import BASIC_TOPIC
from issuer.cases.tables import Case
from issuer.chain import abi, contracts
from issuer.chain import rules as chain_rules
from issuer.chain.signer import LocalSigner
from issuer.claims import renewal
from issuer.claims.calldata import for_holder
from issuer.claims.foreign import Offers
from issuer.claims.rules import ClaimStatus
from issuer.claims.tables import Claim
from issuer.clock import now
from issuer.providers.protocol import Outcome
from tests.integration.contracts.evm import Contract, Evm
from tests.integration.contracts.onchainid import Onchainid
from tests.integration.engine.conftest import CHAIN_ID, Engine, rpc
from tests.integration.engine.test_issue_and_revoke import confirmed
from tests.integration.engine.test_reconcile import examine

S = ClaimStatus


def offers(engine: Engine) -> Offers:
    return Offers(
        engine.db,
        engine.gateway,
        chain_id=CHAIN_ID,
        claim_issuer=engine.at.claim_issuer,
        depth=engine.profile.depth,
    )


async def holder_with_identity(evm: Evm, they: Onchainid) -> tuple[LocalSigner, Contract]:
    holder = evm.person("holder")
    return holder, await they.create(holder.address)


async def give_key(engine: Engine, evm: Evm, holder: LocalSigner, identity: Contract) -> None:
    key = contracts.key_of(engine.at.claim_issuer)
    await evm.send(identity, "addKey", key, contracts.PURPOSE_CLAIM, 1, sender=holder)


async def approved(engine: Engine, wallet: str, identity: str) -> Case:
    case = await engine.open_case(wallet, identity=identity)
    await engine.ring(case, Outcome.APPROVED)
    await engine.settle()
    return case


async def vouched(engine: Engine, claim: Claim) -> bool:
    """What a T-REX token asks: the Identity shows it, and our ClaimIssuer stands by it."""
    (answer,) = await engine.gateway.call([contracts.get_claim(claim.identity, bytes.fromhex(claim.onchain_id[2:]))])
    shown = contracts.decode_claim(answer)
    if shown is None:
        return False
    (answer,) = await engine.gateway.call([contracts.is_claim_valid(engine.at.claim_issuer, claim.identity, shown)])
    return contracts.decode_bool(answer)


async def test_with_a_key_of_its_holder_we_add_and_revoke(
    engine: Engine, evm: Evm, they: Onchainid, start: int
) -> None:
    holder, identity = await holder_with_identity(evm, they)
    await give_key(engine, evm, holder, identity)
    case = await approved(engine, holder.address, identity.address)
    (claim,) = await engine.claims_of(case)
    assert (claim.status, claim.identity, claim.foreign, claim.detail) == (S.CONFIRMED, identity.address, True, None)
    assert await vouched(engine, claim)
    assert (await examine(engine, start)).findings == []
    await engine.ring(case, Outcome.DECLINED)
    await engine.settle()
    (claim,) = await engine.claims_of(case)
    assert claim.status == S.REVOKED
    assert not await vouched(engine, claim)
    assert (await examine(engine, start)).findings == []


async def test_without_a_key_the_holder_sends_what_we_signed(engine: Engine, evm: Evm, they: Onchainid) -> None:
    engine.restart(chain_rules.profile(CHAIN_ID, depth=3))
    holder, identity = await holder_with_identity(evm, they)
    before = await engine.sent()
    case = await approved(engine, holder.address, identity.address)
    (claim,) = await engine.claims_of(case)
    assert (claim.status, claim.detail) == (S.SIGNED, "awaiting_holder")
    assert not await offers(engine).step()

    call = for_holder(claim)
    receipt = await evm.send_bytes(call.to, bytes.fromhex(call.data[2:]), sender=holder)
    await offers(engine).step()
    (claim,) = await engine.claims_of(case)
    assert (claim.status, claim.tx_hash, claim.block_number) == (S.MINED, receipt.tx_hash, receipt.block_number)
    await rpc(engine.url, "anvil_mine", hex(2))
    await offers(engine).step()
    (claim,) = await engine.claims_of(case)
    assert (claim.status, claim.detail) == (S.CONFIRMED, None)
    assert await vouched(engine, claim)
    assert await engine.sent() == before


async def test_a_key_that_comes_later_lets_us_send(engine: Engine, evm: Evm, they: Onchainid) -> None:
    holder, identity = await holder_with_identity(evm, they)
    case = await approved(engine, holder.address, identity.address)
    await give_key(engine, evm, holder, identity)
    assert await offers(engine).step()
    await engine.settle()
    (claim,) = await engine.claims_of(case)
    assert claim.status == S.CONFIRMED
    assert await vouched(engine, claim)


async def test_a_decline_kills_what_was_only_offered(engine: Engine, evm: Evm, they: Onchainid) -> None:
    holder, identity = await holder_with_identity(evm, they)
    case = await approved(engine, holder.address, identity.address)
    (claim,) = await engine.claims_of(case)
    call = for_holder(claim)
    await engine.ring(case, Outcome.DECLINED)
    await engine.settle()
    (claim,) = await engine.claims_of(case)
    assert claim.status == S.REVOKED
    with pytest.raises(Exception, match="invalid claim"):
        await evm.send_bytes(call.to, bytes.fromhex(call.data[2:]), sender=holder)


async def test_a_newer_approval_takes_the_place_of_an_offer(engine: Engine, evm: Evm, they: Onchainid) -> None:
    holder, identity = await holder_with_identity(evm, they)
    first = await approved(engine, holder.address, identity.address)
    second = await approved(engine, holder.address, identity.address)
    assert [claim.status for claim in await engine.claims_of(first)] == [S.SUPERSEDED]
    assert [claim.status for claim in await engine.claims_of(second)] == [S.SIGNED]


@pytest.mark.parametrize("whose", ["another's", "nobody's"])
async def test_an_identity_that_the_wallet_does_not_control_is_refused(
    engine: Engine, evm: Evm, they: Onchainid, whose: str
) -> None:
    _, identity = await holder_with_identity(evm, they)
    stranger = evm.person("stranger")
    address = identity.address if whose == "another's" else evm.person("empty").address
    before = await engine.sent()
    case = await approved(engine, stranger.address, address)
    (claim,) = await engine.claims_of(case)
    assert (claim.status, claim.detail, claim.word) == (S.FAILED, "identity_not_controlled", None)
    assert await engine.sent() == before


async def test_once_the_wallet_manages_it_a_person_tries_again(engine: Engine, evm: Evm, they: Onchainid) -> None:
    holder, identity = await holder_with_identity(evm, they)
    other = evm.person("other wallet")
    await give_key(engine, evm, holder, identity)
    case = await approved(engine, other.address, identity.address)
    await evm.send(identity, "addKey", contracts.key_of(other.address), contracts.PURPOSE_MANAGEMENT, 1, sender=holder)
    (claim,) = await engine.claims_of(case)
    async with engine.db.write() as session:
        await renewal.retry(session, claim.id, actor="test", at=now())
    await engine.settle()
    (claim,) = await engine.claims_of(case)
    assert (claim.status, claim.detail) == (S.CONFIRMED, None)


async def test_a_case_whose_identity_was_changed_after_the_decision_signs_nothing(
    engine: Engine, evm: Evm, they: Onchainid
) -> None:
    """What the process that faces the internet could do to the tables, once it is somebody else's."""
    holder, identity = await holder_with_identity(evm, they)
    thief = await they.create(evm.person("thief").address)
    case = await engine.open_case(holder.address, identity=identity.address)
    await engine.ring(case, Outcome.APPROVED)
    async with engine.db.write() as session:
        await session.execute(sa.update(Case).where(Case.id == case.id).values(identity=thief.address))
        await session.execute(sa.update(Claim).where(Claim.case_id == case.id).values(identity=thief.address))
    await engine.settle()
    (claim,) = await engine.claims_of(case)
    assert (claim.status, claim.detail, claim.word) == (S.FAILED, "decision_not_proved", None)


async def test_a_hostile_identity_costs_the_others_nothing(engine: Engine, evm: Evm, they: Onchainid) -> None:
    holder, identity = await holder_with_identity(evm, they)
    await give_key(engine, evm, holder, identity)
    hostile = evm.person("hostile").address
    await rpc(engine.url, "anvil_setCode", hostile, "0x5b5f56")  # jumps for ever
    bad = await engine.open_case(holder.address, identity=hostile)
    good = await engine.open_case(holder.address, identity=identity.address)
    for case in (bad, good):
        await engine.ring(case, Outcome.APPROVED)
    await engine.settle()
    assert [claim.status for claim in await engine.claims_of(bad)] == [S.FAILED]
    assert [claim.status for claim in await engine.claims_of(good)] == [S.CONFIRMED]


async def test_claims_of_both_kinds_go_out_side_by_side(engine: Engine, evm: Evm, they: Onchainid) -> None:
    holder, identity = await holder_with_identity(evm, they)
    await give_key(engine, evm, holder, identity)
    foreign = await engine.open_case(holder.address, identity=identity.address)
    await engine.ring(foreign, Outcome.APPROVED)
    ours, claim = await confirmed(engine)
    assert claim.status == S.CONFIRMED
    assert await engine.is_verified(ours.wallet)
    assert [claim.status for claim in await engine.claims_of(foreign)] == [S.CONFIRMED]
    assert int(claim.topic) == BASIC_TOPIC


async def test_identities_that_burn_all_they_are_given_share_a_transaction_with_a_good_one(
    engine: Engine, evm: Evm, they: Onchainid
) -> None:
    """They say yes to every question, and use up whatever `addClaim` is given."""
    add_claim = abi.ADD_CLAIM.selector.hex()
    code = f"0x5f3560e01c63{add_claim}14601657" + "60015f5260205ff3" + "5bfe"
    holder, identity = await holder_with_identity(evm, they)
    await give_key(engine, evm, holder, identity)
    cases = []
    for _ in range(3):
        burning = evm.person("burning").address
        await rpc(engine.url, "anvil_setCode", burning, code)
        cases.append(await engine.open_case(evm.person("owner").address, identity=burning))
    cases.append(await engine.open_case(holder.address, identity=identity.address))
    before = await engine.sent()
    for case in cases:
        await engine.ring(case, Outcome.APPROVED)
    await engine.settle()
    assert await engine.sent() == before + 1
    *burnt, good = [(await engine.claims_of(case))[0] for case in cases]
    assert good.status == S.CONFIRMED
    assert [(claim.status, claim.failures) for claim in burnt] == [(S.QUEUED, 1)] * 3
