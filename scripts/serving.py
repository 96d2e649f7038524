"""Serving a simulator: on loopback, one process, until a signal or its parent's end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from contextlib import suppress
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from scripts.persona_simulator.lifeline import PARENT_SIGNAL, parent_gone

HOST = "127.0.0.1"
STOP_WITHIN = 1.0


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


async def serve(app: Any, port: int, parent: int) -> None:  # noqa: ANN401 - an ASGI application
    """Serve until SIGTERM, SIGINT or the parent's end; one JSON line on stdout says when it is ready."""
    server = Server(
        app,
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
    print(json.dumps({"url": f"http://{HOST}:{port}", "pid": os.getpid()}), flush=True)
    await asyncio.wait({serving, watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
    server.stop()  # type: ignore[no-untyped-call]
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(serving), STOP_WITHIN)
    # Nothing is kept, so nothing is lost by not waiting for a slow receiver or client.
    os._exit(0)
