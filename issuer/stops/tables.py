"""Stops, and what lifted them. Both only grow: who stopped what, when and why stays."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from issuer.db import Base


class Stop(Base):
    """`chain_id` None: on every chain. It stands until there is a `Lift` for it."""

    __tablename__ = "stops"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    chain_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    reason: Mapped[str] = mapped_column(sa.String(200))
    actor: Mapped[str] = mapped_column(sa.String(64))
    at: Mapped[datetime]


class Lift(Base):
    """At most one for each stop."""

    __tablename__ = "stop_lifts"

    stop_id: Mapped[str] = mapped_column(sa.String(64), sa.ForeignKey("stops.id"), primary_key=True)
    reason: Mapped[str] = mapped_column(sa.String(200))
    actor: Mapped[str] = mapped_column(sa.String(64))
    at: Mapped[datetime]
