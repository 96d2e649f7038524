"""Dropping a connection for real, so that a client sees a network failure and no answer."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

DESCRIPTORS = ("/proc/self/fd", "/dev/fd")


def cut(scope: Mapping[str, Any]) -> bool:
    """Shut down the socket that the request came on; False if it could not be found.

    The server offers no such call, so the socket is looked up among our own descriptors by
    its two addresses.
    """
    client, server = scope.get("client"), scope.get("server")
    if client is None or server is None:
        return False
    ends = ((server[0], int(server[1])), (client[0], int(client[1])))
    folder = next((name for name in DESCRIPTORS if Path(name).is_dir()), None)
    for name in os.listdir(folder) if folder else ():
        with suppress(OSError):
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode) and _shut(int(name), ends):
                return True
    return False


def _shut(descriptor: int, ends: tuple[tuple[str, int], tuple[str, int]]) -> bool:
    # A duplicate, because closing our socket object must not close the server's.
    with socket.socket(fileno=os.dup(descriptor)) as candidate:
        if (candidate.getsockname(), candidate.getpeername()) != ends:
            return False
        candidate.shutdown(socket.SHUT_RDWR)
        return True
