"""Many rows in one statement are written as the mapper would have written each, on both stores."""

from datetime import UTC, datetime

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from issuer import bulk
from issuer.bulk import among
from issuer.chain.rules import Hold
from issuer.chain.tables import Lane
from issuer.clock import now
from issuer.db import Database
from issuer.history import History
from tests import factories

AT = datetime(2026, 11, 27, 23, 59, 59, 999_999, tzinfo=UTC)
ODD = ["", "'", '"', "\\", "$[0]", "naïve 😀", "null", "1", "1e3", " x ", "{}", "a\nb\tc"]


@pytest.fixture
async def case_id(db: Database) -> str:
    one = factories.subject()
    async with db.write() as session:
        session.add(one)
        await session.flush()
        session.add(factories.case(one.id, id="case_1"))
    return "case_1"


@pytest.fixture
async def lanes(db: Database) -> list[str]:
    rows = [
        {"id": f"lane_{number}", "chain_id": 1 << 62, "sender": f"{number}", "next_nonce": number, "token": 0}
        for number in range(3)
    ]
    async with db.write() as session:
        await bulk.insert_all(session, Lane, rows)
    return [f"lane_{number}" for number in range(3)]


class Sent(list[tuple[str, object]]):
    """The statements that change something, with their parameters."""

    def __init__(self, db: Database) -> None:
        super().__init__()

        @event.listens_for(db.engine.sync_engine, "before_cursor_execute")
        def _(_connection: object, _cursor: object, statement: str, parameters: object, *_more: object) -> None:
            if statement.startswith(("UPDATE", "INSERT")):
                self.append((statement, parameters))


def line(number: int, text: str, detail: dict[str, object]) -> dict[str, object]:
    row = {"id": f"his_{number}", "case_id": "case_1", "claim_id": None, "at": AT, "source": text, "target": "x"}
    return row | {"cause": text, "detail": detail}


async def test_inserted_rows_read_as_they_were_given(db: Database, case_id: str) -> None:
    details = [{}, {"nonce": 1 << 60, "text": 'it\'s "so"', "none": None, "yes": True, "nested": {"list": [1, "2"]}}]
    rows = [line(number, text, details[number % 2]) for number, text in enumerate(ODD)]
    async with db.write() as session:
        await bulk.insert_all(session, History, rows)
        session.add_all([History(**row | {"id": f"{row['id']}_mapped"}) for row in rows])
    async with db.read() as session:
        found = {row.id: row for row in await session.scalars(sa.select(History))}
    for row in rows:
        ours, mapped = found[str(row["id"])], found[f"{row['id']}_mapped"]
        for name in ("tenant_id", *row):
            if name != "id":
                assert getattr(ours, name) == getattr(mapped, name), name


async def test_a_row_that_may_not_be_is_refused_with_all_others(db: Database, case_id: str) -> None:
    rows = [line(1, "x", {}), line(2, "x", {}) | {"case_id": "nobody's"}]
    with pytest.raises(IntegrityError):
        async with db.write() as session:
            await bulk.insert_all(session, History, rows)
    async with db.read() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(History)) == 0


async def test_nothing_to_insert_is_no_statement(db: Database) -> None:
    sent = Sent(db)
    async with db.write() as session:
        await bulk.insert_all(session, History, [])
        await bulk.write_changed(session, Lane, [])
    assert sent == []


async def test_an_update_changes_the_columns_it_names_and_no_other(db: Database, lanes: list[str]) -> None:
    held = {"hold": Hold.BALANCE, "held_because": 'it\'s "empty"', "held_since": AT, "adopted": [1, 2]}
    async with db.write() as session:
        await bulk.update_all(session, Lane, [{"id": lanes[0]} | held | {"adopt_nonce": True}])
        await bulk.update_all(session, Lane, [{"id": lane, "next_nonce": (1 << 62) + 1} for lane in lanes[:2]])
        await bulk.update_all(session, Lane, [{"id": lanes[0], "held_because": None}])
    async with db.read() as session:
        first, second, third = await session.scalars(sa.select(Lane).order_by(Lane.id))
    assert (first.hold, first.held_because, first.held_since, first.adopted) == (Hold.BALANCE, None, AT, [1, 2])
    assert (first.adopt_nonce, second.adopt_nonce) == (True, False)
    assert [lane.next_nonce for lane in (first, second, third)] == [(1 << 62) + 1, (1 << 62) + 1, 2]
    assert {lane.chain_id for lane in (first, second, third)} == {1 << 62}


async def test_an_update_of_a_row_that_is_gone_is_an_error_and_changes_nothing(db: Database, lanes: list[str]) -> None:
    with pytest.raises(RuntimeError, match="1 of 2 rows of lanes"):
        async with db.write() as session:
            await bulk.update_all(session, Lane, [{"id": lane, "next_nonce": 9} for lane in (lanes[0], "nobody's")])
    async with db.read() as session:
        assert await session.scalar(sa.select(Lane.next_nonce).where(Lane.id == lanes[0])) == 0


class Plain(msgspec.Struct):
    """Of a lane, what the tests change."""

    id: str
    next_nonce: int
    held_because: str | None
    held_since: datetime | None


async def plain_lanes(db: Database) -> list[Plain]:
    async with db.read() as session:
        rows = await session.execute(sa.select(*bulk.columns(Lane, Plain)).order_by(Lane.id))
        return [Plain(*row) for row in rows]


async def test_what_was_changed_of_rows_is_written_once_and_by_the_columns_it_touched(
    db: Database, lanes: list[str]
) -> None:
    before, (first, second, third) = await plain_lanes(db), await plain_lanes(db)
    first.next_nonce, first.held_since = 10, AT
    second.next_nonce, second.held_since = 20, now()
    third.held_because = "x"
    changed = [first, second, third]
    sent = Sent(db)
    async with db.write() as session:
        await bulk.write_changed(session, Lane, zip(before, changed, strict=True))
    assert len(sent) == 2, sent
    assert await plain_lanes(db) == changed


async def test_what_was_not_changed_is_no_statement(db: Database, lanes: list[str]) -> None:
    same = await plain_lanes(db)
    sent = Sent(db)
    async with db.write() as session:
        await bulk.write_changed(session, Lane, zip(same, await plain_lanes(db), strict=True))
    assert sent == []


@pytest.mark.parametrize("count", [0, 1, 3, 5000])
async def test_a_list_is_one_parameter_however_long_it_is(db: Database, case_id: str, count: int) -> None:
    rows = [line(number, text, {}) | {"id": text or "empty"} for number, text in enumerate(ODD)]
    wanted = ([row["id"] for row in rows] + [f"no_{number}" for number in range(count)])[:count]
    asked: list[object] = []
    async with db.write() as session:
        await bulk.insert_all(session, History, rows)
    event.listen(db.engine.sync_engine, "before_cursor_execute", lambda *told: asked.append(told[3]))
    async with db.read() as session:
        found = set(await session.scalars(sa.select(History.id).where(among(History.id, wanted))))
        told = list(asked)
    assert found == {row["id"] for row in rows} & set(wanted)
    assert [len(parameters) for parameters in told if parameters] == [1]
