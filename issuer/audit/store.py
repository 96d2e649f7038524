"""Every query on the audit chain. Nothing here commits.

Rows are chained by the daemon a few seconds after they were written, many at a time, so that no decision waits for
another's place in the chain. `_SOURCES` says which rows, and what of each is hashed.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from issuer import history
from issuer.access.tables import Operator
from issuer.audit import rules
from issuer.audit.rules import GENESIS, Head, Link
from issuer.audit.tables import AuditEntry, AuditHead
from issuer.bulk import among
from issuer.cases.tables import Decision
from issuer.db import Base
from issuer.ids import first_id
from issuer.reviews.rules import MOVES
from issuer.reviews.tables import Ruling
from issuer.stops.tables import Lift, Stop

_LOCK = 0x434C4155  # an advisory lock of our own on PostgreSQL: "CLAU"
LOOK_BACK = timedelta(minutes=5)  # by how much a row may have been committed later than its id was made
PAGE = 1000

Content = dict[str, Any]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of one kind: which of them are final, which may be so since a time, and what of each is hashed."""

    kind: str
    table: type[Base]
    id: sa.ColumnElement[str]
    content: Callable[[Any], Content]
    final: sa.ColumnElement[bool] = sa.true()
    since: Callable[[datetime], sa.ColumnElement[bool]] = lambda at: sa.true()


def _whole(*names: str) -> Callable[[Any], Content]:
    return lambda row: {name: getattr(row, name) for name in names}


_FINAL_RULINGS = [status for status, further in MOVES.items() if not further]
_SOURCES = (
    Source(
        kind="decision",
        table=Decision,
        id=Decision.__table__.c.id,
        content=_whole(
            "id", "tenant_id", "case_id", "outcome", "provider_status", "decided_at", "read_at", "policy", "mac"
        ),
        since=lambda at: Decision.__table__.c.id > first_id("dec", at),
    ),
    Source(
        kind="ruling",
        table=Ruling,
        id=Ruling.__table__.c.id,
        content=_whole(
            "id", "tenant_id", "case_id", "act", "reason", "seen", "four_eyes", "status", "refusal",
            "proposed_by", "proposed_at", "proposal_signature", "seconded_by", "seconded_at", "second_signature",
        ),
        final=Ruling.status.in_(_FINAL_RULINGS),
        since=lambda at: Ruling.updated_at > at,
    ),
    Source(
        kind="person",
        table=history.History,
        id=history.History.__table__.c.id,
        content=_whole("id", "tenant_id", "case_id", "claim_id", "at", "source", "target", "cause", "detail"),
        final=sa.literal_column(history.BY_PERSON.text, sa.Boolean()),
        since=lambda at: history.History.__table__.c.id > first_id("his", at),
    ),
    Source(
        kind="operator", table=Operator, id=Operator.__table__.c.id, content=_whole("id", "tenant_id", "public_key")
    ),
    Source(
        kind="stop", table=Stop, id=Stop.__table__.c.id, content=_whole("id", "chain_id", "reason", "actor", "at")
    ),
)  # fmt: skip
# A lift has the id of its stop, so it is hashed as a row of its own name.
_LIFT_CONTENT = _whole("stop_id", "reason", "actor", "at")


async def newest_at(session: AsyncSession) -> datetime | None:
    """When the chain has grown last; None: it is empty."""
    found: datetime | None = await session.scalar(sa.select(AuditEntry.at).order_by(AuditEntry.seq.desc()).limit(1))
    return found


async def chain(session: AsyncSession, *, at: datetime, limit: int, since: datetime | None) -> list[Link]:
    """Link what is not yet in the chain, at most `limit` rows of each kind; the new links. One process at a time.

    `since`: how far back rows are looked for; None: to the first.
    """
    await _lock(session)
    last = await session.scalar(sa.select(AuditEntry).order_by(AuditEntry.seq.desc()).limit(1))
    seq, previous = (0, GENESIS) if last is None else (last.seq, last.hash)
    made = []
    for kind, ref, digest in await unchained(session, since=since, limit=limit):
        seq += 1
        link = Link(seq=seq, at=at, kind=kind, ref=ref, digest=digest, previous=previous)
        previous = link.hash
        made.append(link)
    if made:
        rows = [{**msgspec.structs.asdict(link), "hash": link.hash} for link in made]
        await session.execute(sa.insert(AuditEntry), rows)
    return made


async def unchained(session: AsyncSession, *, since: datetime | None, limit: int) -> list[tuple[str, str, str]]:
    """Kind, id and digest of final rows that have no entry, oldest first of each kind. None: of all time."""
    found = []
    for source in _SOURCES:
        chained = sa.exists().where(AuditEntry.ref == source.id)
        statement = sa.select(source.table).where(source.final, ~chained).order_by(source.id).limit(limit)
        if since is not None:
            statement = statement.where(source.since(since))
        for row in await session.scalars(statement):
            found.append((source.kind, str(row.id), rules.digest(source.content(row))))  # type: ignore[attr-defined]
    lifted = sa.exists().where(AuditEntry.ref == sa.literal("lift_") + Lift.stop_id)
    for row in await session.scalars(sa.select(Lift).where(~lifted).order_by(Lift.stop_id).limit(limit)):
        found.append(("lift", f"lift_{row.stop_id}", rules.digest(_LIFT_CONTENT(row))))
    return found


async def links(session: AsyncSession, *, after: int = 0, limit: int = PAGE) -> list[tuple[Link, str]]:
    """Entries in the order of the chain, each with its stored hash."""
    statement = sa.select(AuditEntry).where(AuditEntry.seq > after).order_by(AuditEntry.seq).limit(limit)
    return [(_link(row), row.hash) for row in await session.scalars(statement)]


async def digests(session: AsyncSession, kind: str, refs: Sequence[str]) -> dict[str, str]:
    """The digests that the rows of these entries have now; a row that is gone has none."""
    if kind == "lift":
        ids = [ref.removeprefix("lift_") for ref in refs]
        lifts = await session.scalars(sa.select(Lift).where(among(Lift.stop_id, ids)))
        return {f"lift_{row.stop_id}": rules.digest(_LIFT_CONTENT(row)) for row in lifts}
    source = next((one for one in _SOURCES if one.kind == kind), None)
    if source is None:
        return {}
    rows = await session.scalars(sa.select(source.table).where(among(source.id, refs)))
    return {str(row.id): rules.digest(source.content(row)) for row in rows}  # type: ignore[attr-defined]


async def of_refs(session: AsyncSession, refs: Sequence[str]) -> list[tuple[Link, str]]:
    statement = sa.select(AuditEntry).where(among(AuditEntry.ref, refs)).order_by(AuditEntry.seq)
    return [(_link(row), row.hash) for row in await session.scalars(statement)]


async def add_head(session: AsyncSession, head: Head) -> None:
    session.add(AuditHead(**msgspec.structs.asdict(head)))


async def heads(session: AsyncSession, *, from_seq: int = 0) -> list[Head]:
    """Oldest first."""
    statement = sa.select(AuditHead).where(AuditHead.seq >= from_seq).order_by(AuditHead.seq)
    return [
        Head(seq=row.seq, hash=row.hash, at=row.at, signature=row.signature) for row in await session.scalars(statement)
    ]


def _link(row: AuditEntry) -> Link:
    return Link(seq=row.seq, at=row.at, kind=row.kind, ref=row.ref, digest=row.digest, previous=row.previous)


async def _lock(session: AsyncSession) -> None:
    """SQLite has one writer anyway."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(sa.text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
