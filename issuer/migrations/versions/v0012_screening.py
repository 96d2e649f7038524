"""What screening found, what waits for a person, and the verifications inside a case."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_FLAGGED = sa.text("flag IS NOT NULL")


def upgrade() -> None:
    op.add_column("cases", sa.Column("flag", sa.String(32), nullable=True))
    op.add_column("cases", sa.Column("hits", sa.JSON(), nullable=True))
    op.create_index("ix_cases_flag", "cases", ["id"], sqlite_where=_FLAGGED, postgresql_where=_FLAGGED)
    op.create_table(
        "checks",
        sa.Column("tenant_id", sa.String(64), server_default="default", nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("case_id", sa.String(64), nullable=False),
        sa.Column("ref", sa.String(128), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_checks"),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_checks_case_id"),
        sa.UniqueConstraint("case_id", "ref", name="uq_checks_case_id_ref"),
    )
