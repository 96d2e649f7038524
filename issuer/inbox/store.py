"""Every query on provider events and refused deliveries. Nothing here commits."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from issuer.bulk import among
from issuer.db import EPOCH, MICROSECOND
from issuer.errors import NotFound
from issuer.ids import new_id
from issuer.inbox.tables import InboxEvent, Refusal, RefusalCount
from issuer.providers.protocol import Event
from issuer.queue.port import INBOX, Queue

KEPT_REFUSALS = 1000
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")

# Column and PostgreSQL array type of what an insert gives. Driver statements of one fixed text each: the ORM's own
# insert builds a new text for every size of batch, and costs more than all the rest of a webhook.
_COLUMNS = {
    "id": "varchar",
    "tenant_id": "varchar",
    "provider": "varchar",
    "environment": "varchar",
    "event_key": "varchar",
    "name": "varchar",
    "known": "boolean",
    "check_ref": "varchar",
    "group_ref": "varchar",
    "template": "varchar",
    "reference": "varchar",
    "status": "varchar",
    "occurred_at": "bigint",
    "received_at": "bigint",
    "next_try_at": "bigint",
    "body_hash": "varchar",
    "attempts": "integer",
}
_INTO = f"INSERT INTO inbox_events ({', '.join(_COLUMNS)})"
_ONCE = "ON CONFLICT (provider, environment, event_key) DO NOTHING"
_SQLITE_INSERT = f"{_INTO} VALUES ({', '.join('?' * len(_COLUMNS))}) {_ONCE}"
_ARRAYS = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(_COLUMNS.values(), 1))
_POSTGRESQL_INSERT = f"{_INTO} SELECT * FROM unnest({_ARRAYS}) {_ONCE} RETURNING id"  # noqa: S608 - constants

EventRow = tuple[Any, ...]  # values in the order of _COLUMNS
ID, PROVIDER = list(_COLUMNS).index("id"), list(_COLUMNS).index("provider")
Row = dict[str, Any]


def row_of(provider: str, environment: str, event: Event, *, body: bytes, at: datetime) -> EventRow:
    """A new row for `inbox_events`, every text cut to what its column holds: no sender can break a batch."""
    received_at = _instant(at)
    return (
        new_id("evt"),
        "default",
        provider,
        environment,
        _key(event.key),
        _fit(event.name, 100) or "unknown",
        event.known,
        _fit(event.check_ref, 200),
        _fit(event.group_ref, 200),
        _fit(event.template, 200),
        _fit(event.reference, 200),
        _fit(event.status, 64),
        None if event.occurred_at is None else _instant(event.occurred_at),
        received_at,
        received_at,
        sha256(body).hexdigest(),
        0,
    )


def look_again(check_ref: str, changed_at: datetime) -> Event:
    """An event of our own making: somebody saw that a check has changed since. The same sight is the same event."""
    return Event(
        key=f"seen:{check_ref}:{_instant(changed_at)}",
        name="check.seen",
        known=True,
        check_ref=check_ref,
        template=None,
        reference=None,
        status=None,
        occurred_at=changed_at,
    )


async def add_events(session: AsyncSession, rows: Sequence[EventRow]) -> list[str]:
    """Insert those that are new; the ids of exactly these."""
    # In one order for all writers, so that two transactions cannot wait for each other.
    ordered = sorted(rows, key=_unique_key)
    connection = await session.connection()
    if connection.dialect.name == "postgresql":
        result = await connection.exec_driver_sql(_POSTGRESQL_INSERT, tuple(map(list, zip(*ordered, strict=True))))
        return list(result.scalars())
    inserted = await connection.exec_driver_sql(_SQLITE_INSERT, ordered)
    ids: list[str] = [row[0] for row in ordered]
    if inserted.rowcount == len(ids):
        return ids
    return list(await session.scalars(sa.select(InboxEvent.id).where(among(InboxEvent.id, ids))))


async def waiting_with(session: AsyncSession, event: InboxEvent) -> list[str]:
    """Unhandled events about the same check, this one included: one look at the provider answers all of them."""
    statement = sa.select(InboxEvent.id).where(
        InboxEvent.provider == event.provider,
        InboxEvent.environment == event.environment,
        InboxEvent.check_ref == event.check_ref,
        InboxEvent.handled_at.is_(None),
        InboxEvent.known,
    )
    return list(await session.scalars(statement))


async def settle(session: AsyncSession, event_ids: Sequence[str], *, outcome: str, case_id: str, at: datetime) -> None:
    """Each of these that is not handled yet is."""
    statement = sa.update(InboxEvent).where(among(InboxEvent.id, event_ids), InboxEvent.handled_at.is_(None))
    await session.execute(statement.values(handled_at=at, outcome=outcome, case_id=case_id))


async def newest_keys(session: AsyncSession, provider: str, environment: str, limit: int = 1000) -> set[str]:
    """The provider's own ids of the events that came last, for who asks what was missed."""
    statement = (
        sa.select(InboxEvent.event_key)
        .where(InboxEvent.provider == provider, InboxEvent.environment == environment)
        .order_by(InboxEvent.id.desc())
        .limit(limit)
    )
    return set(await session.scalars(statement))


