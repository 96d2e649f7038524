"""Subjects, their cases, and the decisions that the daemon read for itself."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column

from issuer.cases.rules import CaseStatus
from issuer.db import Base

_FLAGGED = sa.text("flag IS NOT NULL")


class Subject(Base):
    """A person or business. `id` is the opaque reference that the provider sees.

    `restricted_at`: erasure was asked for, so no case is opened and no claim issued any more; `held_at`: it must be
    kept all the same; `erased_at`: this row is the tombstone. `reset_at`: attempts count from then.
    `person_id`: the subject that stands for all that were merged with this one; None for one that was not.
    """

    __tablename__ = "subjects"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    created_at: Mapped[datetime]
    restricted_at: Mapped[datetime | None]
    held_at: Mapped[datetime | None]
    hold_reason: Mapped[str | None] = mapped_column(sa.String(200))
    erased_at: Mapped[datetime | None]
    reset_at: Mapped[datetime | None]
    person_id: Mapped[str | None] = mapped_column(sa.String(64), index=True)


class SubjectWallet(Base):
    """A wallet belongs to one subject of a tenant."""

    __tablename__ = "subject_wallets"
    __table_args__ = (sa.UniqueConstraint("tenant_id", "wallet"),)

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    subject_id: Mapped[str] = mapped_column(sa.String(64), sa.ForeignKey("subjects.id"))
    wallet: Mapped[str] = mapped_column(sa.String(42))
    created_at: Mapped[datetime]


class Case(Base):
    """`wallet` is EIP-55, and so is `identity`, the holder's Identity if it was made elsewhere. `reference` is the
    dapp's own word, `tag` one that it gives to many; `check_ref` the provider's id once the check exists.

    `evidence_at` is the provider time of the newest evidence applied. `person_ruling` is set while a person's
    decline or revoke stands; no provider event moves the case then. After `redacted_at` no claim is issued. `proof_…`
    is what the wallet's owner signed, which a live chain needs. `notice`: the version that the holder accepted.
    `replaces`: the case on another wallet of the same person that ends when this one is approved.
    `flag` is a reason code that waits for a person; `hits` are the keys of what screening has found so far.
    `person_hash`: who the provider says it is, under a key of the daemon's: equal for two cases of one person.
    """

    __tablename__ = "cases"
    __table_args__ = (
        sa.Index("uq_cases_check", "provider", "environment", "check_ref", unique=True),
        sa.Index("ix_cases_wallet", "tenant_id", "wallet", "id"),
        sa.Index("ix_cases_reference", "tenant_id", "reference", "id"),
        sa.Index("ix_cases_tag", "tenant_id", "tag", "id"),
        sa.Index("ix_cases_status", "status", "next_check_at"),
        sa.Index("ix_cases_queue", "tenant_id", "status", "id"),
        sa.Index("ix_cases_level", "tenant_id", "level", "id"),
        sa.Index("ix_cases_subject", "subject_id", "id"),
        sa.Index("ix_cases_flag", "id", sqlite_where=_FLAGGED, postgresql_where=_FLAGGED),
    )

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    subject_id: Mapped[str] = mapped_column(sa.String(64), sa.ForeignKey("subjects.id"))
    level: Mapped[str] = mapped_column(sa.String(64))
    wallet: Mapped[str] = mapped_column(sa.String(42))
    identity: Mapped[str | None] = mapped_column(sa.String(42))
    chain_ids: Mapped[list[int]]
    reference: Mapped[str | None] = mapped_column(sa.String(64))
    tag: Mapped[str | None] = mapped_column(sa.String(64))
    redirect_url: Mapped[str | None] = mapped_column(sa.String(2000))
    provider: Mapped[str] = mapped_column(sa.String(32))
    environment: Mapped[str] = mapped_column(sa.String(32))
    template: Mapped[str] = mapped_column(sa.String(200))
    check_ref: Mapped[str | None] = mapped_column(sa.String(200))
    start_attempt: Mapped[int] = mapped_column(default=0)
    status: Mapped[CaseStatus] = mapped_column(sa.String(32))
    reasons: Mapped[list[str]] = mapped_column(default=list)
    evidence_at: Mapped[datetime | None]
    person_ruling: Mapped[str | None] = mapped_column(sa.String(32))
    proof_message: Mapped[str | None] = mapped_column(sa.String(2000))
    proof_signature: Mapped[str | None] = mapped_column(sa.String(132))
    replaces: Mapped[str | None] = mapped_column(sa.String(64))
    notice: Mapped[str | None] = mapped_column(sa.String(64))
    flag: Mapped[str | None] = mapped_column(sa.String(32))
    hits: Mapped[list[str] | None]
    person_hash: Mapped[str | None] = mapped_column(sa.String(80), index=True)
    redacted_at: Mapped[datetime | None]
    next_check_at: Mapped[datetime]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    @hybrid_property
    def backs_claims(self) -> bool:
        """Does its approval stand, so that claims may be issued on it? In Python and, of the class, in SQL."""
        return self.status == CaseStatus.APPROVED and not self.person_ruling and self.redacted_at is None

    @backs_claims.inplace.expression
    @classmethod
    def _backs_claims(cls) -> sa.ColumnElement[bool]:
        return sa.and_(cls.status == CaseStatus.APPROVED, cls.person_ruling.is_(None), cls.redacted_at.is_(None))


class CaseRequest(Base):
    """An Idempotency-Key that was used: which request it stood for, and the case that came of it."""

    __tablename__ = "case_requests"

    key_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    request_hash: Mapped[str] = mapped_column(sa.String(64))
    case_id: Mapped[str] = mapped_column(sa.String(64), sa.ForeignKey("cases.id"))
    created_at: Mapped[datetime]


class CheckDay(Base):
    """How many cases were opened with a provider on one day (UTC, `2026-11-25`), all tenants together, for a budget."""

    __tablename__ = "check_days"

    provider: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    environment: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    day: Mapped[str] = mapped_column(sa.String(10), primary_key=True)
    count: Mapped[int] = mapped_column(sa.BigInteger)


class Decision(Base):
    """What the daemon read from the provider, sealed with its MAC over everything a claim will rest on.

    The process that faces the internet cannot make `mac`, so a row that it wrote signs nothing. `policy` is the level's
    at that time, as JSON; decisions from before there was one have none.
    """

    __tablename__ = "decisions"
    __table_args__ = (sa.Index("ix_decisions_case", "case_id", "id"),)

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    case_id: Mapped[str] = mapped_column(sa.String(64), sa.ForeignKey("cases.id"))
    outcome: Mapped[str] = mapped_column(sa.String(32))
    provider_status: Mapped[str] = mapped_column(sa.String(64))
    decided_at: Mapped[datetime]
    read_at: Mapped[datetime]
    policy: Mapped[str | None] = mapped_column(sa.String(4000))
    mac: Mapped[str] = mapped_column(sa.String(100))


class Check(Base):
    """One verification inside a case, as the provider last told it. No raw data: `reasons` are codes."""

    __tablename__ = "checks"
    __table_args__ = (sa.UniqueConstraint("case_id", "ref"),)

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    case_id: Mapped[str] = mapped_column(sa.String(64), sa.ForeignKey("cases.id"))
    ref: Mapped[str] = mapped_column(sa.String(128))
    kind: Mapped[str] = mapped_column(sa.String(64))
    outcome: Mapped[str] = mapped_column(sa.String(16))
    reasons: Mapped[list[str]] = mapped_column(default=list)
    updated_at: Mapped[datetime]
