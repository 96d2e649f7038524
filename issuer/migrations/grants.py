"""Least privilege on PostgreSQL: what each process's database role may do, table by table.

The API's role can read everything it shows but cannot write what makes a claim true: decisions, lanes, transactions
and attempts belong to the daemon. The history is append-only for both.
"""

import re

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from issuer.db import Database, store_errors
from issuer.errors import SettingsError

READ, ADD, CHANGE, DROP = "SELECT", "INSERT", "UPDATE", "DELETE"
ALL = (READ, ADD, CHANGE, DROP)

# table: (what the API may do, what the daemon may do)
TABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "alembic_version": ((READ,), (READ,)),
    "api_keys": ((READ,), ()),
    "audit_entries": ((), (READ, ADD)),
    "audit_heads": ((), (READ, ADD)),
    "attempts": ((), (READ, ADD, CHANGE)),
    "case_requests": ((READ, ADD), (READ,)),
    "cases": ((READ, ADD, CHANGE), (READ, CHANGE)),
    "chains": ((), (READ, ADD, CHANGE)),
    "check_days": ((READ, ADD, CHANGE), (READ,)),
    "checks": ((READ,), (READ, ADD, CHANGE)),
    "claims": ((READ, CHANGE), (READ, ADD, CHANGE)),
    "decisions": ((READ,), (READ, ADD)),
    "external_claims": ((READ, ADD, CHANGE), (READ, CHANGE)),
    "findings": ((), (READ, ADD, CHANGE)),
    "history": ((READ, ADD), (READ, ADD)),
    "inbox_events": ((READ, ADD, CHANGE), (READ, CHANGE)),
    "jobs": ((), ()),  # the embedded queue's, unused here
    "lanes": ((), (READ, ADD, CHANGE)),
    "operators": ((READ,), (READ,)),
    "reconciled_blocks": ((), (READ, ADD, CHANGE)),
    "refusal_counts": ((READ, ADD, CHANGE), (READ,)),
    "refusals": ((READ, ADD, DROP), (READ,)),
    "rulings": ((READ, ADD, CHANGE), (READ, CHANGE)),
    "stop_lifts": ((), (READ, ADD)),
    "stops": ((), (READ, ADD)),
    "subject_wallets": ((READ, ADD), (READ,)),
    "subjects": ((READ, ADD, CHANGE), (READ,)),
    "transaction_claims": ((), (READ, ADD, CHANGE)),
    "transactions": ((), (READ, ADD, CHANGE)),
    "wallet_challenges": ((READ, ADD, CHANGE, DROP), ()),
}
QUEUE_TABLES = re.compile(r"^pgqueuer")
_ROLE = re.compile(r"[a-z_][a-z0-9_]{0,62}")


async def grant(db: Database, *, api_role: str, daemon_role: str) -> None:
    """Give both roles exactly what they need, and take away the rest. The roles must exist; run it as the owner.

    Raises `SettingsError` on SQLite, which has no roles, and for a name that is no plain role name.
    """
    if db.is_sqlite:
        raise SettingsError("DATABASE_URL", "is SQLite, which has no roles; grants are for PostgreSQL")
    for role in (api_role, daemon_role):
        if not _ROLE.fullmatch(role):
            raise SettingsError("role", "must be a plain lower-case role name")
    with store_errors():
        async with db.engine.begin() as connection:
            for statement in _statements(await _present(connection), api_role, daemon_role):
                await connection.exec_driver_sql(statement)


async def _present(connection: AsyncConnection) -> list[str]:
    names: list[str] = await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names())
    return names


def _statements(present: list[str], api_role: str, daemon_role: str) -> list[str]:
    statements = [f'GRANT USAGE ON SCHEMA public TO "{api_role}", "{daemon_role}"']
    for table in present:
        queue = QUEUE_TABLES.match(table) is not None
        for role, rights in zip((api_role, daemon_role), (ALL, ALL) if queue else TABLES[table], strict=True):
            statements.append(f'REVOKE ALL ON "{table}" FROM "{role}"')
            if rights:
                statements.append(f'GRANT {", ".join(rights)} ON "{table}" TO "{role}"')
    statements.append(f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO "{api_role}", "{daemon_role}"')
    return statements
