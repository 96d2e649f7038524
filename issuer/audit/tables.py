"""The chain and its signed heads. Both only grow."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from issuer.db import Base


class AuditEntry(Base):
    """One link: which row (`kind`, `ref`), the digest of its content, and the hash that ties it to the one before."""

    __tablename__ = "audit_entries"
    __table_args__ = (sa.UniqueConstraint("ref"),)

    seq: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(sa.String(16))
    ref: Mapped[str] = mapped_column(sa.String(64))
    digest: Mapped[str] = mapped_column(sa.String(64))
    previous: Mapped[str] = mapped_column(sa.String(64))
    hash: Mapped[str] = mapped_column(sa.String(64))


class AuditHead(Base):
    """A head as it was signed."""

    __tablename__ = "audit_heads"

    seq: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    hash: Mapped[str] = mapped_column(sa.String(64))
    at: Mapped[datetime]
    signature: Mapped[str] = mapped_column(sa.String(128))
