"""The first tables, and on PostgreSQL the queue's own.

Instants are whole microseconds since 1970; a status is kept as its word. `history` and `refusals` only grow.
"""

from typing import cast

import sqlalchemy as sa
from alembic import op
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment
from sqlalchemy.engine import AdaptedConnection

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _access()
    _inbox()
    _cases()
    _chain()
    _claims()
    _queue()


def _access() -> None:
    op.create_table(
        "api_keys",
        _tenant(),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("hash", name="uq_api_keys_hash"),
    )


def _inbox() -> None:
    op.create_table(
        "inbox_events",
        _tenant(),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("environment", sa.String(32), nullable=False),
        sa.Column("event_key", sa.String(200), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("known", sa.Boolean(), nullable=False),
        sa.Column("check_ref", sa.String(200), nullable=True),
        sa.Column("template", sa.String(200), nullable=True),
        sa.Column("reference", sa.String(200), nullable=True),
        sa.Column("status", sa.String(64), nullable=True),
        sa.Column("occurred_at", sa.BigInteger(), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("body_hash", sa.String(64), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_try_at", sa.BigInteger(), nullable=False),
        sa.Column("handled_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(64), nullable=True),
        sa.Column("case_id", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_inbox_events"),
        sa.UniqueConstraint(
            "provider", "environment", "event_key", name="uq_inbox_events_provider_environment_event_key"
        ),
    )
    op.create_index("ix_inbox_events_check", "inbox_events", ["provider", "environment", "check_ref"], unique=False)
    op.create_index("ix_inbox_events_due", "inbox_events", ["handled_at", "next_try_at"], unique=False)
    op.create_table(
        "refusals",
        _tenant(),
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("environment", sa.String(32), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("body_hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_refusals"),
    )
    op.create_table(
        "refusal_counts",
        _tenant(),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("environment", sa.String(32), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("provider", "environment", "reason", name="pk_refusal_counts"),
    )


def _cases() -> None:
    op.create_table(
        "subjects",
        _tenant(),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_subjects"),
    )
    op.create_table(
        "subject_wallets",
        _tenant(),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("subject_id", sa.String(64), nullable=False),
        sa.Column("wallet", sa.String(42), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["subject_id"], ["subjects.id"], name="fk_subject_wallets_subject_id"),
        sa.PrimaryKeyConstraint("id", name="pk_subject_wallets"),
        sa.UniqueConstraint("tenant_id", "wallet", name="uq_subject_wallets_tenant_id_wallet"),
    )
    op.create_table(
        "cases",
        _tenant(),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("subject_id", sa.String(64), nullable=False),
        sa.Column("level", sa.String(64), nullable=False),
        sa.Column("wallet", sa.String(42), nullable=False),
        sa.Column("chain_ids", sa.JSON(), nullable=False),
        sa.Column("reference", sa.String(64), nullable=True),
        sa.Column("redirect_url", sa.String(2000), nullable=True),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("environment", sa.String(32), nullable=False),
        sa.Column("template", sa.String(200), nullable=False),
        sa.Column("check_ref", sa.String(200), nullable=True),
        sa.Column("start_attempt", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("evidence_at", sa.BigInteger(), nullable=True),
        sa.Column("person_ruling", sa.String(32), nullable=True),
        sa.Column("redacted_at", sa.BigInteger(), nullable=True),
        sa.Column("next_check_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["subject_id"], ["subjects.id"], name="fk_cases_subject_id"),
        sa.PrimaryKeyConstraint("id", name="pk_cases"),
    )
    op.create_index("ix_cases_reference", "cases", ["tenant_id", "reference", "id"], unique=False)
    op.create_index("ix_cases_status", "cases", ["status", "next_check_at"], unique=False)
    op.create_index("ix_cases_wallet", "cases", ["tenant_id", "wallet", "id"], unique=False)
    op.create_index("uq_cases_check", "cases", ["provider", "environment", "check_ref"], unique=True)
    op.create_table(
        "case_requests",
        _tenant(),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("idempotency_key", sa.String(255), nullable=False),
        sa.Column("request_hash", sa.String(64), nullable=False),
        sa.Column("case_id", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_case_requests_case_id"),
        sa.PrimaryKeyConstraint("key_id", "idempotency_key", name="pk_case_requests"),
    )
    op.create_table(
        "decisions",
        _tenant(),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("case_id", sa.String(64), nullable=False),
        sa.Column("outcome", sa.String(32), nullable=False),
        sa.Column("provider_status", sa.String(64), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("read_at", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.String(100), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_decisions_case_id"),
        sa.PrimaryKeyConstraint("id", name="pk_decisions"),
    )
    op.create_index("ix_decisions_case", "decisions", ["case_id", "id"], unique=False)
    op.create_table(
        "history",
        _tenant(),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("case_id", sa.String(64), nullable=False),
        sa.Column("claim_id", sa.String(64), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(32), nullable=True),
        sa.Column("target", sa.String(32), nullable=False),
        sa.Column("cause", sa.String(64), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_history_case_id"),
        sa.PrimaryKeyConstraint("id", name="pk_history"),
    )
    op.create_index("ix_history_case", "history", ["case_id", "id"], unique=False)


def _chain() -> None:
    op.create_table(
        "chains",
        _tenant(),
        sa.Column("chain_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("genesis_hash", sa.String(66), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("chain_id", name="pk_chains"),
    )
    op.create_table(
        "lanes",
        _tenant(),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("sender", sa.String(42), nullable=False),
        sa.Column("next_nonce", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.String(64), nullable=True),
        sa.Column("leased_until", sa.BigInteger(), nullable=True),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("held_because", sa.String(200), nullable=True),
        sa.Column("paused_by", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_lanes"),
        sa.UniqueConstraint("chain_id", "sender", name="uq_lanes_chain_id_sender"),
    )
    op.create_table(
        "transactions",
        _tenant(),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("lane_id", sa.String(64), nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("nonce", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("recipient", sa.String(42), nullable=False),
        sa.Column("calldata", sa.LargeBinary(), nullable=False),
        sa.Column("gas_limit", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("mined_hash", sa.String(66), nullable=True),
        sa.Column("block_number", sa.BigInteger(), nullable=True),
        sa.Column("block_hash", sa.String(66), nullable=True),
        sa.Column("succeeded", sa.Boolean(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["lane_id"], ["lanes.id"], name="fk_transactions_lane_id"),
        sa.PrimaryKeyConstraint("id", name="pk_transactions"),
        sa.UniqueConstraint("lane_id", "nonce", name="uq_transactions_lane_id_nonce"),
    )
    op.create_index("ix_transactions_open", "transactions", ["chain_id", "status"], unique=False)
    op.create_table(
        "attempts",
        _tenant(),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("transaction_id", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(66), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("max_fee_per_gas", sa.BigInteger(), nullable=False),
        sa.Column("max_priority_fee_per_gas", sa.BigInteger(), nullable=False),
        sa.Column("signed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["transaction_id"], ["transactions.id"], name="fk_attempts_transaction_id"),
        sa.PrimaryKeyConstraint("id", name="pk_attempts"),
        sa.UniqueConstraint("hash", name="uq_attempts_hash"),
    )
    op.create_index("ix_attempts_transaction", "attempts", ["transaction_id"], unique=False)


def _claims() -> None:
    op.create_table(
        "claims",
        _tenant(),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("case_id", sa.String(64), nullable=False),
        sa.Column("decision_id", sa.String(64), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("wallet", sa.String(42), nullable=False),
        sa.Column("identity", sa.String(42), nullable=False),
        sa.Column("topic", sa.String(78), nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("form", sa.String(16), nullable=False),
        sa.Column("onchain_id", sa.String(66), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("validity_seconds", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.String(255), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=True),
        sa.Column("word", sa.String(66), nullable=True),
        sa.Column("signature", sa.String(130), nullable=True),
        sa.Column("valid_until", sa.BigInteger(), nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_try_at", sa.BigInteger(), nullable=False),
        sa.Column("revoke_reason", sa.String(200), nullable=True),
        sa.Column("tx_hash", sa.String(66), nullable=True),
        sa.Column("block_number", sa.BigInteger(), nullable=True),
        sa.Column("revoked_tx_hash", sa.String(66), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_claims_case_id"),
        sa.ForeignKeyConstraint(["decision_id"], ["decisions.id"], name="fk_claims_decision_id"),
        sa.PrimaryKeyConstraint("id", name="pk_claims"),
        sa.UniqueConstraint(
            "case_id", "topic", "chain_id", "revision", name="uq_claims_case_id_topic_chain_id_revision"
        ),
    )
    op.create_index("ix_claims_wallet", "claims", ["tenant_id", "wallet"], unique=False)
    op.create_index("ix_claims_work", "claims", ["chain_id", "status", "id"], unique=False)
    op.create_index(
        "uq_claims_in_force",
        "claims",
        ["identity", "topic", "chain_id"],
        unique=True,
        sqlite_where=sa.text("status IN ('confirmed', 'mined', 'revoking', 'signed')"),
        postgresql_where=sa.text("status IN ('confirmed', 'mined', 'revoking', 'signed')"),
    )
    op.create_index(
        "uq_claims_waiting",
        "claims",
        ["identity", "topic", "chain_id"],
        unique=True,
        sqlite_where=sa.text("status = 'queued'"),
        postgresql_where=sa.text("status = 'queued'"),
    )
    op.create_table(
        "transaction_claims",
        _tenant(),
        sa.Column("transaction_id", sa.String(64), nullable=False),
        sa.Column("claim_id", sa.String(64), nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("resolved_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["claim_id"], ["claims.id"], name="fk_transaction_claims_claim_id"),
        sa.ForeignKeyConstraint(["transaction_id"], ["transactions.id"], name="fk_transaction_claims_transaction_id"),
        sa.PrimaryKeyConstraint("transaction_id", "claim_id", name="pk_transaction_claims"),
    )
    op.create_index(
        "uq_transaction_claims_unresolved",
        "transaction_claims",
        ["claim_id", "purpose"],
        unique=True,
        sqlite_where=sa.text("resolved_at IS NULL"),
        postgresql_where=sa.text("resolved_at IS NULL"),
    )


def _queue() -> None:
    op.create_table(
        "jobs",
        _tenant(),
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("topic", sa.String(32), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("claimed_at", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_due", "jobs", ["claimed_at", "due_at"], unique=False)
    if op.get_context().dialect.name == "postgresql":
        _pgqueuer()


def _pgqueuer() -> None:
    """PgQueuer's tables, types and trigger, as the installed release writes them."""
    sql = QueryBuilderEnvironment().build_install_query()
    # Many statements in one string: only the driver's own connection takes that. It is in our transaction.
    adapter = cast(AdaptedConnection, op.get_bind().connection.dbapi_connection)
    adapter.run_async(lambda connection: connection.execute(sql))


def _tenant() -> sa.Column[str]:
    return sa.Column("tenant_id", sa.String(64), server_default="default", nullable=False)
