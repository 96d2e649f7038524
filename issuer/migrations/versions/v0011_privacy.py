"""Restriction, legal hold, erasure; attempts; the notice that a holder accepted."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("restricted_at", "held_at", "erased_at", "reset_at"):
        op.add_column("subjects", sa.Column(name, sa.BigInteger(), nullable=True))
    op.add_column("subjects", sa.Column("hold_reason", sa.String(200), nullable=True))
    op.add_column("cases", sa.Column("notice", sa.String(64), nullable=True))
    op.create_index("ix_cases_subject", "cases", ["subject_id", "id"])
