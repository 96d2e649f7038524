"""Rulings: who proposed what on which case, who agreed, and what came of it. Rows are never removed."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from issuer.db import Base
from issuer.reviews.rules import RulingStatus

_OPEN = sa.text("status IN ('proposed', 'ready')")


class Ruling(Base):
    """`seen`: the case as the proposer looked at it. `told`: what came of telling the provider, `told` or `refused`.

    The two constraints are the four eyes: nobody seconds an own proposal, and what needs two people is not ready with
    one. The daemon checks both signatures besides.
    """

    __tablename__ = "rulings"
    __table_args__ = (
        sa.CheckConstraint("seconded_by IS NULL OR seconded_by <> proposed_by", name="two_people"),
        sa.CheckConstraint(
            "NOT four_eyes OR seconded_by IS NOT NULL OR status IN ('proposed', 'withdrawn', 'refused')",
            name="four_eyes",
        ),
        sa.Index("uq_rulings_open", "case_id", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
        sa.Index("ix_rulings_case", "case_id", "id"),
        sa.Index("ix_rulings_status", "status", "told"),
    )

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    case_id: Mapped[str] = mapped_column(sa.String(64), sa.ForeignKey("cases.id"))
    act: Mapped[str] = mapped_column(sa.String(16))
    reason: Mapped[str] = mapped_column(sa.String(32))
    seen: Mapped[str] = mapped_column(sa.String(100))
    four_eyes: Mapped[bool]
    status: Mapped[RulingStatus] = mapped_column(sa.String(16))
    proposed_by: Mapped[str] = mapped_column(sa.String(64), sa.ForeignKey("operators.id"))
    proposed_at: Mapped[datetime]
    proposal_signature: Mapped[str] = mapped_column(sa.String(128))
    seconded_by: Mapped[str | None] = mapped_column(sa.String(64), sa.ForeignKey("operators.id"))
    seconded_at: Mapped[datetime | None]
    second_signature: Mapped[str | None] = mapped_column(sa.String(128))
    refusal: Mapped[str | None] = mapped_column(sa.String(32))
    told: Mapped[str | None] = mapped_column(sa.String(16))
    updated_at: Mapped[datetime]
