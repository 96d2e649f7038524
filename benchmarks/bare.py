"""The least that an honest webhook receiver can do: check the HMAC, commit one row, answer 202.

Litestar's plain handler, the same store, driver, server and group-commit writer as ours; no parsing, no duplicates, no
job, no limits, no refusals.
"""

import hmac
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from litestar import Litestar, Request, post

from issuer.db import Database
from issuer.ids import new_id
from issuer.inbox.groupcommit import GroupCommit

_table = sa.Table(
    "benchmark_bare",
    sa.MetaData(),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("body_hash", sa.String(64), nullable=False),
)


def create_app() -> Litestar:
    db = Database(os.environ["DATABASE_URL"])
    key = os.environ["PERSONA_WEBHOOK_SECRET"].encode()

    async def write(rows: Sequence[dict[str, Any]]) -> None:
        async with db.write() as session:
            await session.execute(sa.insert(_table), list(rows))

    writer = GroupCommit(write)

    @post("/bare", status_code=202)
    async def receive(request: Request[Any, Any, Any]) -> dict[str, str]:
        body = await request.body()
        stamp, _, digest = request.headers["persona-signature"].partition(",")
        message = stamp[2:].encode() + b"." + body
        if not hmac.compare_digest(hmac.digest(key, message, "sha256").hex(), digest[3:]):
            raise PermissionError
        await writer.put({"id": new_id("evt"), "body_hash": sha256(body).hexdigest()})
        return {}

    @asynccontextmanager
    async def running(_app: Litestar) -> AsyncIterator[None]:
        async with db.engine.begin() as connection:
            await connection.run_sync(_table.metadata.create_all)
        writer.start()
        yield
        await writer.aclose()
        await db.aclose()

    return Litestar([receive], lifespan=[running], openapi_config=None, logging_config=None)
