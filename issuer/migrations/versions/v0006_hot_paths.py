"""Indexes for what each step asks: an identity's claims, and a lane's open transactions among all that ever were."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_claims_identity", "claims", ["identity", "topic", "chain_id"], unique=False)
    op.create_index("ix_transactions_lane", "transactions", ["lane_id", "status", "nonce"], unique=False)
