"""`claimwright serve`: both processes under one supervisor, each with only its own secrets."""

import asyncio
import os
import sys

import click

from issuer import log
from issuer.commands.common import settings
from issuer.commands.roles import own_environment
from issuer.settings import ApiSettings, DaemonSettings
from issuer.supervise import Child, Supervisor, http_answers, until_signalled


@click.command()
def serve() -> None:
    """Run api and daemon; one that ends is started again. For development and small set-ups."""
    api, daemon = settings(ApiSettings), settings(DaemonSettings)  # both are checked before anything is started
    log.configure("serve", daemon.log_level)
    asyncio.run(until_signalled(_serve(api)))


async def _serve(api: ApiSettings) -> None:
    program = [sys.executable, "-m", "issuer"]
    host = "127.0.0.1" if api.host in ("0.0.0.0", "::") else api.host  # noqa: S104 - compared, not bound
    alive = http_answers(f"http://{host}:{api.port}/health/live")
    logger = log.get_logger()

    def changed(pids: dict[str, int]) -> None:
        for name, pid in pids.items():
            logger.info("child_running", reason=name, pid=pid)

    async with Supervisor(on_change=changed) as supervisor:
        await supervisor.start(
            Child(name="api", argv=[*program, "api"], env=own_environment(ApiSettings, os.environ), ready=alive)
        )
        await supervisor.start(
            Child(name="daemon", argv=[*program, "daemon"], env=own_environment(DaemonSettings, os.environ))
        )
        await supervisor.wait()
