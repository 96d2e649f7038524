"""`claimwright case`."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing as closing
from contextlib import asynccontextmanager
from datetime import timedelta

import click
import msgspec

from issuer import history
from issuer.audit import bundle
from issuer.audit.rules import AuditKey
from issuer.cases import levels
from issuer.cases import store as cases
from issuer.cases.opening import Opener
from issuer.cases.reasons import Audience
from issuer.cases.rules import SUMMARIES, CaseStatus
from issuer.cases.tables import Case, Check
from issuer.claims import store as claims
from issuer.clock import now
from issuer.commands.claim import claim_row
from issuer.commands.common import as_json, limited, run, settings, show, show_one, store
from issuer.commands.operator import signer_here
from issuer.ids import new_id
from issuer.providers import registry
from issuer.queue.open import open_queue
from issuer.queue.port import RULING
from issuer.reviews import store as reviews
from issuer.reviews.rules import PROPOSE, SECOND, Act, RulingStatus, Terms
from issuer.reviews.tables import Ruling
from issuer.secrets import KeyRing
from issuer.settings import AuditSettings, ProviderAccess
from issuer.subjects import stats

TENANT = "default"


def ruled(command: Callable[..., None]) -> Callable[..., None]:
    """What every act of a person is given with."""
    command = click.option("--seen", help="The case as you looked at it; default: as it is now.")(command)
    return click.option("--reason", required=True, help="A reason code; docs/review.md lists them.")(command)


@click.group()
def case() -> None:
    """List and show cases, and rule on them."""


@case.command("list")
@click.option("--wallet", help="EIP-55, as a case shows it.")
@click.option("--reference", help="The dapp's own word for it.")
@click.option("--tag", help="The dapp's word for many.")
@click.option("--status", type=click.Choice([status.value for status in CaseStatus]))
@limited
@as_json
def list_(
    wallet: str | None, reference: str | None, tag: str | None, status: str | None, limit: int, as_json: bool
) -> None:
    """Cases, newest first."""
    wanted = cases.Filter(tenant_id=TENANT, wallet=wallet, reference=reference, tag=tag, status=status, limit=limit)

    async def read() -> list[dict[str, object]]:
        async with store() as db, db.read() as session:
            return [_row(row) for row in await cases.page(session, wanted)]

    show(run(read()), as_json=as_json, empty="no cases")


@case.command("show")
@click.argument("case_id")
@as_json
def show_(case_id: str, as_json: bool) -> None:
    """One case with its claims, what people ruled, and everything that ever moved it."""

    async def read() -> dict[str, list[dict[str, object]]]:
        async with store() as db, db.read() as session:
            row = _row(await cases.get(session, case_id, TENANT))
            return {
                "case": [row],
                "claims": [claim_row(one) for one in (await claims.of_cases(session, [case_id]))[case_id]],
                "checks": [_check(one) for one in await cases.checks_of(session, case_id)],
                "rulings": [_ruling(one) for one in await reviews.of_case(session, case_id)],
                "timeline": [_move(move) for move in await history.of_case(session, case_id)],
            }

    found = run(read())
    (row,) = found.pop("case")
    if as_json:
        click.echo(msgspec.json.encode({**row, **found}).decode())
        return
    show_one(row, as_json=False)
    for name, rows in found.items():
        click.echo()
        show(rows, as_json=False, empty=f"no {name}")


@case.command()
@click.option("--days", type=click.IntRange(1, 366), default=30, show_default=True, help="How far back.")
@as_json
def failures(days: int, as_json: bool) -> None:
    """Where people are lost: a bar for each day, and cases without an approval by level, template, step and end."""
    until = now()

    async def read() -> stats.Report:
        async with store() as db, db.read() as session:
            return await stats.of_period(session, TENANT, until - timedelta(days=days), until, Audience.COMPLIANCE)

    report = run(read())
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
        return
    for line in stats.chart(report):
        click.echo(line)
    show([msgspec.structs.asdict(loss) for loss in report.losses], as_json=False, empty="nobody was lost")
    for rows in (report.reasons, report.checks or []):
        if rows:
            click.echo()
            show([msgspec.structs.asdict(one) for one in rows], as_json=False, empty="")


@case.command()
@click.argument("case_id")
@click.option("--link", is_flag=True, help="One that opens once and may be mailed, where the provider makes such.")
@as_json
def resume(case_id: str, link: bool, as_json: bool) -> None:
    """A new way into CASE_ID, which is open or expired. Whoever has the address is the applicant: it is shown once."""

    async def enter() -> dict[str, object]:
        async with _opener() as opener:
            opened = await opener.resume(case_id, TENANT, link=link)
        if opened.failure is not None:
            raise opened.failure
        way_in = opened.session
        row: dict[str, object] = {"id": opened.case.id, "status": str(opened.case.status)}
        return row if way_in is None else {**row, "url": way_in.url, "expires_at": way_in.expires_at}

    show_one(run(enter()), as_json=as_json)


@case.command()
@click.argument("case_id")
@as_json
def expire(case_id: str, as_json: bool) -> None:
    """Have the provider close the check of CASE_ID; the case expires when the provider has said so."""

    async def close() -> Case:
        async with _opener() as opener:
            return await opener.expire(case_id, TENANT)

    show_one(_row(run(close())), as_json=as_json)


@case.command()
@click.argument("case_id")
@as_json
def cancel(case_id: str, as_json: bool) -> None:
    """Give CASE_ID up: nothing comes of it any more, whatever its provider still says."""

    async def give_up() -> Case:
        async with _opener() as opener:
            return await opener.cancel(case_id, TENANT)

    show_one(_row(run(give_up())), as_json=as_json)


@asynccontextmanager
async def _opener() -> AsyncIterator[Opener]:
    """With the providers of the environment, as the API has them."""
    here = settings(ProviderAccess)
    levels.use(here.levels_file)
    providers = registry.providers(here)
    try:
        async with store() as db, closing(open_queue(db)) as jobs:
            yield Opener(db, jobs, providers, silent_seconds=here.silent_seconds)
    finally:
        for one in providers.values():
            await one.aclose()


@case.command()
@click.argument("case_id")
def evidence(case_id: str) -> None:
    """Everything that proves CASE_ID, signed with the audit key; `claimwright audit bundle` verifies it.

    With CLAIMWRIGHT_DATA_KEYS it opens the commitments that are on chain: give it only to who may know.
    """
    here = settings(AuditSettings)
    key = None if here.audit_key is None else AuditKey.parse(here.audit_key)
    data_keys = None if here.data_keys is None else KeyRing.parse("CLAIMWRIGHT_DATA_KEYS", here.data_keys)

    async def read() -> bundle.Signed:
        async with store() as db, db.read() as session:
            return bundle.sign(await bundle.gather(session, case_id, TENANT, data_keys), key)

    click.echo(msgspec.json.encode(run(read())).decode())


@case.command()
@limited
@as_json
def queue(limit: int, as_json: bool) -> None:
    """Cases that wait for a person, oldest first, and the rulings that wait for a second one."""

    async def read() -> list[dict[str, object]]:
        async with store() as db, db.read() as session:
            return [_waiting(row, ruling) for row, ruling in await reviews.waiting(session, limit=limit)]

    show(run(read()), as_json=as_json, empty="nothing waits for a person")


@case.command()
@click.argument("case_id")
@ruled
@as_json
def approve(case_id: str, reason: str, seen: str | None, as_json: bool) -> None:
    """Approve CASE_ID by hand. Unless its level says otherwise a second person must agree (`case second`)."""
    show_one(_ruling(run(_propose(case_id, Act.APPROVE, reason, seen))), as_json=as_json)


@case.command()
@click.argument("case_id")
@ruled
@as_json
def decline(case_id: str, reason: str, seen: str | None, as_json: bool) -> None:
    """Decline CASE_ID, and take its claims back. No provider event undoes that; `case lift` does."""
    show_one(_ruling(run(_propose(case_id, Act.DECLINE, reason, seen))), as_json=as_json)


@case.command()
@click.argument("case_id")
@ruled
@as_json
def lift(case_id: str, reason: str, seen: str | None, as_json: bool) -> None:
    """Take a person's decline or revocation of CASE_ID back: the provider is asked again. Needs a second person."""
    show_one(_ruling(run(_propose(case_id, Act.LIFT, reason, seen))), as_json=as_json)


