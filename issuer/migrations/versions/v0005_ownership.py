"""Proof of who owns a wallet: challenges that were given out, and the signed one of each case."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "wallet_challenges",
        sa.Column("tenant_id", sa.String(64), server_default="default", nullable=False),
        sa.Column("nonce", sa.String(32), nullable=False),
        sa.Column("message_hash", sa.String(64), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("case_id", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("nonce", name="pk_wallet_challenges"),
    )
    op.create_index("ix_wallet_challenges_ends", "wallet_challenges", ["ends_at"])
    op.add_column("cases", sa.Column("proof_message", sa.String(2000), nullable=True))
    op.add_column("cases", sa.Column("proof_signature", sa.String(132), nullable=True))
