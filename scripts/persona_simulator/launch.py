"""Start a simulator as a child process: for the demo, the dev stack, tests and benchmarks.

with launch.start(webhook_url=url) as persona:
    httpx.get(persona.api + "/inquiries", headers=persona.headers)
"""

from __future__ import annotations

import json
import os
import secrets
import select
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE_ID = "itmpl_6sVmH1cxngytfoAhLxYmWlB40Yaw"
"""The template that the invented fixtures use."""
ENVIRONMENT_ID = "env_3kSimulatorSandbox0Ha9Zp2LqXw"
START_WITHIN = 20.0


class NotStarted(RuntimeError):
    """The simulator refused to start or did not answer in time; the text says why."""


@dataclass(slots=True)
class Running:
    """A simulator that is up. Use it as a context manager, or call `stop`."""

    url: str
    pid: int
    api_key: str
    webhook_secret: str
    template_id: str
    environment_id: str
    process: subprocess.Popen[bytes]

    @property
    def api(self) -> str:
        """The base URL for ``PERSONA_API_BASE_URL``."""
        return f"{self.url}/api/v1"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}", "Persona-Version": "2025-12-08"}

    @property
    def control(self) -> dict[str, str]:
        """The header that ``/_sim`` asks for."""
        return {"X-Simulator-Key": self.api_key}

    def stop(self, within: float = 5.0) -> None:
        """End the process: SIGTERM, then SIGKILL after `within` seconds."""
        self.process.terminate()
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def start(
    *,
    webhook_url: str | None = None,
    port: int = 0,
    environment: str = "test",
    api_key: str | None = None,
    webhook_secret: str | None = None,
    template_id: str = TEMPLATE_ID,
    environment_id: str = ENVIRONMENT_ID,
    webhook_events: str | None = None,
    redirect_hosts: str | None = None,
    delivery_timeout: float | None = None,
    extra_env: dict[str, str] | None = None,
) -> Running:
    """Start a simulator on a free port and wait until it serves.

    Keys and secrets are random unless given. `template_id` may list several, separated by
    commas; the first is the one reported back. The child ends when the calling thread's
    process does. Raises `NotStarted`.
    """
    api_key = api_key or f"persona_sandbox_{secrets.token_hex(20)}"
    webhook_secret = webhook_secret or f"wbhsec_{uuid.uuid4()}"
    told = {
        "CLAIMWRIGHT_ENV": environment,
        "PERSONA_SIM_API_KEY": api_key,
        "PERSONA_SIM_WEBHOOK_SECRET": webhook_secret,
        "PERSONA_SIM_TEMPLATE_ID": template_id,
        "PERSONA_SIM_ENVIRONMENT_ID": environment_id,
        "PERSONA_SIM_WEBHOOK_URL": webhook_url,
        "PERSONA_SIM_WEBHOOK_EVENTS": webhook_events,
        "PERSONA_SIM_REDIRECT_HOSTS": redirect_hosts,
        "PERSONA_SIM_DELIVERY_TIMEOUT": str(delivery_timeout) if delivery_timeout else None,
    }
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PERSONA_SIM_")}
    given = {name: value for name, value in told.items() if value is not None}
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.persona_simulator", "--port", str(port)],
        cwd=ROOT,
        env=inherited | given | (extra_env or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    try:
        line = _first_line(process)
        ready = json.loads(line)
    except BaseException:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        raise
    return Running(
        url=ready["url"],
        pid=ready["pid"],
        api_key=api_key,
        webhook_secret=webhook_secret,
        template_id=template_id.split(",")[0],
        environment_id=environment_id,
        process=process,
    )


def _first_line(process: subprocess.Popen[bytes]) -> bytes:
    if process.stdout is None:
        raise NotStarted("the simulator has no output to read")
    deadline = time.monotonic() + START_WITHIN
    while time.monotonic() < deadline:
        if select.select([process.stdout], [], [], 0.1)[0]:
            line = process.stdout.readline()
            if line:
                return line
            raise NotStarted(f"the Persona simulator ended with code {process.wait()}")
    raise NotStarted(f"the Persona simulator did not start within {START_WITHIN:.0f} s")
