"""The policy that each decision was made under. Decisions from before rest on the level of today."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("decisions", sa.Column("policy", sa.String(4000), nullable=True))
