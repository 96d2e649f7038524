"""The audit chain and its signed heads."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_BY_PERSON = sa.text("cause = 'person'")


def upgrade() -> None:
    op.create_table(
        "audit_entries",
        _tenant(),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("ref", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit_entries"),
        sa.UniqueConstraint("ref", name="uq_audit_entries_ref"),
    )
    op.create_table(
        "audit_heads",
        _tenant(),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("signature", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit_heads"),
    )
    op.create_index("ix_history_person", "history", ["id"], sqlite_where=_BY_PERSON, postgresql_where=_BY_PERSON)


def _tenant() -> sa.Column[str]:
    return sa.Column("tenant_id", sa.String(64), server_default="default", nullable=False)
