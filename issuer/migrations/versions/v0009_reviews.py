"""People who rule on cases, and their rulings."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_OPEN = sa.text("status IN ('proposed', 'ready')")


def upgrade() -> None:
    op.create_table(
        "operators",
        _tenant(),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("public_key", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_operators"),
        sa.UniqueConstraint("tenant_id", "name", name="uq_operators_tenant_id_name"),
        sa.UniqueConstraint("public_key", name="uq_operators_public_key"),
    )
    op.create_table(
        "rulings",
        _tenant(),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("case_id", sa.String(64), nullable=False),
        sa.Column("act", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("seen", sa.String(100), nullable=False),
        sa.Column("four_eyes", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("proposed_by", sa.String(64), nullable=False),
        sa.Column("proposed_at", sa.BigInteger(), nullable=False),
        sa.Column("proposal_signature", sa.String(128), nullable=False),
        sa.Column("seconded_by", sa.String(64), nullable=True),
        sa.Column("seconded_at", sa.BigInteger(), nullable=True),
        sa.Column("second_signature", sa.String(128), nullable=True),
        sa.Column("refusal", sa.String(32), nullable=True),
        sa.Column("told", sa.String(16), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rulings"),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_rulings_case_id"),
        sa.ForeignKeyConstraint(["proposed_by"], ["operators.id"], name="fk_rulings_proposed_by"),
        sa.ForeignKeyConstraint(["seconded_by"], ["operators.id"], name="fk_rulings_seconded_by"),
        sa.CheckConstraint("seconded_by IS NULL OR seconded_by <> proposed_by", name="ck_rulings_two_people"),
        sa.CheckConstraint(
            "NOT four_eyes OR seconded_by IS NOT NULL OR status IN ('proposed', 'withdrawn', 'refused')",
            name="ck_rulings_four_eyes",
        ),
    )
    op.create_index("uq_rulings_open", "rulings", ["case_id"], unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN)
    op.create_index("ix_rulings_case", "rulings", ["case_id", "id"])
    op.create_index("ix_rulings_status", "rulings", ["status", "told"])
    op.create_index("ix_cases_queue", "cases", ["tenant_id", "status", "id"])


def _tenant() -> sa.Column[str]:
    return sa.Column("tenant_id", sa.String(64), server_default="default", nullable=False)
