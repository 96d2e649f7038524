"""Renewal, reconciliation and claims that others made."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

THIRTY_DAYS = 30 * 24 * 60 * 60 * 1_000_000  # microseconds, as times are stored


def upgrade() -> None:
    _places()
    op.add_column("claims", sa.Column("issuer", sa.String(42), nullable=True))
    op.add_column("claims", sa.Column("foreign", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("claims", sa.Column("detail", sa.String(32), nullable=True))
    op.add_column("cases", sa.Column("identity", sa.String(42), nullable=True))
    op.add_column("claims", sa.Column("renew_at", sa.BigInteger(), nullable=True))
    claims = sa.table("claims", sa.column("renew_at"), sa.column("valid_until"))
    op.execute(claims.update().values(renew_at=claims.c.valid_until - THIRTY_DAYS))  # all were made for a year
    op.create_index("ix_claims_renewal", "claims", ["chain_id", "renew_at"])
    _findings()
    _external_claims()


def _places() -> None:
    """A renewal is on its way while the claim that it follows still stands."""
    op.drop_index("uq_claims_in_force", "claims")
    places = {"uq_claims_on_its_way": "status IN ('mined', 'signed')", "uq_claims_standing": "status = 'confirmed'"}
    for name, place in places.items():
        op.create_index(
            name,
            "claims",
            ["identity", "topic", "chain_id"],
            unique=True,
            sqlite_where=sa.text(place),
            postgresql_where=sa.text(place),
        )


def _findings() -> None:
    op.create_table(
        "findings",
        _tenant(),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("code", sa.String(32), nullable=False),
        sa.Column("detail", sa.String(200), nullable=False),
        sa.Column("identity", sa.String(42), nullable=True),
        sa.Column("topic", sa.String(78), nullable=True),
        sa.Column("claim_id", sa.String(64), nullable=True),
        sa.Column("case_id", sa.String(64), nullable=True),
        sa.Column("subject_id", sa.String(64), nullable=True),
        sa.Column("sender", sa.String(42), nullable=True),
        sa.Column("nonce", sa.BigInteger(), nullable=True),
        sa.Column("blocks", sa.Boolean(), nullable=False),
        sa.Column("first_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("lifted_at", sa.BigInteger(), nullable=True),
        sa.Column("lifted_by", sa.String(64), nullable=True),
        sa.Column("lift_reason", sa.String(200), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_findings"),
    )
    op.create_index(
        "uq_findings_open",
        "findings",
        ["chain_id", "fingerprint"],
        unique=True,
        sqlite_where=sa.text("lifted_at IS NULL"),
        postgresql_where=sa.text("lifted_at IS NULL"),
    )
    op.create_table(
        "reconciled_blocks",
        _tenant(),
        sa.Column("chain_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("block_number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("chain_id", name="pk_reconciled_blocks"),
    )


def _external_claims() -> None:
    op.create_table(
        "external_claims",
        _tenant(),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("case_id", sa.String(64), nullable=False),
        sa.Column("topic", sa.String(78), nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("issuer", sa.String(42), nullable=False),
        sa.Column("tx_hash", sa.String(66), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(32), nullable=True),
        sa.Column("identity", sa.String(42), nullable=True),
        sa.Column("block_number", sa.BigInteger(), nullable=True),
        sa.Column("next_try_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_external_claims_case_id"),
        sa.PrimaryKeyConstraint("id", name="pk_external_claims"),
        sa.UniqueConstraint(
            "case_id", "topic", "chain_id", "issuer", name="uq_external_claims_case_id_topic_chain_id_issuer"
        ),
    )
    op.create_index("ix_external_claims_due", "external_claims", ["chain_id", "status", "next_try_at"])


def _tenant() -> sa.Column[str]:
    return sa.Column("tenant_id", sa.String(64), server_default="default", nullable=False)
