"""`claimwright api`: Granian on the string `api.app:create_app`, so that this package never imports the other."""

import contextlib
import os
import socket
import tempfile
from collections.abc import Iterator

import click
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server import Server

from issuer import log
from issuer.commands.common import settings
from issuer.commands.roles import own_environment
from issuer.db import normalise_url
from issuer.errors import ClaimwrightError, SettingsError
from issuer.monitoring import SHARED_FIGURES
from issuer.rolelock import hold_role
from issuer.settings import ApiSettings

APP = "api.app:create_app"
DRAIN_SECONDS = 5  # for requests that are being answered when the end is asked for


@click.command()
def api() -> None:
    """Serve the HTTP API and the webhooks on CLAIMWRIGHT_API_HOST and CLAIMWRIGHT_API_PORT."""
    own = own_environment(ApiSettings, os.environ)
    for name in os.environ.keys() - own.keys():  # a key in the environment by mistake is still no key for this process
        del os.environ[name]
    loaded = settings(ApiSettings)
    url = loaded.database_url.reveal()
    if loaded.workers > 1 and normalise_url(url).get_backend_name() == "sqlite":
        raise SettingsError("CLAIMWRIGHT_API_WORKERS", "must be 1 on SQLite; use PostgreSQL for more")
    log.configure("api", loaded.log_level)
    os.environ["CLAIMWRIGHT_DIE_WITH_PARENT"] = "1"
    with hold_role(url, "api"), _shared_figures(loaded):
        _serve(loaded)


@contextlib.contextmanager
def _shared_figures(loaded: ApiSettings) -> Iterator[None]:
    """Workers count into files of one directory, so that whichever answers a scrape can add them up.

    The variable is read when `prometheus_client` is first imported, which only workers do.
    """
    if loaded.private_port is None:
        os.environ.pop(SHARED_FIGURES, None)
        yield
        return
    with tempfile.TemporaryDirectory(prefix="claimwright-metrics-") as directory:
        os.environ[SHARED_FIGURES] = directory
        yield


def _serve(loaded: ApiSettings) -> None:
    _refuse_taken_port("CLAIMWRIGHT_API_PORT", loaded.host, loaded.port)
    if loaded.private_port is not None:
        _refuse_taken_port("CLAIMWRIGHT_API_PRIVATE_PORT", loaded.private_host, loaded.private_port)
    server = Server(
        APP,
        factory=True,
        address=loaded.host,
        port=loaded.port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        workers=loaded.workers,
        workers_kill_timeout=DRAIN_SECONDS,
        log_level=LogLevels(loaded.log_level),
        log_dictconfig=log.dictconfig("api", loaded.log_level),
    )
    try:
        server.serve()
    except SystemExit as end:
        if end.code:
            raise ClaimwrightError("the API could not be served; the log above says why") from None


def _refuse_taken_port(setting: str, host: str, port: int) -> None:
    """Granian shares its port (SO_REUSEPORT), so a second server there would silently get every other request."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SettingsError(setting, f"cannot listen on {host}:{port}: {error.strerror}") from None
