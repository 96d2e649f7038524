"""``python -m scripts.persona_simulator [--port N] [--webhook-url URL] ...``."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import replace

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from scripts.persona_simulator.app import create_app
from scripts.persona_simulator.lifeline import PARENT_SIGNAL, parent_gone, tie_to_parent
from scripts.persona_simulator.settings import Refused, Settings, read_settings

OPTIONS = {
    "--webhook-url": "PERSONA_SIM_WEBHOOK_URL",
    "--webhook-events": "PERSONA_SIM_WEBHOOK_EVENTS",
    "--template-id": "PERSONA_SIM_TEMPLATE_ID",
    "--environment-id": "PERSONA_SIM_ENVIRONMENT_ID",
    "--organization-id": "PERSONA_SIM_ORGANIZATION_ID",
    "--redirect-hosts": "PERSONA_SIM_REDIRECT_HOSTS",
    "--api-blocklist": "PERSONA_SIM_API_BLOCKLIST",
    "--delivery-timeout": "PERSONA_SIM_DELIVERY_TIMEOUT",
    "--api-key": "PERSONA_SIM_API_KEY",
    "--webhook-secret": "PERSONA_SIM_WEBHOOK_SECRET",
}
HOST = "127.0.0.1"
STOP_WITHIN = 1.0


def read_arguments(arguments: list[str]) -> tuple[int, dict[str, str]]:
    """Return the port (0 for any free one) and what overrides the environment."""
    parser = argparse.ArgumentParser("persona_simulator", description="A local Persona.")
    parser.add_argument("--port", type=int, default=0)
    for option, variable in OPTIONS.items():
        parser.add_argument(option, dest=variable, help=f"instead of {variable}")
    given = vars(parser.parse_args(arguments))
    port = given.pop("port")
    return port, {name: value for name, value in given.items() if value is not None}


def free_port(wanted: int) -> int:
    """Return `wanted`, or any free port for 0. Raises OSError if something else has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, wanted))
        port: int = probe.getsockname()[1]
        return port


async def accepting(port: int) -> None:
    """Return once the server accepts connections."""
    while True:
        with suppress(OSError):
            _, writer = await asyncio.open_connection(HOST, port)
            writer.close()
            return
        await asyncio.sleep(0.005)


async def serve(settings: Settings, port: int, parent: int) -> None:
    """Serve until SIGTERM, SIGINT or the parent's end."""
    server = Server(
        create_app(settings),
        address=HOST,
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(PARENT_SIGNAL, lambda: stop.set() if os.getppid() != parent else None)
    serving = loop.create_task(server.serve())
    watching = loop.create_task(parent_gone(parent))
    stopping = loop.create_task(stop.wait())
    started = loop.create_task(accepting(port))
    await asyncio.wait({started, serving}, return_when=asyncio.FIRST_COMPLETED)
    if not started.done():
        serving.result()
        raise SystemExit(f"the server did not start on {HOST}:{port}")
    print(json.dumps({"url": settings.base_url, "pid": os.getpid()}), flush=True)
    await asyncio.wait({serving, watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
    server.stop()  # type: ignore[no-untyped-call]
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(serving), STOP_WITHIN)
    # Nothing is kept, so nothing is lost by not waiting for a slow receiver or client.
    os._exit(0)


def main() -> int:
    parent = tie_to_parent()
    port, overrides = read_arguments(sys.argv[1:])
    try:
        settings = read_settings(os.environ | overrides)
    except Refused as reason:
        print(reason, file=sys.stderr)
        return 2
    try:
        port = free_port(port)
    except OSError as error:
        print(f"cannot listen on {HOST}:{port}: {error.strerror}", file=sys.stderr)
        return 2
    asyncio.run(serve(replace(settings, base_url=f"http://{HOST}:{port}"), port, parent))
    return 0


if __name__ == "__main__":
    sys.exit(main())
