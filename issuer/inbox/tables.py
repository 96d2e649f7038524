"""What is kept of a webhook: ids, times, a status word and a hash. Never its body."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from issuer.db import Base


class InboxEvent(Base):
    """One provider event. `outcome` says what came of it; `handled_at` is set only when that is final."""

    __tablename__ = "inbox_events"
    __table_args__ = (
        sa.UniqueConstraint("provider", "environment", "event_key"),
        sa.Index("ix_inbox_events_check", "provider", "environment", "check_ref"),
        sa.Index("ix_inbox_events_due", "handled_at", "next_try_at"),
    )

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    provider: Mapped[str] = mapped_column(sa.String(32))
    environment: Mapped[str] = mapped_column(sa.String(32))
    event_key: Mapped[str] = mapped_column(sa.String(200))
    name: Mapped[str] = mapped_column(sa.String(100))
    known: Mapped[bool]
    check_ref: Mapped[str | None] = mapped_column(sa.String(200))
    group_ref: Mapped[str | None] = mapped_column(sa.String(200))
    template: Mapped[str | None] = mapped_column(sa.String(200))
    reference: Mapped[str | None] = mapped_column(sa.String(200))
    status: Mapped[str | None] = mapped_column(sa.String(64))
    occurred_at: Mapped[datetime | None]
    received_at: Mapped[datetime]
    body_hash: Mapped[str] = mapped_column(sa.String(64))
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    next_try_at: Mapped[datetime]
    handled_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(sa.String(64))
    case_id: Mapped[str | None] = mapped_column(sa.String(64))


class Refusal(Base):
    """One refused delivery: when, why, and the hash of what came. The table keeps the newest thousand."""

    __tablename__ = "refusals"

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=True)
    at: Mapped[datetime]
    provider: Mapped[str] = mapped_column(sa.String(32))
    environment: Mapped[str] = mapped_column(sa.String(32))
    reason: Mapped[str] = mapped_column(sa.String(32))
    body_hash: Mapped[str] = mapped_column(sa.String(64))


class RefusalCount(Base):
    """How many deliveries were refused, ever, by reason."""

    __tablename__ = "refusal_counts"

    provider: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    environment: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    reason: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    count: Mapped[int] = mapped_column(sa.BigInteger)
