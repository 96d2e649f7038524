"""Many rows or many values in one statement: lists as single parameters, which the store takes apart.

A statement with a parameter for each value is another text for each number of them, which is made, sent, parsed and
kept anew; and what is executed row by row goes to and fro between Python and the store as often. Neither grows here.

Sources: https://www.sqlite.org/json1.html#jeach; PostgreSQL's manual, 9.19 (`unnest`) and 9.25 (`ANY`).
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.orm.attributes import instance_state
from sqlalchemy.sql.compiler import SQLCompiler

from issuer.db import Base


class _Texts(sa.types.TypeDecorator[list[str]]):
    """A list of texts as one parameter: an array, or JSON on SQLite."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        return dialect.type_descriptor(sa.Text() if dialect.name == "sqlite" else postgresql.ARRAY(sa.Text()))

    def process_bind_param(self, value: list[str] | None, dialect: sa.Dialect) -> Any:  # noqa: ANN401 - by dialect
        return msgspec.json.encode(value).decode() if dialect.name == "sqlite" else value


class _Among(sa.sql.functions.FunctionElement[Any]):
    """(column, texts)"""

    inherit_cache = True
    type = sa.types.NullType()  # SQLite has no booleans, and `IN (…) = 1` would not use an index


@compiles(_Among, "sqlite")
def _among_on_sqlite(element: _Among, compiler: SQLCompiler, **how: Any) -> str:  # noqa: ANN401 - the compiler's own
    column, texts = (compiler.process(clause, **how) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({texts}))"  # noqa: S608 - compiled clauses


@compiles(_Among, "postgresql")
def _among_on_postgresql(element: _Among, compiler: SQLCompiler, **how: Any) -> str:  # noqa: ANN401
    column, texts = (compiler.process(clause, **how) for clause in element.clauses)
    return f"{column} = ANY ({texts})"


def among(column: InstrumentedAttribute[str], texts: Collection[str]) -> sa.ColumnElement[bool]:
    """`column` is one of these texts, however many they are. For a few that are always the same there is `in_`."""
    return _Among(column, sa.bindparam(None, list(texts), type_=_Texts()))


async def insert_all(session: AsyncSession, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows with the same columns each, none of which holds bytes."""
    if not rows:
        return
    names = list(rows[0])
    given = _given(session, table, names, rows)
    await session.execute(sa.insert(_of(table)).from_select(names, sa.select(*given.values())))


async def update_all(session: AsyncSession, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows with their primary key and the same changed columns each. Raises `RuntimeError` if one is not there."""
    names = list(rows[0])
    given = _given(session, table, names, rows)
    keys = [column.name for column in _of(table).primary_key]
    statement = (
        sa.update(_of(table))
        .where(*(_of(table).c[key] == given[key] for key in keys))
        .values({name: given[name] for name in names if name not in keys})
    )
    changed = await session.execute(statement)
    assert isinstance(changed, sa.CursorResult)  # as of every update
    if changed.rowcount != len(rows):
        raise RuntimeError(f"{changed.rowcount} of {len(rows)} rows of {table.__tablename__} were there to be changed")


async def write_changed(session: AsyncSession, rows: Collection[Base]) -> None:
    """What was changed of these rows of one table, in a statement for each set of columns; a flush takes one for each.

    They are the session's no more: what is changed later is not written by itself.
    """
    by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if row in session:
            session.expunge(row)
        changed = instance_state(row).committed_state
        if not changed:
            continue  # a flush was first
        keys = [column.name for column in row.__table__.primary_key]
        names = (*keys, *sorted(changed))
        by_columns[names].append({name: getattr(row, name) for name in names})
    for several in by_columns.values():
        await update_all(session, type(next(iter(rows))), several)


def _of(table: type[Base]) -> sa.Table:
    """The table itself: the mapper's way of writing looks at each row."""
    return cast("sa.Table", table.__table__)


def _given(
    session: AsyncSession, table: type[Base], names: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> dict[str, sa.ColumnElement[Any]]:
    """The rows as the store sees them, column by column."""
    dialect = session.get_bind().dialect
    columns = [_of(table).c[name] for name in names]
    lists = {column.name: _as_stored(column, dialect, [row[column.name] for row in rows]) for column in columns}
    return _on_sqlite(lists) if dialect.name == "sqlite" else _on_postgresql(lists, columns)


def _as_stored(column: sa.Column[Any], dialect: sa.Dialect, values: list[Any]) -> list[Any]:
    """Values of one column as the driver takes them; of a JSON column as they are."""
    if isinstance(column.type, sa.JSON):
        return values
    plain = column.type.dialect_impl(dialect).bind_processor(dialect)
    return values if plain is None else [plain(value) for value in values]


def _on_sqlite(lists: Mapping[str, list[Any]]) -> dict[str, sa.ColumnElement[Any]]:
    rows = msgspec.json.encode(list(zip(*lists.values(), strict=True))).decode()
    given = sa.func.json_each(sa.bindparam(None, rows, type_=sa.Text())).table_valued("value", name="given")
    return {name: sa.func.json_extract(given.c.value, f"$[{place}]") for place, name in enumerate(lists)}


def _on_postgresql(
    lists: Mapping[str, list[Any]], columns: Sequence[sa.Column[Any]]
) -> dict[str, sa.ColumnElement[Any]]:
    """As arrays, by whose length the rows are guessed when the statement is planned."""
    arrays = []
    for column in columns:
        values, kind = lists[column.name], column.type
        if isinstance(kind, sa.JSON):
            values, kind = (
                [None if value is None else msgspec.json.encode(value).decode() for value in values],
                sa.Text(),
            )
        elif isinstance(kind, sa.types.TypeDecorator):
            kind = kind.impl_instance
        arrays.append(sa.bindparam(None, values, type_=postgresql.ARRAY(kind)))
    given = sa.func.unnest(*arrays).table_valued(*lists, name="given").render_derived()
    return {
        column.name: sa.cast(given.c[column.name], sa.JSON)
        if isinstance(column.type, sa.JSON)
        else given.c[column.name]
        for column in columns
    }
