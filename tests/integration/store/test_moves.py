"""Many claims moved in one SQL transaction: every change of a known one is written, each move with its history."""

import pytest
import sqlalchemy as sa

from issuer.claims import store, succession
from issuer.claims.moving import Moves
from issuer.claims.plain import Carried
from issuer.claims.rules import ClaimStatus
from issuer.claims.tables import Claim
from issuer.db import Database
from issuer.errors import IllegalMove
from issuer.history import History
from tests import factories
from tests.factories import NOW

SIGNED, MINED, CONFIRMED = ClaimStatus.SIGNED, ClaimStatus.MINED, ClaimStatus.CONFIRMED


@pytest.fixture
async def ids(db: Database) -> list[str]:
    """Of one identity: two on their way, each with a topic of its own, and one that stands for the first's."""
    one = factories.subject()
    case = factories.case(one.id)
    decision = factories.decision(case.id)
    rows = [
        factories.claim(case.id, decision.id, topic="1", status=SIGNED, revision=1),
        factories.claim(case.id, decision.id, topic="2", status=SIGNED),
        factories.claim(case.id, decision.id, topic="1", status=CONFIRMED),
    ]
    async with db.write() as session:
        for row in (one, case, decision, *rows):
            session.add(row)
            await session.flush()
    return [row.id for row in rows]


async def carried(db: Database, ids: list[str]) -> list[Carried]:
    async with db.read() as session:
        found = await store.locked_to_settle(session, ids)
    return [found[claim_id] for claim_id in ids]


async def told(db: Database) -> list[tuple[str | None, str | None, str]]:
    async with db.read() as session:
        rows = await session.scalars(sa.select(History).order_by(History.id))
        return [(row.claim_id, row.source, row.target) for row in rows]


async def test_every_change_of_a_known_claim_is_written_moved_or_not(db: Database, ids: list[str]) -> None:
    async with db.write() as session:
        first, second, _ = (await store.locked_to_settle(session, ids)).values()
        moves = Moves(NOW, [first, second])
        first.tx_hash, first.block_number = "0x1", 7
        moves.add(first, MINED, cause="chain", detail={"block_number": 7})
        second.failures += 1
        await moves.write(session)
    assert await carried(db, [first.id, second.id]) == [first, second]
    assert (first.status, first.updated_at, second.failures) == (MINED, NOW, 1)
    assert await told(db) == [(first.id, SIGNED, MINED)]


async def test_what_changes_after_it_was_written_is_written_with_the_next(db: Database, ids: list[str]) -> None:
    async with db.write() as session:
        _, second, _ = (await store.locked_to_settle(session, ids)).values()
        moves = Moves(NOW, [second])
        moves.add(second, MINED, cause="chain")
        await moves.write(session)
        moves.add(second, CONFIRMED, cause="chain")
        second.block_number = 9
        await moves.write(session)
        await moves.write(session)  # has nothing left to write
    assert await carried(db, [second.id]) == [second]
    assert (second.status, second.block_number) == (CONFIRMED, 9)
    assert await told(db) == [(second.id, SIGNED, MINED), (second.id, MINED, CONFIRMED)]


async def test_the_one_that_stood_leaves_its_place_first(db: Database, ids: list[str]) -> None:
    """The store lets one stand: in the other order it would refuse."""
    async with db.write() as session:
        first, _, _ = (await store.locked_to_settle(session, ids)).values()
        moves = Moves(NOW, [first])
        moves.add(first, MINED, cause="chain")
        await succession.confirm(session, [(first, {})], moves, cause="chain")
        await moves.write(session)
    assert [claim.status for claim in await carried(db, ids)] == [CONFIRMED, SIGNED, ClaimStatus.SUPERSEDED]


async def test_a_claim_read_twice_is_one(db: Database, ids: list[str]) -> None:
    first, again = (await carried(db, ids[:1]))[0], (await carried(db, ids[:1]))[0]
    moves = Moves(NOW, [first])
    assert moves.know([again])[0] is first


async def test_an_illegal_move_changes_nothing(db: Database, ids: list[str]) -> None:
    (first,) = await carried(db, ids[:1])
    with pytest.raises(IllegalMove):
        Moves(NOW, [first]).add(first, ClaimStatus.REMOVED, cause="chain")
    assert first == (await carried(db, ids[:1]))[0]


async def test_the_plain_data_is_the_row(db: Database, ids: list[str]) -> None:
    async with db.read() as session:
        rows = list(await session.scalars(sa.select(Claim).where(Claim.id.in_(ids))))
    plain = {claim.id: claim for claim in await carried(db, ids)}
    for row in rows:
        for name in Carried.__struct_fields__:
            assert getattr(plain[row.id], name) == getattr(row, name), name
