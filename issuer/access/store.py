"""Every query on API keys and operators. Nothing here commits."""

import hmac
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from issuer.access import operators, rules
from issuer.access.tables import ApiKey, Operator
from issuer.errors import Conflict, NotFound
from issuer.ids import new_id
from issuer.secrets import Secret


async def create_key(
    session: AsyncSession, name: str, scopes: list[str], now: datetime, tenant_id: str = "default"
) -> tuple[ApiKey, Secret]:
    """The row and the key itself, which nobody can read again. Raises `InvalidInput`."""
    key = rules.new_key()
    row = ApiKey(
        id=new_id("key"),
        tenant_id=tenant_id,
        name=rules.checked_name(name),
        hash=rules.key_hash(key.reveal()),
        scopes=rules.checked_scopes(scopes),
        created_at=now,
    )
    session.add(row)
    await session.flush()
    return row, key


async def find_key(session: AsyncSession, key: str) -> ApiKey | None:
    """The live key that `key` is, or None. Looked up by hash and compared once more in constant time."""
    if not rules.is_key(key):
        return None
    wanted = rules.key_hash(key)
    row: ApiKey | None = await session.scalar(sa.select(ApiKey).where(ApiKey.hash == wanted))
    if row is None or row.revoked_at is not None or not hmac.compare_digest(row.hash, wanted):
        return None
    return row


async def list_keys(session: AsyncSession, tenant_id: str = "default") -> list[ApiKey]:
    """Oldest first, revoked ones included."""
    return list(await session.scalars(sa.select(ApiKey).where(ApiKey.tenant_id == tenant_id).order_by(ApiKey.id)))


async def revoke_key(session: AsyncSession, key_id: str, now: datetime, tenant_id: str = "default") -> ApiKey:
    """Refused from now on, apart from the few seconds that a process remembers it. Raises `NotFound`."""
    row: ApiKey | None = await session.scalar(
        sa.select(ApiKey).where(ApiKey.id == key_id, ApiKey.tenant_id == tenant_id)
    )
    if row is None:
        raise NotFound("no such key")
    row.revoked_at = row.revoked_at or now
    return row


async def rotate_key(
    session: AsyncSession, key_id: str, now: datetime, tenant_id: str = "default"
) -> tuple[ApiKey, Secret]:
    """A new key with the old one's name and scopes; the old one is revoked. Raises `NotFound`, `Conflict`."""
    old: ApiKey | None = await session.scalar(
        sa.select(ApiKey).where(ApiKey.id == key_id, ApiKey.tenant_id == tenant_id)
    )
    if old is None:
        raise NotFound("no such key")
    if old.revoked_at is not None:
        raise Conflict("a revoked key cannot be rotated; make a new one")
    old.revoked_at = now
    return await create_key(session, old.name, old.scopes, now, tenant_id)


async def create_operator(
    session: AsyncSession, name: str, now: datetime, tenant_id: str = "default"
) -> tuple[Operator, Secret]:
    """The row and the token, which nobody can read again. Raises `InvalidInput`, `Conflict` for a name once used."""
    named = sa.select(Operator.id).where(Operator.tenant_id == tenant_id, Operator.name == rules.checked_name(name))
    if await session.scalar(named) is not None:
        raise Conflict(f"there is, or was, an operator called {name}; a name is never used twice")
    operator_id = new_id("opr")
    token = operators.new_token(operator_id)
    row = Operator(
        id=operator_id,
        tenant_id=tenant_id,
        name=name,
        public_key=operators.signer_of(token).public_key,
        created_at=now,
    )
    session.add(row)
    await session.flush()
    return row, token


async def list_operators(session: AsyncSession, tenant_id: str = "default") -> list[Operator]:
    """Oldest first, revoked ones included."""
    return list(await session.scalars(sa.select(Operator).where(Operator.tenant_id == tenant_id).order_by(Operator.id)))


async def get_operator(session: AsyncSession, operator_id: str, tenant_id: str = "default") -> Operator:
    """Raises `NotFound`."""
    row: Operator | None = await session.scalar(
        sa.select(Operator).where(Operator.id == operator_id, Operator.tenant_id == tenant_id)
    )
    if row is None:
        raise NotFound("no such operator")
    return row


async def revoke_operator(
    session: AsyncSession, operator_id: str, now: datetime, tenant_id: str = "default"
) -> Operator:
    """What the person signs from now on counts no more; what was signed before stays. Raises `NotFound`."""
    row = await get_operator(session, operator_id, tenant_id)
    row.revoked_at = row.revoked_at or now
    return row
