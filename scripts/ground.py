"""The ground that local stacks stand on: directories of their own, free ports, a bare environment, the local node."""

import asyncio
import fcntl
import itertools
import json
import os
import socket
import urllib.request
from pathlib import Path
from typing import IO

from issuer.errors import AlreadyRunning
from issuer.supervise import Ready
from scripts.anvil import CHAIN_ID

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".claimwright"
LOCAL = "127.0.0.1"
_INHERITED = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL")


def base_environment() -> dict[str, str]:
    """What any program needs to run at all; nothing of ours."""
    inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
    return {**inherited, "PYTHONUNBUFFERED": "1"}


def lock_directory(directory: Path) -> IO[str]:
    """Held until the file is closed or the process ends. Raises `AlreadyRunning`."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    file = directory.with_name(f"{directory.name}.lock").open("a+", encoding="ascii")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read(20).strip() or "unknown"
        file.close()
        raise AlreadyRunning(f"a stack is already running in {directory} (pid {holder}); stop it first") from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def free_directory(name: str) -> Path:
    """`.claimwright/NAME`, or `NAME-2` and so on while stacks live there: several may run beside each other."""
    for number in itertools.count(1):
        directory = HOME / (name if number == 1 else f"{name}-{number}")
        try:
            lock_directory(directory).close()
        except AlreadyRunning:
            continue
        return directory
    raise AssertionError  # the count has no end


def free_ports(count: int) -> list[int]:
    """Different ones: all are held until the last is known."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind((LOCAL, 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def rpc(url: str, method: str, *params: object) -> object:
    """One JSON-RPC call to the local chain. Raises `OSError` without an answer, `RuntimeError` for an error."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - loopback http
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy stands before loopback
    with opener.open(request, timeout=5) as response:
        answer = json.load(response)
    if "error" in answer:
        raise RuntimeError(f"{method}: {answer['error'].get('message')}")
    result: object = answer["result"]
    return result


def node_answers(url: str) -> Ready:
    async def ready() -> bool:
        try:
            return await asyncio.to_thread(rpc, url, "eth_chainId") == hex(CHAIN_ID)
        except OSError:
            return False

    return ready
