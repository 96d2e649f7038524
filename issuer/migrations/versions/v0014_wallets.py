"""Several wallets of one person, and a change from one to another."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("subjects", sa.Column("person_id", sa.String(64), nullable=True))
    op.create_index("ix_subjects_person_id", "subjects", ["person_id"])
    op.add_column("cases", sa.Column("replaces", sa.String(64), nullable=True))
