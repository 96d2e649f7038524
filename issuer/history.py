"""The append-only record of every move of every case and claim, each with its cause."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from issuer import bulk
from issuer.db import Base
from issuer.ids import new_id

PERSON = "person"  # the cause of every move that a person made
BY_PERSON = sa.text("cause = 'person'")  # as its index says it, so that the index is used


class History(Base):
    """`cause` is a short stable word (`provider`, `person`, `chain`, `sweep` …); `detail` holds ids and hashes only."""

    __tablename__ = "history"
    __table_args__ = (
        sa.Index("ix_history_case", "case_id", "id"),
        sa.Index("ix_history_person", "id", sqlite_where=BY_PERSON, postgresql_where=BY_PERSON),
    )

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    case_id: Mapped[str] = mapped_column(sa.String(64), sa.ForeignKey("cases.id"))
    claim_id: Mapped[str | None] = mapped_column(sa.String(64))
    at: Mapped[datetime]
    source: Mapped[str | None] = mapped_column(sa.String(32))
    target: Mapped[str] = mapped_column(sa.String(32))
    cause: Mapped[str] = mapped_column(sa.String(64))
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)


def record(
    session: AsyncSession,
    *,
    case_id: str,
    at: datetime,
    source: str | None,
    target: str,
    cause: str,
    claim_id: str | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Append one row. There is no function that changes or removes one."""
    session.add(
        History(
            id=new_id("his"),
            case_id=case_id,
            claim_id=claim_id,
            at=at,
            source=source,
            target=target,
            cause=cause,
            detail=detail or {},
        )
    )


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One row to be appended."""

    case_id: str
    claim_id: str | None
    at: datetime
    source: str | None
    target: str
    cause: str
    detail: dict[str, Any] = {}


async def record_all(session: AsyncSession, lines: Sequence[Line]) -> None:
    """`record` for many at once, in one statement."""
    await bulk.insert_all(session, History, [{"id": new_id("his"), **msgspec.structs.asdict(line)} for line in lines])


async def of_case(session: AsyncSession, case_id: str) -> list[History]:
    """Oldest first."""
    rows = await session.scalars(sa.select(History).where(History.case_id == case_id).order_by(History.id))
    return list(rows)
