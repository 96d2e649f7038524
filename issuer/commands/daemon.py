"""`claimwright daemon`: the process that signs. SIGTERM and SIGINT end it after the step that is running."""

import asyncio
import os
import signal

import click

from issuer import log
from issuer.commands.common import settings
from issuer.commands.roles import own_environment
from issuer.daemon import run
from issuer.rolelock import hold_role
from issuer.settings import DaemonSettings


@click.command()
def daemon() -> None:
    """Handle events, sign claims and watch the chain."""
    own = own_environment(DaemonSettings, os.environ)
    for name in os.environ.keys() - own.keys():
        del os.environ[name]
    serve(settings(DaemonSettings))


def serve(loaded: DaemonSettings) -> None:
    """Be the daemon, in this process and its main thread, until it is told to stop."""
    log.configure("daemon", loaded.log_level)
    with hold_role(loaded.database_url.reveal(), "daemon"):
        asyncio.run(_until_signalled(loaded))


async def _until_signalled(loaded: DaemonSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run(loaded, stop)
