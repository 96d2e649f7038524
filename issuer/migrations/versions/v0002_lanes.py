"""What lanes need beyond the first tables: shards, holds by name, leases of watchers, NOOPs and what was paid."""

from hashlib import sha256

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_PAGE = 1000


def upgrade() -> None:
    for column in (
        sa.Column("hold", sa.String(16), nullable=True),
        sa.Column("held_since", sa.BigInteger(), nullable=True),
        sa.Column("adopt_nonce", sa.Boolean(), server_default=sa.false(), nullable=False),
    ):
        op.add_column("lanes", column)
    # A reason in words alone is set again, with its name, by the lane's next owner.
    op.execute("UPDATE lanes SET held_because = NULL")
    for column in (
        sa.Column("owner", sa.String(64), nullable=True),
        sa.Column("leased_until", sa.BigInteger(), nullable=True),
        sa.Column("token", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("head_number", sa.BigInteger(), nullable=True),
        sa.Column("head_hash", sa.String(66), nullable=True),
        sa.Column("head_at", sa.BigInteger(), nullable=True),
    ):
        op.add_column("chains", column)
    op.add_column("transactions", sa.Column("wanted", sa.String(16), nullable=True))
    op.add_column("transactions", sa.Column("fee_gwei", sa.BigInteger(), nullable=True))
    op.create_index("ix_transactions_day", "transactions", ["lane_id", "created_at"], unique=False)
    op.add_column("attempts", sa.Column("noop", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("claims", sa.Column("shard", sa.SmallInteger(), server_default="0", nullable=False))
    _shards()


def _shards() -> None:
    """Claims that were there before get the shard that they would have been made with."""
    claims = sa.table("claims", *(sa.column(name) for name in ("id", "identity", "topic", "shard")))
    connection, last = op.get_bind(), ""
    while True:
        statement = sa.select(claims.c.id, claims.c.identity, claims.c.topic).where(claims.c.id > last)
        rows = connection.execute(statement.order_by(claims.c.id).limit(_PAGE)).all()
        if not rows:
            return
        update = sa.update(claims).where(claims.c.id == sa.bindparam("row")).values(shard=sa.bindparam("number"))
        connection.execute(update, [{"row": row.id, "number": _shard(row.identity, row.topic)} for row in rows])
        last = rows[-1].id


def _shard(identity: str, topic: str) -> int:
    return int.from_bytes(sha256(f"{identity.lower()}:{topic}".encode()).digest()[:2], "big") % 2**15
