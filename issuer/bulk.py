"""Many rows or many values in one statement: lists as single parameters, which the store takes apart.

And many rows read as plain data: a mapped object costs as much to make and to look at as the query does.

A statement with a parameter for each value is another text for each number of them, which is made, sent, parsed and
kept anew; and what is executed row by row goes to and fro between Python and the store as often. Neither grows here.

Sources: https://www.sqlite.org/json1.html#jeach; PostgreSQL's manual, 9.16 (`json_to_recordset`) and 9.25 (`ANY`).
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, cast

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute
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


TextColumn = InstrumentedAttribute[str] | InstrumentedAttribute[str | None] | sa.ColumnElement[str]


def among(column: TextColumn, texts: Collection[str]) -> sa.ColumnElement[bool]:
    """`column` is one of these texts, however many they are. For a few that are always the same there is `in_`."""
    return _Among(column, sa.bindparam(None, list(texts), type_=_Texts()))


def columns(table: type[Base], kind: type[msgspec.Struct]) -> list[InstrumentedAttribute[Any]]:
    """What of a table's rows the fields of `kind` hold, in their order: `[kind(*row) for row in …]` makes them."""
    return [getattr(table, name) for name in kind.__struct_fields__]


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
    keys = _keys(table)
    statement = (
        sa.update(_of(table))
        .where(*(_of(table).c[key] == given[key] for key in keys))
        .values({name: given[name] for name in names if name not in keys})
    )
    changed = await session.execute(statement)
    assert isinstance(changed, sa.CursorResult)  # as of every update
    if changed.rowcount != len(rows):
        raise RuntimeError(f"{changed.rowcount} of {len(rows)} rows of {table.__tablename__} were there to be changed")


async def write_changed(
    session: AsyncSession, table: type[Base], rows: Iterable[tuple[msgspec.Struct, msgspec.Struct]]
) -> None:
    """Rows of `table` as plain data, as they were read and as they are to be: what differs is written.

    In a statement for each set of columns that changed together.
    """
    keys = _keys(table)
    by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for before, now in rows:
        if before == now:
            continue
        names = now.__struct_fields__
        values = zip(names, msgspec.structs.astuple(before), msgspec.structs.astuple(now), strict=True)
        changed = {name: new for name, old, new in values if new != old or name in keys}
        by_columns[tuple(changed)].append(changed)
    for several in by_columns.values():
        await update_all(session, table, several)


def _of(table: type[Base]) -> sa.Table:
    """The table itself: the mapper's way of writing looks at each row."""
    return cast("sa.Table", table.__table__)


def _keys(table: type[Base]) -> list[str]:
    return [column.name for column in _of(table).primary_key]


def _given(
    session: AsyncSession, table: type[Base], names: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> dict[str, sa.ColumnElement[Any]]:
    """The rows as the store sees them, column by column."""
    dialect = session.get_bind().dialect
    columns = [_of(table).c[name] for name in names]
    lists = [_as_stored(column.type, dialect, [row[column.name] for row in rows]) for column in columns]
    return _on_sqlite(columns, lists) if dialect.name == "sqlite" else _on_postgresql(columns, lists)


def _as_stored(kind: sa.types.TypeEngine[Any], dialect: sa.Dialect, values: list[Any]) -> list[Any]:
    """Values of one column as the driver takes them, but for JSON: inside of JSON it stays what it is."""
    plain = None if isinstance(kind, sa.JSON) else kind.dialect_impl(dialect).bind_processor(dialect)
    return values if plain is None else [plain(value) for value in values]


def _on_sqlite(columns: Sequence[sa.Column[Any]], lists: list[list[Any]]) -> dict[str, sa.ColumnElement[Any]]:
    rows = msgspec.json.encode(list(zip(*lists, strict=True))).decode()
    given = sa.func.json_each(sa.bindparam(None, rows, type_=sa.Text())).table_valued("value", name="given")
    return {column.name: sa.func.json_extract(given.c.value, f"$[{place}]") for place, column in enumerate(columns)}


def _on_postgresql(columns: Sequence[sa.Column[Any]], lists: list[list[Any]]) -> dict[str, sa.ColumnElement[Any]]:
    """Not as arrays: the driver looks at each item of one to see whether it is another."""
    names = [column.name for column in columns]
    rows = msgspec.json.encode([dict(zip(names, row, strict=True)) for row in zip(*lists, strict=True)]).decode()
    types = [sa.column(column.name, _plain(column.type)) for column in columns]
    told = sa.func.json_to_recordset(sa.cast(sa.bindparam(None, rows, type_=sa.Text()), sa.JSON))
    given = told.table_valued(*types, name="given").render_derived(with_types=True)
    return {name: given.c[name] for name in names}


def _plain(kind: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:
    """Of what type `_as_stored` left the values."""
    return kind.impl_instance if isinstance(kind, sa.types.TypeDecorator) else kind
