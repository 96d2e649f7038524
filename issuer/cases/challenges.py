"""Challenges that were given out, and the one use that each has. Takes a session, never commits."""

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from issuer.cases import ownership
from issuer.cases.ownership import Challenge, LinkChallenge
from issuer.db import Base
from issuer.errors import WalletNotProved

KEPT = timedelta(days=1)  # after its end, so that a late answer is told what is wrong
CLEANED_AT_ONCE = 100


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """A challenge's message, and the owner's `personal_sign` signature of it (65 bytes in hex)."""

    message: str
    signature: str

    def __repr__(self) -> str:
        return "Proof(***)"


class WalletChallenge(Base):
    """A message that was given out to be signed. Only its hash is kept; `case_id` once it was used."""

    __tablename__ = "wallet_challenges"
    __table_args__ = (sa.Index("ix_wallet_challenges_ends", "ends_at"),)

    nonce: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    message_hash: Mapped[str] = mapped_column(sa.String(64))
    ends_at: Mapped[datetime]
    case_id: Mapped[str | None] = mapped_column(sa.String(64))


def new(*, domain: str, wallet: str, level: str, chain_ids: tuple[int, ...], at: datetime) -> Challenge:
    """A challenge with a nonce of its own: 128 random bits."""
    return Challenge(
        domain=domain,
        wallet=wallet,
        level=level,
        chain_ids=chain_ids,
        nonce=os.urandom(16).hex(),
        issued_at=at.replace(microsecond=0),
    )


def new_link(*, domain: str, wallet: str, other: str, chain_id: int, at: datetime) -> LinkChallenge:
    return LinkChallenge(
        domain=domain,
        wallet=wallet,
        other=other,
        chain_id=chain_id,
        nonce=os.urandom(16).hex(),
        issued_at=at.replace(microsecond=0),
    )


async def keep(session: AsyncSession, made: Challenge | LinkChallenge, tenant_id: str) -> None:
    """Remember that it was given out. Ones that ended long ago go on the way, a few at a time."""
    ended = WalletChallenge.ends_at < made.issued_at - KEPT
    old = sa.select(WalletChallenge.nonce).where(ended).limit(CLEANED_AT_ONCE)
    await session.execute(sa.delete(WalletChallenge).where(WalletChallenge.nonce.in_(old)))
    row = WalletChallenge(nonce=made.nonce, message_hash=_hash(made.message()), ends_at=made.ends_at, case_id=None)
    row.tenant_id = tenant_id
    session.add(row)


async def redeem(
    session: AsyncSession,
    proof: Proof,
    *,
    tenant_id: str,
    case_id: str,
    wallet: str,
    level: str,
    chain_ids: tuple[int, ...],
    at: datetime,
) -> None:
    """Use a challenge up for one case. Raises `WalletNotProved`, and says what is wrong with the proof."""
    claimed = ownership.read(proof.message)
    if claimed is None:
        raise WalletNotProved("the message is not one that was given out here; ask for a challenge")
    if not ownership.covers(proof.message, proof.signature, wallet=wallet, level=level, chain_ids=chain_ids):
        raise WalletNotProved(
            "the message is about another wallet, level or chain, or is not signed by the wallet's key"
        )
    await _use_up(session, claimed.nonce, proof.message, tenant_id=tenant_id, used_for=case_id, at=at)


async def redeem_link(
    session: AsyncSession, proofs: Sequence[Proof], *, tenant_id: str, wallets: tuple[str, str], at: datetime
) -> None:
    """Use up the two halves of a link, one signed with each wallet. Raises `WalletNotProved`."""
    for proof, (wallet, other) in zip(proofs, (wallets, wallets[::-1]), strict=True):
        nonce = ownership.links(proof.message, proof.signature, wallet=wallet, other=other)
        if nonce is None:
            raise WalletNotProved(f"what {wallet} signed does not link it to {other}; ask for a challenge")
        await _use_up(session, nonce, proof.message, tenant_id=tenant_id, used_for="link", at=at)


async def _use_up(
    session: AsyncSession, nonce: str, message: str, *, tenant_id: str, used_for: str, at: datetime
) -> None:
    taken = await session.scalar(
        sa.update(WalletChallenge)
        .where(
            WalletChallenge.nonce == nonce,
            WalletChallenge.tenant_id == tenant_id,
            WalletChallenge.message_hash == _hash(message),
            WalletChallenge.ends_at > at,
            WalletChallenge.case_id.is_(None),
        )
        .values(case_id=used_for)
        .returning(WalletChallenge.nonce)
    )
    if taken is None:
        raise WalletNotProved("the challenge was used, has ended or was never given out; ask for a new one")


def _hash(message: str) -> str:
    return sha256(message.encode()).hexdigest()
