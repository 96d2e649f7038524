"""Dropping a connection for real, so that a client sees a network failure and no answer."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

DESCRIPTORS = ("/proc/self/fd", "/dev/fd")


def cut(scope: Mapping[str, Any]) -> bool:
    """Shut down the socket that the request came on; False if it could not be found.

    The server offers no such call, so the socket is looked up among our own descriptors by
    its peer's address.
    """
    client = scope.get("client")
    if client is None:
        return False
    wanted = (client[0], int(client[1]))
    folder = next((Path(name) for name in DESCRIPTORS if Path(name).is_dir()), None)
    for entry in folder.iterdir() if folder else ():
        with suppress(OSError, ValueError):
            # A duplicate: closing our copy must not close the server's.
            with socket.socket(fileno=os.dup(int(entry.name))) as candidate:
                if candidate.getpeername()[:2] == wanted:
                    candidate.shutdown(socket.SHUT_RDWR)
                    return True
    return False
