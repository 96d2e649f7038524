"""Lists by a level or a status that few have."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_cases_level", "cases", ["tenant_id", "level", "id"])
    op.create_index("ix_claims_status", "claims", ["tenant_id", "status", "id"])
