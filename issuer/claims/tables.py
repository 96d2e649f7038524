"""Claims. What is on chain stands here too, with the sealed opening of its commitment."""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import Mapped, mapped_column

from issuer.chain.rules import shard
from issuer.claims.rules import ON_ITS_WAY, RENEWABLE, ClaimStatus
from issuer.db import Base


def _status_in(statuses: Collection[ClaimStatus]) -> sa.TextClause:
    return sa.text("status IN (" + ", ".join(f"'{status.value}'" for status in sorted(statuses)) + ")")


_WAITING = sa.text("status = 'queued'")
_ON_ITS_WAY = _status_in(ON_ITS_WAY)
_STANDING = sa.text("status = 'confirmed'")
_RENEWABLE = _status_in(RENEWABLE)
# As the index says it, so that the index is used.
IS_RENEWABLE = sa.text(f"claims.{_RENEWABLE.text}")


def _shard(context: DefaultExecutionContext) -> int:
    row = context.get_current_parameters()  # type: ignore[no-untyped-call]
    return shard(row["identity"], row["topic"])


class Claim(Base):
    """`identity` is the address the holder's Identity has or will have; `onchain_id` the ERC-735 claim id,
    which follows from `issuer`, our ClaimIssuer (None: queued before it was kept here), and topic.

    `shard` chooses its lane; it follows from identity and topic. `revision` counts the approvals of one case. `word`
    and `signature` are what was signed, 32 and 64 bytes in hex. `renew_at`: when a new one is to follow this.
    `foreign`: the Identity was made elsewhere, and its case names it. `detail`: in one word, what the claim waits for,
    or why it failed.
    """

    __tablename__ = "claims"
    __table_args__ = (
        sa.UniqueConstraint("case_id", "topic", "chain_id", "revision"),
        # Of an identity and topic at most one claim waits to be signed, one is on its way, one stands on chain.
        sa.Index(
            "uq_claims_waiting", "identity", "topic", "chain_id", unique=True,
            sqlite_where=_WAITING, postgresql_where=_WAITING,
        ),
        sa.Index(
            "uq_claims_on_its_way", "identity", "topic", "chain_id", unique=True,
            sqlite_where=_ON_ITS_WAY, postgresql_where=_ON_ITS_WAY,
        ),
        sa.Index(
            "uq_claims_standing", "identity", "topic", "chain_id", unique=True,
            sqlite_where=_STANDING, postgresql_where=_STANDING,
        ),
        sa.Index(
            "ix_claims_renewal", "chain_id", "renew_at", sqlite_where=_RENEWABLE, postgresql_where=_RENEWABLE,
        ),
        sa.Index("ix_claims_work", "chain_id", "status", "id"),
        sa.Index("ix_claims_identity", "identity", "topic", "chain_id"),
        sa.Index("ix_claims_wallet", "tenant_id", "wallet"),
        sa.Index("ix_claims_status", "tenant_id", "status", "id"),
        sa.Index("ix_claims_signer", "signer", "id"),
    )  # fmt: skip

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    case_id: Mapped[str] = mapped_column(sa.String(64), sa.ForeignKey("cases.id"))
    decision_id: Mapped[str] = mapped_column(sa.String(64), sa.ForeignKey("decisions.id"))
    revision: Mapped[int] = mapped_column(default=0)
    wallet: Mapped[str] = mapped_column(sa.String(42))
    identity: Mapped[str] = mapped_column(sa.String(42))
    topic: Mapped[str] = mapped_column(sa.String(78))
    chain_id: Mapped[int] = mapped_column(sa.BigInteger)
    shard: Mapped[int] = mapped_column(sa.SmallInteger, default=_shard, server_default="0")
    foreign: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    form: Mapped[str] = mapped_column(sa.String(16))
    issuer: Mapped[str | None] = mapped_column(sa.String(42))
    onchain_id: Mapped[str] = mapped_column(sa.String(66))
    status: Mapped[ClaimStatus] = mapped_column(sa.String(32))
    validity_seconds: Mapped[int] = mapped_column(sa.BigInteger)
    salt: Mapped[str] = mapped_column(sa.String(255))
    epoch: Mapped[int | None]
    word: Mapped[str | None] = mapped_column(sa.String(66))
    signature: Mapped[str | None] = mapped_column(sa.String(130))
    signer: Mapped[str | None] = mapped_column(sa.String(42))  # whose key it was; of a hosted claim: its batch's
    valid_until: Mapped[datetime | None]
    renew_at: Mapped[datetime | None]
    detail: Mapped[str | None] = mapped_column(sa.String(32))
    failures: Mapped[int] = mapped_column(default=0, server_default="0")
    next_try_at: Mapped[datetime]
    revoke_reason: Mapped[str | None] = mapped_column(sa.String(200))
    tx_hash: Mapped[str | None] = mapped_column(sa.String(66))
    block_number: Mapped[int | None] = mapped_column(sa.BigInteger)
    revoked_tx_hash: Mapped[str | None] = mapped_column(sa.String(66))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ExternalClaim(Base):
    """An outside issuer's claim: `status` pending, recorded or refused; `reason` why it was refused, in one word.

    `identity` and `block_number` are what the chain showed.
    """

    __tablename__ = "external_claims"
    __table_args__ = (
        sa.UniqueConstraint("case_id", "topic", "chain_id", "issuer"),
        sa.Index("ix_external_claims_due", "chain_id", "status", "next_try_at"),
    )

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    case_id: Mapped[str] = mapped_column(sa.String(64), sa.ForeignKey("cases.id"))
    topic: Mapped[str] = mapped_column(sa.String(78))
    chain_id: Mapped[int] = mapped_column(sa.BigInteger)
    issuer: Mapped[str] = mapped_column(sa.String(42))
    tx_hash: Mapped[str] = mapped_column(sa.String(66))
    status: Mapped[str] = mapped_column(sa.String(16))
    reason: Mapped[str | None] = mapped_column(sa.String(32))
    identity: Mapped[str | None] = mapped_column(sa.String(42))
    block_number: Mapped[int | None] = mapped_column(sa.BigInteger)
    next_try_at: Mapped[datetime]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
