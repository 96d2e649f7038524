"""`claimwright operator`: the people who rule on cases. A token is shown once, when it is made."""

import os
from datetime import datetime

import click
import msgspec

from issuer.access import operators
from issuer.access import store as access
from issuer.access.operators import Signer
from issuer.access.tables import Operator
from issuer.clock import now
from issuer.commands.common import as_json, run, show, show_one, store
from issuer.errors import SettingsError
from issuer.ids import new_id
from issuer.reviews.rules import PROPOSE, SECOND, Act, Signed, Terms
from issuer.secrets import Secret
from issuer.settings import lookup


@click.group()
def operator() -> None:
    """Make, list and revoke the personal tokens of people who rule on cases."""


@operator.command()
@click.argument("name")
@as_json
def new(name: str, as_json: bool) -> None:
    """Make a token for the person called NAME. It is shown once; only its public key is kept."""

    async def make() -> tuple[Operator, Secret]:
        async with store() as db, db.write() as session:
            return await access.create_operator(session, name, now())

    row, token = run(make())
    show_one({**_row(row), "token": token.reveal()}, as_json=as_json)


@operator.command("list")
@as_json
def list_(as_json: bool) -> None:
    """Every operator, oldest first."""

    async def read() -> list[dict[str, object]]:
        async with store() as db, db.read() as session:
            return [_row(row) for row in await access.list_operators(session)]

    show(run(read()), as_json=as_json, empty="no operators; make one with `claimwright operator new`")


@operator.command()
@click.argument("operator_id")
@as_json
def revoke(operator_id: str, as_json: bool) -> None:
    """What OPERATOR_ID signs from now on counts no more."""

    async def change() -> Operator:
        async with store() as db, db.write() as session:
            return await access.revoke_operator(session, operator_id, now())

    show_one(_row(run(change())), as_json=as_json)


@operator.command()
@click.argument("act", type=click.Choice([act.value for act in Act]))
@click.argument("case_id")
@click.option("--reason", required=True, help="A reason code.")
@click.option("--seen", required=True, help="The case as you looked at it, as `claimwright case queue` shows it.")
@click.option("--second", "ruling_id", help="The ruling of somebody else that you agree with.")
def sign(act: str, case_id: str, reason: str, seen: str, ruling_id: str | None) -> None:
    """Print the body for POST /v1/cases/{id}/rulings, or of /v1/rulings/{id}/second. Needs your token and no store."""
    terms = Terms(id=ruling_id or new_id("rul"), case_id=case_id, act=Act(act), reason=reason, seen=seen)
    half = terms.sign(SECOND if ruling_id else PROPOSE, signer_here(), now())
    words = {} if ruling_id else {"id": terms.id, "act": act, "reason": reason, "seen": seen}
    click.echo(msgspec.json.encode({**words, **_half(half)}).decode())


def signer_here() -> Signer:
    """The token of the environment. Raises `SettingsError` if there is none."""
    token = lookup(os.environ, operators.TOKEN)
    if token is None:
        raise SettingsError(operators.TOKEN, "is required: your own token, as `claimwright operator new` showed it")
    return operators.signer_of(Secret(token))


def _half(half: Signed) -> dict[str, object]:
    return {"operator_id": half.operator_id, "at": _moment(half.at), "signature": half.signature}


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _row(row: Operator) -> dict[str, object]:
    return {"id": row.id, "name": row.name, "created_at": row.created_at, "revoked_at": row.revoked_at}
