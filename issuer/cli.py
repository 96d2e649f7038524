"""`claimwright`: the operator's hand. Every failure is one line on stderr that says what to do.

Exit codes: 0 done, 1 it failed, 2 the command or a setting is wrong, 130 interrupted.
"""

import importlib
import os
import sys
from typing import Any, NoReturn

import click

from issuer.errors import ClaimwrightError, SettingsError

# name > (where it lives, its line in --help). Nothing below is imported before it is asked for.
COMMANDS = {
    "api": ("issuer.commands.api:api", "Serve the HTTP API and the webhooks."),
    "daemon": ("issuer.commands.daemon:daemon", "Handle events, sign claims and watch the chain."),
    "serve": ("issuer.commands.serve:serve", "Run api and daemon, each with only its own secrets."),
    "migrate": ("issuer.commands.store:migrate", "Bring the database to the newest version."),
    "deploy": ("issuer.commands.deploy:deploy", "Put the contracts on chain, or finish and check what is there."),
    "doctor": ("issuer.commands.doctor:doctor", "Check settings, store, chain and provider; say what to do."),
    "case": ("issuer.commands.case:case", "List, show, review and cancel cases."),
    "claim": ("issuer.commands.claim:claim", "List, show, revoke, renew and retry claims."),
    "event": ("issuer.commands.event:event", "List provider events, or handle one again."),
    "reconcile": (
        "issuer.commands.reconcile:reconcile",
        "Compare chain, database and provider; mend what can be mended.",
    ),
    "finding": ("issuer.commands.finding:finding", "List and lift what reconciliation left to a person."),
    "lane": ("issuer.commands.lane:lane", "List, pause and resume sender addresses."),
    "reseal": ("issuer.commands.reseal:reseal", "Seal what is kept under older data keys under the newest one."),
    "signer": ("issuer.commands.signer:signer", "The keys whose claims are accepted: list, add, limit, remove."),
    "stop": ("issuer.commands.stop:stop", "Stop issuing in an emergency, list stops, lift them."),
    "audit": ("issuer.commands.audit:audit", "Verify the chain of decisions and acts, and evidence of a case."),
    "policy": ("issuer.commands.policy:policy", "See what a changed levels file would have changed."),
    "provider": (
        "issuer.commands.provider:provider",
        "Set up a provider's webhook, list templates, catch up.",
    ),
    "subject": ("issuer.commands.subject:subject", "Export, restrict, hold and erase what is kept about a person."),
    "retention": ("issuer.commands.retention:retention", "Remove what need not be kept any longer."),
    "operator": ("issuer.commands.operator:operator", "Make, list and revoke tokens of people who rule on cases."),
    "key": ("issuer.commands.key:key", "Make, list, rotate and revoke API keys."),
    "keystore": ("issuer.commands.keystore:keystore", "Make an encrypted chain key, or name one kept elsewhere."),
}


class Lazy(click.Group):
    """A group that imports a command when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="claimwright", prog_name="claimwright", message="%(prog)s %(version)s")
@click.pass_obj
def cli(alone: bool) -> None:
    """Turn a KYC decision into an on-chain identity claim that contracts can trust.

    Settings are environment variables; docs/settings.md lists them.
    """
    if alone:
        from issuer import log  # not for --help and --version

        log.configure("cli", "warning")  # stdout is the command's own, and what it logs takes the one door


def main() -> NoReturn:
    """The entry point. Never returns and never shows a traceback."""
    sys.exit(run(sys.argv[1:], alone=True))


def run(argv: list[str], *, alone: bool = False) -> int:
    """Run one command line; its exit code. `alone`: this process is there for nothing else."""
    try:
        result = cli.main(args=argv, prog_name="claimwright", standalone_mode=False, obj=alone)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help())
        return 2
    except click.ClickException as error:
        return _say(error.format_message().rstrip("."), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return _failed(error)
    return result if isinstance(result, int) else 0


def _failed(error: Exception) -> int:
    cause = _cause(error)
    if isinstance(cause, ClaimwrightError):
        return _say(cause.message, 2 if isinstance(cause, SettingsError) else 1)
    from issuer.log import where  # only now: it is not needed for anything that goes well

    return _say(f"internal error: {type(cause).__name__} in {where(cause)}; please report it", 1)


def _cause(error: Exception) -> Exception:
    """The error of ours inside a task group's, if there is one."""
    while isinstance(error, ExceptionGroup):
        ours: Any = error.subgroup(lambda inner: isinstance(inner, ClaimwrightError))
        error = (ours or error).exceptions[0]
    return error


def _say(line: str, code: int) -> int:
    click.echo(f"claimwright: {' '.join(line.split())}", err=True)
    return code