@case.command()
@click.argument("ruling_id")
@as_json
def second(ruling_id: str, as_json: bool) -> None:
    """Agree with RULING_ID, which somebody else proposed."""

    async def agree() -> Ruling:
        signer = signer_here()
        async with store() as db, closing(open_queue(db)) as jobs, db.write() as session:
            proposed = await reviews.locked(session, ruling_id, TENANT)
            half = reviews.terms_of(proposed).sign(SECOND, signer, now())
            row = await reviews.second(session, ruling_id, half, at=now())
            await jobs.enqueue(session, RULING, [row.id])
            return row

    show_one(_ruling(run(agree())), as_json=as_json)


@case.command()
@click.argument("ruling_id")
@as_json
def withdraw(ruling_id: str, as_json: bool) -> None:
    """Let nothing come of RULING_ID, which waits for a second person."""

    async def take() -> Ruling:
        async with store() as db, db.write() as session:
            return await reviews.withdraw(session, ruling_id, at=now())

    show_one(_ruling(run(take())), as_json=as_json)


@case.command()
@click.argument("case_id")
@ruled
@as_json
def clear(case_id: str, reason: str, seen: str | None, as_json: bool) -> None:
    """What flagged CASE_ID, which is approved, was looked at and its claims stay. Needs a second person."""
    show_one(_ruling(run(_propose(case_id, Act.CLEAR, reason, seen))), as_json=as_json)


