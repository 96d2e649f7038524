"""What reconciliation found and a person has not lifted yet, and how far each chain was read."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from issuer.db import Base

_OPEN = sa.text("lifted_at IS NULL")


class FindingRow(Base):
    """A difference that needs a person. While one `blocks`, nothing new is issued to its Identity or its subject."""

    __tablename__ = "findings"
    __table_args__ = (
        sa.Index(
            "uq_findings_open", "chain_id", "fingerprint", unique=True,
            sqlite_where=_OPEN, postgresql_where=_OPEN,
        ),
    )  # fmt: skip

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    chain_id: Mapped[int] = mapped_column(sa.BigInteger)
    fingerprint: Mapped[str] = mapped_column(sa.String(64))
    code: Mapped[str] = mapped_column(sa.String(32))
    detail: Mapped[str] = mapped_column(sa.String(200))
    identity: Mapped[str | None] = mapped_column(sa.String(42))
    topic: Mapped[str | None] = mapped_column(sa.String(78))
    claim_id: Mapped[str | None] = mapped_column(sa.String(64))
    case_id: Mapped[str | None] = mapped_column(sa.String(64))
    subject_id: Mapped[str | None] = mapped_column(sa.String(64))
    sender: Mapped[str | None] = mapped_column(sa.String(42))
    nonce: Mapped[int | None] = mapped_column(sa.BigInteger)
    blocks: Mapped[bool]
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    lifted_at: Mapped[datetime | None]
    lifted_by: Mapped[str | None] = mapped_column(sa.String(64))
    lift_reason: Mapped[str | None] = mapped_column(sa.String(200))


class ReadTo(Base):
    """The newest block of a chain whose events the periodic reconciliation has dealt with."""

    __tablename__ = "reconciled_blocks"

    chain_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    block_number: Mapped[int] = mapped_column(sa.BigInteger)
