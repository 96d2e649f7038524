"""Events about many checks, the provider's person behind a case, a dapp's tag on it, nonces that were let go."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("inbox_events", sa.Column("group_ref", sa.String(200), nullable=True))
    op.add_column("cases", sa.Column("person_hash", sa.String(80), nullable=True))
    op.add_column("cases", sa.Column("tag", sa.String(64), nullable=True))
    op.add_column("lanes", sa.Column("adopted", sa.JSON(), nullable=True))
    op.create_index("ix_cases_tag", "cases", ["tenant_id", "tag", "id"])
    op.create_index("ix_cases_person_hash", "cases", ["person_hash"])
