"""Starting, refusing to start, and never outliving the one who started it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from scripts.persona_simulator import launch
from tests.integration.simulator.conftest import eventually

ARGUMENTS = [sys.executable, "-m", "scripts.persona_simulator"]
GOOD = {
    "CLAIMWRIGHT_ENV": "test",
    "PERSONA_SIM_API_KEY": "persona_sandbox_0123456789",
    "PERSONA_SIM_TEMPLATE_ID": "itmpl_1",
}


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {"PATH": os.environ["PATH"]}
    return subprocess.run(
        [*ARGUMENTS, *arguments], cwd=launch.ROOT, env=kept | env, capture_output=True, text=True, timeout=20
    )


@pytest.mark.parametrize("environment", ["production", ""])
def test_it_refuses_to_start_outside_development_and_test(environment: str) -> None:
    done = run(**GOOD | {"CLAIMWRIGHT_ENV": environment})
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "CLAIMWRIGHT_ENV" in done.stderr


def test_a_short_key_is_refused_and_never_printed() -> None:
    done = run(**GOOD | {"PERSONA_SIM_API_KEY": "hunter2"})
    assert done.returncode == 2
    assert "hunter2" not in done.stderr


def test_a_port_in_use_is_one_clear_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("--port", str(taken.getsockname()[1]), **GOOD)
    assert done.returncode == 2
    assert "cannot listen" in done.stderr


def test_launching_reports_a_refusal() -> None:
    with pytest.raises(launch.NotStarted, match="code 2"):
        launch.start(environment="production")


def test_sigterm_ends_it_within_two_seconds_even_with_a_request_under_way() -> None:
    with launch.start() as persona:
        assert persona.pid == persona.process.pid
        body = {"kind": "slow", "seconds": 30}
        assert httpx.post(f"{persona.url}/_sim/faults", json=body, headers=persona.control).status_code == 200
        with socket.create_connection(("127.0.0.1", int(persona.url.rsplit(":", 1)[1]))) as busy:
            head = f"GET /api/v1/inquiries HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {persona.api_key}\r\n\r\n"
            busy.sendall(head.encode())
            taken: dict[str, list[str]] = {"faults": []}
            eventually(lambda: httpx.get(f"{persona.url}/_sim/faults", headers=persona.control).json() == taken)
            begun = time.monotonic()
            persona.process.send_signal(signal.SIGTERM)
            persona.process.wait(5)
            assert time.monotonic() - begun < 2
            assert persona.process.returncode == 0


def test_it_outlives_the_thread_that_started_it() -> None:
    """The kernel reports the end of a starting thread as if the parent had ended."""

    def start() -> tuple[launch.Running, int]:
        return launch.start(), threading.get_native_id()

    with ThreadPoolExecutor(1) as pool:
        persona, thread = pool.submit(start).result()
    with persona, httpx.Client(base_url=f"{persona.url}/_sim") as client:
        eventually(lambda: not Path(f"/proc/self/task/{thread}").exists())
        for _ in range(100):
            assert client.get("/health").status_code == 200


def test_it_ends_with_its_parent() -> None:
    code = (
        "import os, sys\n"
        "from scripts.persona_simulator import launch\n"
        "running = launch.start()\n"
        "print(running.pid, running.url, flush=True)\n"
        "sys.stdin.read()\n"
        "os._exit(0)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=launch.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid, url = parent.stdout.readline().split()
    assert httpx.get(f"{url}/_sim/health").status_code == 200
    parent.kill()
    parent.communicate()

    def gone() -> bool:
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"{url}/_sim/health", timeout=1)
            return False
        return True

    eventually(gone, within=5)
    assert int(pid) > 0
