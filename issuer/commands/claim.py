"""`claimwright claim`."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing as closing
from datetime import datetime
from functools import wraps
from typing import Any, Protocol

import click
import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from issuer.addresses import is_checksummed
from issuer.cases import store as cases
from issuer.cases.people import revoke_claim
from issuer.claims import renewal, selection
from issuer.claims import store as claims
from issuer.claims.calldata import for_holder
from issuer.claims.rules import ClaimStatus
from issuer.claims.selection import Selection
from issuer.claims.tables import Claim
from issuer.clock import now
from issuer.commands.common import MOMENT, as_json, limited, reason_of, run, show, show_one, store
from issuer.db import Database
from issuer.errors import Conflict, InvalidInput, NotFound
from issuer.queue.open import open_queue
from issuer.queue.port import LANE

TENANT = "default"


def batched(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of what is done to many claims."""
    for option in (
        click.option(
            "--pause", type=click.FloatRange(0, 3600), default=1.0, show_default=True, help="Seconds between batches."
        ),
        click.option(
            "--batch", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many in a row."
        ),
        click.option("--yes", is_flag=True, help="Go on, however many there are."),
        click.option("--expect", type=click.IntRange(min=0), help="Go on if it is exactly so many."),
    ):
        command = option(command)
    return command


def selecting(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which claims; what they say comes as one `wanted`."""

    @wraps(command)
    def with_selection(
        *,
        level: str | None,
        provider: str | None,
        tag: str | None,
        signed_by: str | None,
        topic: str | None,
        chain_id: int | None,
        before: datetime | None,
        after: datetime | None,
        **rest: Any,  # noqa: ANN401 - the command's own options
    ) -> Any:  # noqa: ANN401
        if signed_by is not None:
            _address(signed_by)
        wanted = Selection(
            tenant_id=TENANT,
            level=level,
            provider=provider,
            tag=tag,
            signer=signed_by,
            topic=topic,
            chain_id=chain_id,
            before=before,
            after=after,
        )
        return command(wanted=wanted, **rest)

    made: Callable[..., Any] = with_selection
    for option in (
        click.option("--after", type=MOMENT, help="Only those queued at this time or later, UTC."),
        click.option("--before", type=MOMENT, help="Only those queued before this time, UTC."),
        click.option("--chain", "chain_id", type=int, help="Every claim on this chain."),
        click.option("--topic", help="Every claim on this topic (decimal)."),
        click.option("--signed-by", help="Every claim that this address has signed (EIP-55)."),
        click.option("--tag", help="Every claim of cases with this tag."),
        click.option("--provider", help="Every claim that rests on this provider's decision."),
        click.option("--level", help="Every claim of cases at this level."),
    ):
        made = option(made)
    return made


@click.group()
def claim() -> None:
    """List, show, revoke, renew and retry claims."""


@claim.command("list")
@click.option("--case", "case_id", help="Only those of one case.")
@click.option("--wallet", help="EIP-55, as a case shows it.")
@click.option("--status", type=click.Choice([status.value for status in ClaimStatus]))
@limited
@as_json
def list_(case_id: str | None, wallet: str | None, status: str | None, limit: int, as_json: bool) -> None:
    """Claims, newest first."""
    wanted = cases.Filter(tenant_id=TENANT, wallet=wallet, status=status, limit=limit)

    async def read() -> list[dict[str, object]]:
        async with store() as db, db.read() as session:
            return [claim_row(row) for row in await cases.claim_page(session, wanted, case_id=case_id)]

    show(run(read()), as_json=as_json, empty="no claims")


@claim.command("show")
@click.argument("claim_id")
@as_json
def show_(claim_id: str, as_json: bool) -> None:
    """One claim, as it stands here and on chain."""

    async def read() -> dict[str, object]:
        async with store() as db, db.read() as session:
            row = await claims.get(session, claim_id, TENANT)
            if row is None:
                raise NotFound("no such claim; `claimwright claim list` shows them")
            more = {
                "detail": row.detail,
                "renew_at": row.renew_at,
                "revoke_reason": row.revoke_reason,
                "failures": row.failures,
                "created_at": row.created_at,
            }
            return {**claim_row(row), **more, "updated_at": row.updated_at}

    show_one(run(read()), as_json=as_json)


@claim.command()
@selecting
@limited
@as_json
def affected(wanted: Selection, limit: int, as_json: bool) -> None:
    """Who would lose a claim to `revoke` with the same options: the claims that can still be revoked, oldest first."""
    if wanted.is_everything:
        raise InvalidInput("options", "say with --level, --tag, --before … which ones")

    async def read() -> list[dict[str, object]]:
        async with store() as db, db.read() as session:
            found = await selection.rows(session, wanted, after_id="", limit=limit)
            return [
                {**claim_row(row), "wallet": row.wallet, "level": case.level, "reference": case.reference}
                for row, case in found
            ]

    show(run(read()), as_json=as_json, empty="no claim is affected")


@claim.command()
@click.argument("claim_id", required=False)
@click.option("--reason", required=True, help="Kept with each claim; name no person in it.")
@selecting
@batched
@as_json
def revoke(
    claim_id: str | None,
    reason: str,
    wanted: Selection,
    expect: int | None,
    yes: bool,
    batch: int,
    pause: float,
    as_json: bool,
) -> None:
    """Take CLAIM_ID back, or every claim that the options name. It stands against later approvals.

    Without an id the number of claims comes first; --expect N or --yes then revokes them, batch by batch. The daemon
    puts each revocation on chain ahead of everything else.
    """
    checked = reason_of(reason)
    if (claim_id is None) == wanted.is_everything:
        raise InvalidInput("claim_id", "name one claim, or say with --level, --before … which ones; not both")
    if claim_id is not None:
        show_one(claim_row(run(_revoke([claim_id], checked))[0]), as_json=as_json)
        return
    found = run(_count(wanted))
    if _may_go_on(found, expect, yes, "revoked", as_json):
        show_one({"revoked": run(_revoke_all(wanted, checked, batch, pause))}, as_json=as_json)


@claim.command()
@click.argument("claim_id", required=False)
@click.option("--signed-by", help="Every standing claim that this address has signed (EIP-55): to replace a key.")
@click.option("--chain", "chain_id", type=int, help="Of those only the ones on this chain.")
@batched
@as_json
def renew(
    claim_id: str | None,
    signed_by: str | None,
    chain_id: int | None,
    expect: int | None,
    yes: bool,
    batch: int,
    pause: float,
    as_json: bool,
) -> None:
    """Have CLAIM_ID made anew now, or every claim of one signer; each stands until the new one does.

    Without an id the number of claims comes first; --expect N or --yes then asks for them, batch by batch.
    """
    if (claim_id is None) == (signed_by is None):
        raise InvalidInput("claim_id", "name one claim, or say with --signed-by which ones; not both")
    if claim_id is not None:
        show_one(claim_row(run(_by_person(renewal.ask, claim_id))), as_json=as_json)
        return
    wanted = renewal.SignedBy(signer=_address(str(signed_by)), chain_id=chain_id)
    found = run(_count_signed(wanted))
    if _may_go_on(found, expect, yes, "renewed", as_json):
        show_one({"asked_for": run(_renew_all(wanted, batch, pause))}, as_json=as_json)


@claim.command()
@click.argument("claim_id")
@as_json
def retry(claim_id: str, as_json: bool) -> None:
    """Try CLAIM_ID, which failed, again."""
    show_one(claim_row(run(_by_person(renewal.retry, claim_id))), as_json=as_json)


@claim.command()
@click.argument("claim_id")
@as_json
def calldata(claim_id: str, as_json: bool) -> None:
    """What the holder of CLAIM_ID sends to put it on the Identity without us."""

    async def read() -> dict[str, object]:
        async with store() as db, db.read() as session:
            row = await claims.get(session, claim_id, TENANT)
            if row is None:
                raise NotFound("no such claim; `claimwright claim list` shows them")
            return msgspec.to_builtins(for_holder(row))  # type: ignore[no-any-return]

    show_one(run(read()), as_json=as_json)


class Act(Protocol):
    """What a person may do to one claim."""

    def __call__(self, session: AsyncSession, claim_id: str, *, actor: str, at: datetime) -> Awaitable[Claim]: ...


async def _by_person(act: Act, claim_id: str) -> Claim:
    async with store() as db, closing(open_queue(db)) as queue, db.write() as session:
        row = await act(session, claim_id, actor=_actor(), at=now())
        await queue.enqueue(session, LANE, [str(row.chain_id)])
        return row


async def _revoke(claim_ids: Sequence[str], reason: str) -> list[Claim]:
    async with store() as db:
        return await _revoke_in(db, claim_ids, reason)


async def _revoke_in(db: Database, claim_ids: Sequence[str], reason: str) -> list[Claim]:
    """All of them in one transaction."""
    async with closing(open_queue(db)) as queue, db.write() as session:
        rows = [await revoke_claim(session, claim_id=one, reason=reason, actor=_actor(), at=now()) for one in claim_ids]
        await queue.enqueue(session, LANE, sorted({str(row.chain_id) for row in rows}))
        return rows


async def _count(wanted: Selection) -> int:
    async with store() as db, db.read() as session:
        return await selection.count(session, wanted)


async def _revoke_all(wanted: Selection, reason: str, batch: int, pause: float) -> int:
    done, last = 0, ""
    async with store() as db:
        while True:
            async with db.read() as session:
                ids = await selection.page(session, wanted, after_id=last, limit=batch)
            if not ids:
                return done
            if done:
                await asyncio.sleep(pause)
            await _revoke_in(db, ids, reason)
            done, last = done + len(ids), ids[-1]
            click.echo(f"{done} revoked", err=True)


async def _count_signed(wanted: renewal.SignedBy) -> int:
    async with store() as db, db.read() as session:
        return await renewal.count(session, wanted)


async def _renew_all(wanted: renewal.SignedBy, batch: int, pause: float) -> int:
    """A batch is one transaction, and a claim whose approval fell meanwhile is left out."""
    done, last = 0, ""
    async with store() as db, closing(open_queue(db)) as queue:
        while True:
            async with db.read() as session:
                ids = await renewal.page(session, wanted, after_id=last, limit=batch)
            if not ids:
                return done
            if last:
                await asyncio.sleep(pause)
            async with db.write() as session:
                rows = await renewal.ask_many(session, ids, actor=_actor(), at=now())
                await queue.enqueue(session, LANE, sorted({str(row.chain_id) for row in rows}))
            done, last = done + len(rows), ids[-1]
            click.echo(f"{done} asked for", err=True)


def _may_go_on(found: int, expect: int | None, yes: bool, done: str, as_json: bool) -> bool:
    """Is this the number that the operator counted on? If none was given, it is shown."""
    if expect is not None and expect != found:
        raise Conflict(f"{found} claims would be {done}, not {expect}; nothing was done")
    if not yes and expect is None:
        show_one({f"would_be_{done}": found, "go_on_with": f"--expect {found}"}, as_json=as_json)
    return yes or expect is not None


def _address(text: str) -> str:
    if not is_checksummed(text):
        raise InvalidInput("signed_by", "is not an address with its checksum (EIP-55)")
    return text


def _actor() -> str:
    return f"cli:{getpass.getuser()}"


def claim_row(row: Claim) -> dict[str, object]:
    return {
        "id": row.id,
        "case": row.case_id,
        "status": str(row.status),
        "topic": row.topic,
        "chain_id": row.chain_id,
        "identity": row.identity,
        "claim_id": row.onchain_id,
        "tx_hash": row.tx_hash,
        "valid_until": row.valid_until,
        "revoked_tx_hash": row.revoked_tx_hash,
    }
