"""Lanes own nonces, transactions own one nonce each for life, attempts keep every signed form of a transaction."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from issuer.chain.rules import Hold, TxStatus
from issuer.db import Base

_UNRESOLVED = sa.text("resolved_at IS NULL")


class Chain(Base):
    """What was recorded of a chain the first time: pointing at another one stops all signing. Leased by its watcher.

    `head_number` is the highest block that any watcher saw: a node that shows a lower one is behind.
    """

    __tablename__ = "chains"

    chain_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    genesis_hash: Mapped[str] = mapped_column(sa.String(66))
    recorded_at: Mapped[datetime]
    owner: Mapped[str | None] = mapped_column(sa.String(64))
    leased_until: Mapped[datetime | None]
    token: Mapped[int] = mapped_column(sa.BigInteger, default=0, server_default="0")
    head_number: Mapped[int | None] = mapped_column(sa.BigInteger)
    head_hash: Mapped[str | None] = mapped_column(sa.String(66))
    head_at: Mapped[datetime | None]


class Lane(Base):
    """One sender address on one chain. `token` fences: a write that carries an older one changes nothing.

    `held_because` says in words what `hold` names. `adopt_nonce`: a person wants the chain's nonce to be the next one.
    `adopted`: which nonces were given up so, in pairs of the first and the one after the last.
    """

    __tablename__ = "lanes"
    __table_args__ = (sa.UniqueConstraint("chain_id", "sender"),)

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    chain_id: Mapped[int] = mapped_column(sa.BigInteger)
    sender: Mapped[str] = mapped_column(sa.String(42))
    next_nonce: Mapped[int] = mapped_column(sa.BigInteger)
    owner: Mapped[str | None] = mapped_column(sa.String(64))
    leased_until: Mapped[datetime | None]
    token: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    hold: Mapped[Hold | None] = mapped_column(sa.String(16))
    held_because: Mapped[str | None] = mapped_column(sa.String(200))
    held_since: Mapped[datetime | None]
    adopt_nonce: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    adopted: Mapped[list[int] | None]
    paused_by: Mapped[str | None] = mapped_column(sa.String(64))


class Transaction(Base):
    """One lane and nonce with fixed calldata, for one or many claims.

    `wanted`: what a person wants done with it while it is unmined. `fee_gwei`: what it cost, rounded up, once mined.
    """

    __tablename__ = "transactions"
    __table_args__ = (
        sa.UniqueConstraint("lane_id", "nonce"),
        sa.Index("ix_transactions_open", "chain_id", "status"),
        sa.Index("ix_transactions_day", "lane_id", "created_at"),
        sa.Index("ix_transactions_lane", "lane_id", "status", "nonce"),
    )

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    lane_id: Mapped[str] = mapped_column(sa.String(64), sa.ForeignKey("lanes.id"))
    chain_id: Mapped[int] = mapped_column(sa.BigInteger)
    nonce: Mapped[int] = mapped_column(sa.BigInteger)
    purpose: Mapped[str] = mapped_column(sa.String(16))
    recipient: Mapped[str] = mapped_column(sa.String(42))
    calldata: Mapped[bytes]
    gas_limit: Mapped[int] = mapped_column(sa.BigInteger)
    status: Mapped[TxStatus] = mapped_column(sa.String(16))
    mined_hash: Mapped[str | None] = mapped_column(sa.String(66))
    block_number: Mapped[int | None] = mapped_column(sa.BigInteger)
    block_hash: Mapped[str | None] = mapped_column(sa.String(66))
    succeeded: Mapped[bool | None]
    fee_gwei: Mapped[int | None] = mapped_column(sa.BigInteger)
    wanted: Mapped[str | None] = mapped_column(sa.String(16))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class TransactionClaim(Base):
    """Which claims a transaction carries. A claim has at most one unresolved transaction."""

    __tablename__ = "transaction_claims"
    __table_args__ = (
        sa.Index(
            "uq_transaction_claims_unresolved", "claim_id", "purpose", unique=True,
            sqlite_where=_UNRESOLVED, postgresql_where=_UNRESOLVED,
        ),
    )  # fmt: skip

    transaction_id: Mapped[str] = mapped_column(sa.String(64), sa.ForeignKey("transactions.id"), primary_key=True)
    claim_id: Mapped[str] = mapped_column(sa.String(64), sa.ForeignKey("claims.id"), primary_key=True)
    purpose: Mapped[str] = mapped_column(sa.String(16))
    resolved_at: Mapped[datetime | None]


class Attempt(Base):
    """One signed form of a transaction. `raw` is what goes on the wire, as often as needed, unchanged.

    `noop`: it sends nothing to the sender itself and only uses up the nonce.
    """

    __tablename__ = "attempts"
    __table_args__ = (sa.Index("ix_attempts_transaction", "transaction_id"),)

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    transaction_id: Mapped[str] = mapped_column(sa.String(64), sa.ForeignKey("transactions.id"))
    hash: Mapped[str] = mapped_column(sa.String(66), unique=True)
    raw: Mapped[bytes]
    max_fee_per_gas: Mapped[int] = mapped_column(sa.BigInteger)
    max_priority_fee_per_gas: Mapped[int] = mapped_column(sa.BigInteger)
    noop: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    signed_at: Mapped[datetime]