async def _propose(case_id: str, act: Act, reason: str, seen: str | None) -> Ruling:
    signer = signer_here()
    async with store() as db, closing(open_queue(db)) as jobs, db.write() as session:
        shown = seen or reviews.seen(await cases.get(session, case_id, TENANT))
        terms = Terms(id=new_id("rul"), case_id=case_id, act=act, reason=reason, seen=shown)
        row = await reviews.propose(session, terms, terms.sign(PROPOSE, signer, now()), at=now())
        if row.status == RulingStatus.READY:
            await jobs.enqueue(session, RULING, [row.id])
        return row


def _check(row: Check) -> dict[str, object]:
    return {"kind": row.kind, "outcome": row.outcome, "failed": row.reasons, "at": row.updated_at}


def _ruling(row: Ruling) -> dict[str, object]:
    return {
        "id": row.id,
        "case": row.case_id,
        "act": row.act,
        "reason": row.reason,
        "status": str(row.status),
        "proposed_by": row.proposed_by,
        "seconded_by": row.seconded_by,
        "refusal": row.refusal,
        "told": row.told,
    }


def _waiting(row: Case, ruling: Ruling | None) -> dict[str, object]:
    return {
        "case": row.id,
        "level": row.level,
        "since": row.updated_at,
        "flag": row.flag,
        "seen": reviews.seen(row),
        "ruling": None if ruling is None else ruling.id,
        "act": None if ruling is None else ruling.act,
        "proposed_by": None if ruling is None else ruling.proposed_by,
    }


def _row(row: Case) -> dict[str, object]:
    return {
        "id": row.id,
        "status": str(row.status),
        "summary": SUMMARIES[CaseStatus(row.status)],
        "level": row.level,
        "wallet": row.wallet,
        "reference": row.reference,
        "tag": row.tag,
        "provider": row.provider,
        "environment": row.environment,
        "check": row.check_ref,
        "reasons": row.reasons,
        "seen": reviews.seen(row),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def _move(move: history.History) -> dict[str, object]:
    return {"at": move.at, "claim": move.claim_id, "from": move.source, "to": move.target, "cause": move.cause}
