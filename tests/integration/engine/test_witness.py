"""An outside issuer's claim is recorded only when the chain shows it: event, Identity, and the issuer's own word."""

import os
from datetime import UTC, datetime, timedelta

from issuer.cases import store as cases
from issuer.cases.tables import Case
from issuer.chain import rules as chain_rules
from issuer.chain.signer import LocalSigner
from issuer.claims import external
from issuer.claims.tables import ExternalClaim
from issuer.claims.witness import Witness
from issuer.clock import now
from tests.integration.contracts.evm import Contract, Evm
from tests.integration.contracts.onchainid import CLAIM_ISSUER, Onchainid, legacy_signature
from tests.integration.engine.conftest import CHAIN_ID, Engine, rpc
from tests.integration.engine.test_foreign import holder_with_identity

TOPIC = 7
DATA = b"checked elsewhere"


class Outside:
    """An issuer that is not us, with its own key, and a holder on whose Identity it vouches for something."""

    def __init__(self, evm: Evm, issuer: Contract, owner: LocalSigner, holder: LocalSigner, identity: Contract) -> None:
        self.evm, self.issuer, self.owner, self.holder, self.identity = evm, issuer, owner, holder, identity
        self.signature = b""

    async def issue(self) -> str:
        """The hash of the holder's transaction that adds the claim."""
        self.signature = await legacy_signature(self.owner, self.identity.address, TOPIC, DATA)
        values = (TOPIC, 1, self.issuer.address, self.signature, DATA, "")
        return (await self.evm.send(self.identity, "addClaim", *values, sender=self.holder)).tx_hash


async def outside(evm: Evm, they: Onchainid) -> Outside:
    owner = evm.person("outside issuer")
    issuer = await evm.deploy(CLAIM_ISSUER, owner.address, sender=owner)
    holder, identity = await holder_with_identity(evm, they)
    return Outside(evm, issuer, owner, holder, identity)


async def tell(engine: Engine, case: Case, issuer: str, tx_hash: str) -> None:
    async with engine.db.write() as session:
        found = await cases.get(session, case.id, "default")
        await external.put(
            session, found, topic=str(TOPIC), chain_id=CHAIN_ID, issuer=issuer, tx_hash=tx_hash, at=now()
        )


async def witnessed(engine: Engine, case: Case, *, later: timedelta = timedelta(0)) -> ExternalClaim:
    """One step of the daemon, `later` than now."""
    witness = Witness(
        engine.db,
        engine.gateway,
        chain_id=CHAIN_ID,
        factory=engine.at.factory,
        claim_issuer=engine.at.claim_issuer,
        profile=engine.profile,
        clock=lambda: datetime.now(UTC) + later,
    )
    await witness.step()
    async with engine.db.read() as session:
        (row,) = await external.of_case(session, case.id)
    return row


async def test_a_claim_that_the_chain_shows_is_recorded(engine: Engine, evm: Evm, they: Onchainid) -> None:
    there = await outside(evm, they)
    case = await engine.open_case(there.holder.address)
    tx_hash = await there.issue()
    await tell(engine, case, there.issuer.address, tx_hash)
    row = await witnessed(engine, case)
    assert (row.status, row.reason, row.identity) == ("recorded", None, there.identity.address)
    assert row.block_number
    await tell(engine, case, there.issuer.address, tx_hash)
    assert (await witnessed(engine, case)).status == "recorded"


async def test_depth_is_waited_for(engine: Engine, evm: Evm, they: Onchainid) -> None:
    engine.restart(chain_rules.profile(CHAIN_ID, depth=4))
    there = await outside(evm, they)
    case = await engine.open_case(there.holder.address)
    await tell(engine, case, there.issuer.address, await there.issue())
    assert (await witnessed(engine, case)).status == "pending"
    await rpc(engine.url, "anvil_mine", hex(3))
    assert (await witnessed(engine, case, later=timedelta(minutes=1))).status == "recorded"


async def test_what_is_not_so_is_refused_by_name(engine: Engine, evm: Evm, they: Onchainid) -> None:
    there = await outside(evm, they)
    tx_hash = await there.issue()

    async def refused(wallet: str, issuer: str, tx_hash: str, *, later: timedelta = timedelta(0)) -> str | None:
        case = await engine.open_case(wallet)
        await tell(engine, case, issuer, tx_hash)
        row = await witnessed(engine, case, later=later)
        assert row.status == "refused"
        return row.reason

    holder, issuer = there.holder.address, there.issuer.address
    stranger = LocalSigner(os.urandom(32)).address
    missing = "0x" + os.urandom(32).hex()
    assert await refused(stranger, issuer, tx_hash) == "identity_not_controlled"
    assert await refused(holder, stranger, tx_hash) == "claim_not_in_tx"
    assert await refused(holder, engine.at.claim_issuer, tx_hash) == "own_issuer"
    assert await refused(holder, issuer, missing, later=timedelta(days=2)) == "tx_not_found"
    await evm.send(there.issuer, "revokeClaimBySignature", there.signature, sender=there.owner)
    assert await refused(holder, issuer, tx_hash) == "issuer_denies"
    claim_id = await evm.ask(there.identity, "getClaimIdsByTopic", TOPIC)
    await evm.send(there.identity, "removeClaim", claim_id[0], sender=there.holder)
    assert await refused(holder, issuer, tx_hash) == "claim_gone"


async def test_a_transaction_that_nobody_knows_yet_is_waited_for(engine: Engine) -> None:
    case = await engine.open_case()
    await tell(engine, case, LocalSigner(os.urandom(32)).address, "0x" + os.urandom(32).hex())
    assert (await witnessed(engine, case)).status == "pending"
