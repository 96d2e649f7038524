"""What must be there at most once is refused by the database itself, on both stores."""

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from issuer.cases.rules import CaseStatus
from issuer.cases.tables import Case, Decision, Subject
from issuer.chain.rules import TxStatus
from issuer.chain.tables import Lane, Transaction, TransactionClaim
from issuer.claims.rules import ON_ITS_WAY, ClaimStatus
from issuer.claims.tables import Claim
from issuer.clock import now
from issuer.db import Base, Database

IDENTITY = "0x" + "11" * 20
SENDER = "0x" + "22" * 20


async def add(db: Database, *rows: Base) -> None:
    async with db.write() as session:
        for row in rows:
            session.add(row)
            await session.flush()


@pytest.fixture
async def cases(db: Database) -> None:
    """Two approved cases of one subject."""
    await add(db, Subject(id="sub_1", created_at=now()), case("case_1"), case("case_2"), decision("1"), decision("2"))


def case(id_: str) -> Case:
    return Case(
        id=id_,
        subject_id="sub_1",
        level="basic",
        wallet=SENDER,
        chain_ids=[31337],
        provider="persona",
        environment="sandbox",
        template="t",
        status=CaseStatus.APPROVED,
        next_check_at=now(),
        created_at=now(),
        updated_at=now(),
    )


def decision(number: str) -> Decision:
    return Decision(
        id=f"dec_{number}",
        case_id=f"case_{number}",
        outcome="approved",
        provider_status="approved",
        decided_at=now(),
        read_at=now(),
        mac="m",
    )


def claim(number: int, status: ClaimStatus, *, case_id: str = "case_1", revision: int = 0) -> Claim:
    return Claim(
        id=f"clm_{number}",
        case_id=case_id,
        decision_id="dec_1",
        revision=revision,
        wallet=SENDER,
        identity=IDENTITY,
        topic="1",
        chain_id=31337,
        form="signed",
        onchain_id="0x",
        status=status,
        validity_seconds=1,
        salt="s",
        next_try_at=now(),
        created_at=now(),
        updated_at=now(),
    )


def transaction(nonce: int) -> Transaction:
    return Transaction(
        id=f"txn_{nonce}",
        lane_id="lane_1",
        chain_id=31337,
        nonce=nonce,
        purpose="issue",
        recipient=IDENTITY,
        calldata=b"\x01",
        gas_limit=1,
        status=TxStatus.SIGNED,
        created_at=now(),
        updated_at=now(),
    )


PLACES = [{ClaimStatus.QUEUED}, ON_ITS_WAY, {ClaimStatus.CONFIRMED}]


@pytest.mark.usefixtures("cases")
@pytest.mark.parametrize("place", PLACES)
async def test_one_claim_of_an_identity_topic_and_chain_in_each_place(db: Database, place: set[ClaimStatus]) -> None:
    """A renewal may wait or be on its way beside the claim that it follows, but never beside another renewal."""
    first, second = min(place), max(place)
    await add(db, claim(1, first))
    with pytest.raises(IntegrityError):
        await add(db, claim(2, second, case_id="case_2"))
    async with db.write() as session:
        await session.execute(sa.update(Claim).values(status=ClaimStatus.REVOKED))
    await add(db, claim(2, second, case_id="case_2"))


@pytest.mark.usefixtures("cases")
async def test_one_waits_one_is_on_its_way_and_one_stands(db: Database) -> None:
    await add(
        db,
        claim(1, ClaimStatus.CONFIRMED),
        claim(2, ClaimStatus.MINED, case_id="case_2"),
        claim(3, ClaimStatus.QUEUED, revision=1),
    )


@pytest.mark.usefixtures("cases")
async def test_one_claim_of_a_case_topic_chain_and_revision(db: Database) -> None:
    await add(db, claim(1, ClaimStatus.REVOKED))
    with pytest.raises(IntegrityError):
        await add(db, claim(2, ClaimStatus.REVOKED))
    await add(db, claim(2, ClaimStatus.REVOKED, revision=1))


@pytest.mark.usefixtures("cases")
async def test_a_claim_is_in_one_unresolved_transaction_of_a_purpose(db: Database) -> None:
    lane = Lane(id="lane_1", chain_id=31337, sender=SENDER, next_nonce=2)
    await add(db, claim(1, ClaimStatus.SIGNED), lane, transaction(0), transaction(1))
    await add(db, TransactionClaim(transaction_id="txn_0", claim_id="clm_1", purpose="issue"))
    with pytest.raises(IntegrityError):
        await add(db, TransactionClaim(transaction_id="txn_1", claim_id="clm_1", purpose="issue"))
    async with db.write() as session:
        await session.execute(sa.update(TransactionClaim).values(resolved_at=now()))
    await add(db, TransactionClaim(transaction_id="txn_1", claim_id="clm_1", purpose="issue"))


async def test_a_nonce_of_a_lane_is_used_once(db: Database) -> None:
    await add(db, Lane(id="lane_1", chain_id=31337, sender=SENDER, next_nonce=1), transaction(0))
    twin = transaction(0)
    twin.id = "txn_twin"
    with pytest.raises(IntegrityError):
        await add(db, twin)


async def test_a_sender_has_one_lane_on_a_chain(db: Database) -> None:
    await add(db, Lane(id="lane_1", chain_id=31337, sender=SENDER, next_nonce=0))
    with pytest.raises(IntegrityError):
        await add(db, Lane(id="lane_2", chain_id=31337, sender=SENDER, next_nonce=0))
