"""What scripts/dev runs: the stack, up until SIGTERM or Ctrl-C, described in .claimwright/dev.json.

The file is replaced whole (mode 0600) once all is up and whenever a killed API or daemon was started again, and
removed at the end. Ports and keys never change while it runs.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

import click

from issuer.errors import ClaimwrightError
from issuer.supervise import ChildFailed, until_signalled
from scripts.ground import HOME
from scripts.stack import Stack

NOTICE = HOME / "dev.json"
LOG_LINES = 6

STEPS = """
Try it (each line stands for itself; CASE and INQUIRY are `id` and `provider_ref` of the first answer):

  # 1. open a case
  curl -s {api}/v1/cases -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\
    -d '{{"level": "basic", "wallet": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"}}'

  # 2. let the person finish and Persona approve (or decline_inquiry, later)
  curl -s {persona}/api/v1/inquiries/INQUIRY/perform-simulate-actions -H 'Authorization: Bearer {persona_key}' \\
    -H 'Content-Type: application/json' \\
    -d '{{"meta": {{"simulate-actions": [{{"type": "start_inquiry"}}, {{"type": "complete_inquiry"}},
                                       {{"type": "approve_inquiry"}}]}}}}'

  # 3. see the claim, and everything that moved the case
  curl -s {api}/v1/cases/CASE -H 'Authorization: Bearer {key}'
  curl -s {api}/v1/cases/CASE/timeline -H 'Authorization: Bearer {key}'

  # 4. ask a contract that is gated on it
  {cast} call {gate} 'isAllowed(address)(bool)' 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --rpc-url {rpc}

  # 5. take the claim back (CLAIM is claims[0].id)
  curl -s {api}/v1/claims/CLAIM/revoke -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\
    -d '{{"reason": "trying it out"}}'

Interactive API page: {api}/schema      Everything a program needs: {notice}
Metrics: {watch_api}/metrics and {watch_daemon}/metrics
Logs: {logs}/*.log      Ctrl-C ends it all.
"""


class Notice:
    """Writes dev.json, from the moment that there is something to say."""

    def __init__(self) -> None:
        self._stack: Stack | None = None

    def publish(self, stack: Stack) -> None:
        self._stack = stack
        self._write()

    def changed(self, _pids: dict[str, int]) -> None:
        if self._stack is not None:
            self._write()
        else:
            NOTICE.unlink(missing_ok=True)  # of a run that was killed: it describes nothing any more

    def withdraw(self) -> None:
        self._stack = None
        NOTICE.unlink(missing_ok=True)

    def _write(self) -> None:
        assert self._stack is not None
        partial = NOTICE.with_suffix(".new")
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(facts(self._stack), file, indent=2)
            file.write("\n")
        partial.replace(NOTICE)


def facts(stack: Stack) -> dict[str, object]:
    """What dev.json holds."""
    return {
        "api_url": stack.api_url,
        "api_key": stack.api_key,
        "persona_url": stack.persona_url,
        "persona_api_key": stack.persona_api_key,
        "webhook_url": stack.webhook_url,
        "webhook_secret": stack.webhook_secret,
        "rpc_url": stack.rpc_url,
        "chain_id": stack.chain_id,
        "contracts": stack.contracts,
        "database_url": stack.database_url,
        "pids": stack.pids,
    }


async def live(database_url: str | None, block_time: float | None) -> None:
    notice = Notice()
    stack = Stack(HOME / "dev", database_url=database_url, block_time=block_time, on_change=notice.changed, say=_say)
    async with stack:
        try:
            notice.publish(stack)
            _say(_steps(stack))
            await stack.supervisor.wait()
        finally:
            notice.withdraw()


def _steps(stack: Stack) -> str:
    return STEPS.format(
        api=stack.api_url,
        key=stack.api_key,
        persona=stack.persona_url,
        persona_key=stack.persona_api_key,
        gate=stack.contracts["ClaimGated"],
        rpc=stack.rpc_url,
        cast="node_modules/.bin/cast",
        notice=NOTICE,
        logs=stack.directory,
        watch_api=stack.private_urls["api"],
        watch_daemon=stack.private_urls["daemon"],
    )


def _say(line: str) -> None:
    print(line, flush=True)


def _absolute(_context: click.Context, _option: click.Parameter, url: str | None) -> str | None:
    """A relative SQLite file is meant from here, wherever the processes run."""
    head = "sqlite:///"
    if url is None or not url.startswith(head) or url.startswith(f"{head}/"):
        return url
    return head + str(Path(url.removeprefix(head)).resolve())


@click.command(help=__doc__)
@click.option("--database-url", callback=_absolute, help="An empty database. Default: a fresh SQLite file.")
@click.option("--block-time", type=click.FloatRange(min=0, min_open=True), help="Seconds. Default: mine at once.")
def main(database_url: str | None, block_time: float | None) -> None:
    try:
        asyncio.run(until_signalled(live(database_url, block_time)))
    except (ClaimwrightError, OSError, RuntimeError) as error:
        log = error.log if isinstance(error, ChildFailed) else None
        for line in log.read_text(errors="replace").splitlines()[-LOG_LINES:] if log else []:
            print(line, file=sys.stderr)
        print(f"dev: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    _say("dev: all has ended")


if __name__ == "__main__":
    main()
