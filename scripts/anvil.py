"""Starts a local chain: the native anvil binary from node_modules, on 127.0.0.1 and a free port.

It dies with the thread that started it (PR_SET_PDEATHSIG, Linux), so an aborted run leaves no chain behind. The npm
wrapper is not used: killing it leaves the real process alive.
"""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from eth_account import Account

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
CHAIN_ID = 31337
READY_SECONDS = 20.0
_PR_SET_PDEATHSIG = 1
# Public, and the same for every anvil: its accounts hold 10 000 ether each and nothing else.
MNEMONIC = "test test test test test test test test test test test junk"
# A proxy named in the environment must not stand between us and loopback.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class AnvilProcess:
    url: str
    process: "subprocess.Popen[bytes]"

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self) -> None:
        """Ends the chain and waits for it; safe to call twice."""
        self.process.terminate()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout=5)

    def __enter__(self) -> "AnvilProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start_anvil(*, block_time: float | None = None, extra: Sequence[str] = ()) -> AnvilProcess:
    """A fresh chain that answers. `block_time` in seconds; None mines each transaction at once.

    Raises `RuntimeError` when the binary is missing or does not answer.
    """
    binary = find_anvil()
    timing = [] if block_time is None else ["--block-time", f"{block_time:g}"]
    for _ in range(5):  # another process may take the port between finding it and using it
        port = _free_port()
        command = [str(binary), "--host", HOST, "--port", str(port), "--silent", *timing, *extra]
        with tempfile.TemporaryFile() as said:  # not a pipe: nobody reads it once the chain is up
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                preexec_fn=_die_with_parent(os.getpid()),
            )
            anvil = AnvilProcess(url=f"http://{HOST}:{port}", process=process)
            if _ready(anvil):
                return anvil
            alive = process.poll() is None
            anvil.stop()
            said.seek(0)
            words = said.read().decode(errors="replace").strip()
        if alive:
            raise RuntimeError(f"anvil did not answer within {READY_SECONDS:g} s")
        if "in use" not in words:
            raise RuntimeError(f"anvil ended at once: {words or f'exit code {process.returncode}'}")
    raise RuntimeError("anvil found no free port")


def dev_key(index: int) -> bytes:
    """The private key of anvil's account `index`, which is funded on every fresh chain (BIP-44 path of Ethereum)."""
    Account.enable_unaudited_hdwallet_features()
    return bytes(Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}").key)


def find_anvil() -> Path:
    for binary in sorted(ROOT.glob("node_modules/@foundry-rs/anvil-*/bin/anvil*")):
        if os.access(binary, os.X_OK):
            return binary
    raise RuntimeError("anvil is not installed; run scripts/setup")


def _ready(anvil: AnvilProcess) -> bool:
    """Polls until the process that we started answers, ends, or the time is up."""
    deadline = time.monotonic() + READY_SECONDS
    while anvil.process.poll() is None and time.monotonic() < deadline:
        try:
            if _chain_id(anvil.url) is not None:
                return anvil.process.poll() is None
        except OSError:
            time.sleep(0.01)
    return False


def _chain_id(url: str) -> str | None:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}).encode()
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})  # noqa: S310
    with _DIRECT.open(request, timeout=2) as response:
        answer: dict[str, str] = json.load(response)
    return answer.get("result")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent(parent: int) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # looked up before the fork, where little is allowed

    def arrange() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return arrange
