"""The emergency stop, and which key signed a claim."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stops",
        _tenant(),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_stops"),
    )
    op.create_table(
        "stop_lifts",
        _tenant(),
        sa.Column("stop_id", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["stop_id"], ["stops.id"], name="fk_stop_lifts_stop_id"),
        sa.PrimaryKeyConstraint("stop_id", name="pk_stop_lifts"),
    )
    op.add_column("claims", sa.Column("signer", sa.String(42), nullable=True))
    op.create_index("ix_claims_signer", "claims", ["signer", "id"], unique=False)


def _tenant() -> sa.Column[str]:
    return sa.Column("tenant_id", sa.String(64), server_default="default", nullable=False)
