"""`claimwright audit`: is the record of decisions and of people's acts still the one that was written?"""

from pathlib import Path

import click
import msgspec

from issuer.audit import bundle, rules, verify
from issuer.audit.rules import AuditKey, Head
from issuer.audit.work import read_anchor
from issuer.clock import now
from issuer.commands.common import as_json, run, settings, show_one
from issuer.commands.common import store as open_store
from issuer.errors import ClaimwrightError, InvalidInput, SettingsError
from issuer.settings import AuditSettings

public = click.option("--public-key", help="64 hex digits; default: that of CLAIMWRIGHT_AUDIT_KEY.")
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def audit() -> None:
    """Verify the audit chain and evidence, and show the public key of the audit key."""


@audit.command("verify")
@click.option("--anchor", type=FILE, help="Heads kept outside the database; default: CLAIMWRIGHT_AUDIT_ANCHOR_FILE.")
@public
@as_json
def verify_(anchor: Path | None, public_key: str | None, as_json: bool) -> None:
    """Check every entry, every row behind one, and every signed head. Exit code 1 if something does not fit."""
    here = settings(AuditSettings)
    path = anchor or (Path(here.audit_anchor) if here.audit_anchor else None)
    key = _public_key(public_key)
    anchored = _anchored(path)

    async def check() -> verify.Report:
        async with open_store() as db:
            return await verify.check(db, key, anchored, at=now())

    report = run(check())
    row = {"entries": report.entries, "heads": report.heads, "anchored": len(anchored), "not_yet": report.not_yet}
    show_one({**row, "wrong": report.wrong}, as_json=as_json)
    if report.wrong:
        raise ClaimwrightError(f"the audit chain does not hold: {report.wrong[0]}")


@audit.command("key")
def key_() -> None:
    """Print the public key that heads and evidence are verified with. Keep it where the database is not."""
    click.echo(_public_key(None))


@audit.command("bundle")
@click.argument("file", type=FILE)
@public
def bundle_(file: Path, public_key: str | None) -> None:
    """Verify FILE, which `claimwright case evidence` wrote. Needs no database."""
    try:
        signed = msgspec.json.decode(file.read_bytes(), type=bundle.Signed)
    except msgspec.MsgspecError:
        raise InvalidInput("file", "is no evidence of a case") from None
    wrong = bundle.problems(signed, _public_key(public_key))
    if wrong:
        raise ClaimwrightError(f"the evidence does not hold: {wrong[0]}")
    click.echo("ok")


def _public_key(given: str | None) -> str:
    if given is not None:
        return given
    key = settings(AuditSettings).audit_key
    if key is None:
        raise SettingsError(rules.KEY, "is needed, or --public-key")
    return AuditKey.parse(key).public_key


def _anchored(path: Path | None) -> list[Head]:
    if path is None:
        return []
    try:
        return read_anchor(path)
    except (OSError, msgspec.MsgspecError) as error:
        raise InvalidInput("anchor", f"cannot be read: {type(error).__name__}") from None
