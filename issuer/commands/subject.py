"""`claimwright subject`: what a person may ask about their own data. A wallet names them."""

import getpass
from contextlib import aclosing as closing
from datetime import datetime

import click
import msgspec

from issuer.cases import store as cases
from issuer.cases.tables import Subject
from issuer.clock import now
from issuer.commands.common import as_json, reason_of, run, settings, show_one, store
from issuer.errors import InvalidInput
from issuer.queue.open import open_queue
from issuer.settings import RetentionSettings
from issuer.subjects import store as subjects
from issuer.subjects import work
from issuer.subjects.rules import Erasure

EXPLAINED = {
    "legal_hold": "a legal hold is set; `claimwright subject release` ends it",
    "claims_stand": "claims are being taken back; `claimwright retention` erases once that and the period are over",
    "retention": "decisions have to be kept for CLAIMWRIGHT_RETENTION_DAYS after the relationship has ended",
    None: "`claimwright retention` erases it with its next run",
}


@click.group()
def subject() -> None:
    """Export, restrict and erase what is kept about a person, or hold it."""


@subject.command()
@click.argument("wallet")
def export(wallet: str) -> None:
    """Everything that is kept about the subject of WALLET, as JSON, without what only compliance may know."""

    async def read() -> dict[str, object]:
        async with store() as db, db.read() as session:
            return await subjects.export(session, await subjects.of_wallet(session, wallet), now())

    click.echo(msgspec.json.format(msgspec.json.encode(run(read()))).decode())


@subject.command()
@click.argument("wallet")
@as_json
def erase(wallet: str, as_json: bool) -> None:
    """Take back every claim of WALLET's subject now, and erase the rest as soon as it may be; says when and why."""
    periods = settings(RetentionSettings).periods

    async def change() -> tuple[int, Erasure]:
        async with store() as db, closing(open_queue(db)) as queue:
            async with db.write() as session:
                row = await subjects.of_wallet(session, wallet)
                taken = await work.restrict(session, row, queue, actor=f"cli:{getpass.getuser()}", at=now())
            async with db.read() as session:
                row = await subjects.of_wallet(session, wallet)
                return taken, await work.outlook(session, row, periods, now())

    taken, outlook = run(change())
    show_one({"claims_taken_back": taken, **_said(outlook)}, as_json=as_json)


@subject.command()
@click.argument("wallet")
@click.option("--reason", required=True, help="Kept with the claims; write no personal data into it.")
@as_json
def revoke(wallet: str, reason: str, as_json: bool) -> None:
    """Take back every claim of WALLET's owner, on all linked wallets and chains. No provider event undoes that."""

    async def change() -> int:
        async with store() as db, closing(open_queue(db)) as queue, db.write() as session:
            row = await subjects.of_wallet(session, wallet)
            taken = 0
            for subject_id in await cases.subjects_of_person(session, row.id):
                one = await subjects.locked(session, subject_id)
                actor = f"cli:{getpass.getuser()}"
                taken += await work.take_back_all(session, one, queue, reason=reason, actor=actor, at=now())
            return taken

    reason_of(reason)
    show_one({"claims_taken_back": run(change())}, as_json=as_json)


@subject.command()
@click.argument("wallet")
@click.option("--reason", required=True, help="Kept with the hold; write no personal data into it.")
@as_json
def hold(wallet: str, reason: str, as_json: bool) -> None:
    """Keep everything about WALLET's subject until `subject release`: a legal hold."""
    show_one(_row(run(_hold(wallet, now(), reason_of(reason)))), as_json=as_json)


@subject.command()
@click.argument("wallet")
@as_json
def release(wallet: str, as_json: bool) -> None:
    """End the legal hold on WALLET's subject."""
    show_one(_row(run(_hold(wallet, None, None))), as_json=as_json)


@subject.command()
@click.argument("wallet")
@as_json
def reset(wallet: str, as_json: bool) -> None:
    """Let WALLET's subject try again: its attempts at every level count from now."""

    async def change() -> Subject:
        async with store() as db, db.write() as session:
            row = await subjects.of_wallet(session, wallet)
            row.reset_at = now()
            return row

    show_one(_row(run(change())), as_json=as_json)


async def _hold(wallet: str, at: datetime | None, reason: str | None) -> Subject:
    async with store() as db, db.write() as session:
        row = await subjects.of_wallet(session, wallet)
        if at is None and row.held_at is None:
            raise InvalidInput("wallet", "no legal hold is set on its subject")
        row.held_at, row.hold_reason = (row.held_at or at) if at else None, reason
        return row


def _said(outlook: Erasure) -> dict[str, object]:
    return {"erased_from": outlook.due_at, "waits_for": outlook.waits_for, "because": EXPLAINED[outlook.waits_for]}


def _row(row: Subject) -> dict[str, object]:
    return {
        "id": row.id,
        "restricted_at": row.restricted_at,
        "held_at": row.held_at,
        "hold_reason": row.hold_reason,
        "reset_at": row.reset_at,
    }