async def list_events(
    session: AsyncSession, *, limit: int = 50, before: str | None = None, unhandled: bool = False
) -> list[InboxEvent]:
    """Newest first; `before` is the id that the last page ended with."""
    statement = sa.select(InboxEvent).order_by(InboxEvent.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(InboxEvent.id < before)
    if unhandled:
        statement = statement.where(InboxEvent.handled_at.is_(None))
    return list(await session.scalars(statement))


async def replay(session: AsyncSession, event_id: str, now: datetime, queue: Queue) -> InboxEvent:
    """Have an event handled once more. Raises `NotFound`."""
    event = await session.get(InboxEvent, event_id)
    if event is None:
        raise NotFound("no such event")
    event.handled_at, event.outcome, event.attempts, event.next_try_at = None, None, 0, now
    await queue.enqueue(session, INBOX, [event_id])
    return event


async def wake_unknown(
    session: AsyncSession, provider: str, environment: str, check_ref: str, now: datetime, queue: Queue
) -> list[str]:
    """Events that came before their case knew its check: handle them now. Their ids."""
    statement = (
        sa.update(InboxEvent)
        .where(
            InboxEvent.provider == provider,
            InboxEvent.environment == environment,
            InboxEvent.check_ref == check_ref,
            InboxEvent.outcome == "unknown_check",
        )
        .values(handled_at=None, outcome=None, next_try_at=now)
        .returning(InboxEvent.id)
    )
    ids = list(await session.scalars(statement))
    if ids:
        await queue.enqueue(session, INBOX, ids)
    return ids


async def add_refusals(session: AsyncSession, rows: Sequence[Row], counts: Mapping[tuple[str, str, str], int]) -> None:
    """Add to the counts, keep the rows, and drop all but the newest thousand."""
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    for (provider, environment, reason), count in sorted(counts.items()):
        added = insert(RefusalCount).values(provider=provider, environment=environment, reason=reason, count=count)
        await session.execute(
            added.on_conflict_do_update(
                index_elements=[RefusalCount.provider, RefusalCount.environment, RefusalCount.reason],
                set_={"count": RefusalCount.count + added.excluded.count},
            )
        )
    if rows:
        await session.execute(sa.insert(Refusal), rows)
    newest_dropped = sa.select(Refusal.id).order_by(Refusal.id.desc()).offset(KEPT_REFUSALS).limit(1).scalar_subquery()
    await session.execute(
        sa.delete(Refusal).where(Refusal.id <= newest_dropped).execution_options(synchronize_session=False)
    )


async def refusals(session: AsyncSession, *, limit: int = 50) -> list[Refusal]:
    """Newest first."""
    return list(await session.scalars(sa.select(Refusal).order_by(Refusal.id.desc()).limit(limit)))


async def refusal_counts(session: AsyncSession) -> list[RefusalCount]:
    """How often each reason was given, ever."""
    order = (RefusalCount.provider, RefusalCount.environment, RefusalCount.reason)
    return list(await session.scalars(sa.select(RefusalCount).order_by(*order)))


def _unique_key(row: EventRow) -> EventRow:
    return row[2:5]


def _instant(at: datetime) -> int:
    """As `issuer.db.Instant` stores it."""
    return (at - EPOCH) // MICROSECOND


def _key(key: str) -> str:
    """The de-duplication key; one that does not fit its column is replaced by its hash, never cut."""
    if len(key) <= 200 and key.isascii() and key.isprintable():
        return key
    return "sha256:" + sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _fit(text: str | None, length: int) -> str | None:
    if text is None or (len(text) <= length and text.isascii() and text.isprintable()):
        return text
    return _UNPRINTABLE.sub("?", text)[:length]
