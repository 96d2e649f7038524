"""The supervisor with real processes: restart, readiness, an orderly and a disorderly end."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from issuer.supervise import Child, ChildFailed, Supervisor, file_exists, http_answers, line_written

ENV = {"PATH": os.environ["PATH"]}
ROOT = Path(__file__).resolve().parents[3]


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until(condition, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        await asyncio.sleep(0.01)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def sleeper(name: str = "sleeper", **more) -> Child:
    return Child(name=name, argv=python("import time; time.sleep(600)"), env=ENV, **more)


async def test_a_killed_child_is_started_again_and_its_new_pid_is_told():
    told: list[dict[str, int]] = []
    async with Supervisor(on_change=told.append) as supervisor:
        first = await supervisor.start(sleeper())
        os.kill(first, signal.SIGKILL)
        await until(lambda: supervisor.pids["sleeper"] != first)
        second = supervisor.pids["sleeper"]
        assert told == [{"sleeper": first}, {"sleeper": second}]
        assert alive(second)
    assert not alive(second)


async def test_the_pause_before_a_restart_grows_when_it_keeps_dying(tmp_path):
    starts = tmp_path / "starts"
    code = f"import time; open({str(starts)!r}, 'a').write(f'{{time.monotonic()}}\\n')"
    async with Supervisor() as supervisor:
        # Ready as soon as it has written, so that its end counts as a death in service.
        await supervisor.start(
            Child(name="dies", argv=python(code + "; time.sleep(0.3)"), env=ENV, ready=file_exists(starts))
        )
        await until(lambda: len(starts.read_text().splitlines()) >= 3)
    first, second, third = (float(line) for line in starts.read_text().splitlines()[:3])
    assert second - first >= 0.2
    assert third - second > second - first


async def test_a_child_that_ends_before_it_is_ready_is_an_error_at_once_that_names_its_log(tmp_path):
    log = tmp_path / "child.log"
    child = Child(
        name="api", argv=python("print('no port'); exit(3)"), env=ENV, log=log, ready=file_exists(tmp_path / "never")
    )
    async with Supervisor() as supervisor:
        with pytest.raises(ChildFailed, match=r"^api ended with exit code 3 before it was ready; see .*child\.log$"):
            await supervisor.start(child)
    assert log.read_text() == "no port\n"


async def test_a_child_that_never_becomes_ready_is_an_error_after_the_time(tmp_path):
    async with Supervisor() as supervisor:
        with pytest.raises(ChildFailed, match=r"was not ready within 0\.2 s"):
            await supervisor.start(sleeper(ready=file_exists(tmp_path / "never")), timeout_seconds=0.2)


async def test_a_program_that_does_not_exist_is_named():
    async with Supervisor() as supervisor:
        with pytest.raises(ChildFailed, match=r"^ghost cannot be started: No such file or directory"):
            await supervisor.start(Child(name="ghost", argv=["/nonexistent/ghost"], env=ENV))


async def test_the_end_of_a_child_that_must_not_end_is_the_end_of_the_whole():
    async with Supervisor() as supervisor:
        other = await supervisor.start(sleeper("other"))
        pid = await supervisor.start(sleeper("chain", restart=False))
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ChildFailed, match=r"^chain ended with SIGKILL"):
            await asyncio.wait_for(supervisor.wait(), 10)
    assert not alive(other)


async def test_ready_by_http_and_by_line(tmp_path):
    log = tmp_path / "http.log"
    code = (
        "import http.server, sys\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200 if self.path == '/ok' else 503); self.end_headers()\n"
        "    def log_message(self, *args): pass\n"
        "server = http.server.HTTPServer(('127.0.0.1', 0), H)\n"
        "print('port', server.server_port, flush=True)\n"
        "server.serve_forever()\n"
    )
    async with Supervisor() as supervisor:
        await supervisor.start(
            Child(name="http", argv=python(code), env=ENV, log=log, ready=line_written(log, "port "))
        )
        port = int(log.read_text().split()[1])
        assert await http_answers(f"http://127.0.0.1:{port}/ok")()
        assert not await http_answers(f"http://127.0.0.1:{port}/no")()
    assert not await http_answers(f"http://127.0.0.1:{port}/ok")()


async def test_a_child_that_ignores_sigterm_and_its_own_child_are_gone_within_ten_seconds(tmp_path):
    pids = tmp_path / "pids"
    code = (
        "import os, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "grandchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(pids)!r} + '.new', 'w').write(f'{{os.getpid()}} {{grandchild.pid}}')\n"
        f"os.rename({str(pids)!r} + '.new', {str(pids)!r})\n"
        "time.sleep(600)\n"
    )
    supervisor = Supervisor()
    await supervisor.start(Child(name="stubborn", argv=python(code), env=ENV, ready=file_exists(pids)))
    family = [int(pid) for pid in pids.read_text().split()]
    assert all(map(alive, family))
    started = time.monotonic()
    await supervisor.stop()
    assert time.monotonic() - started < 10
    await until(lambda: not any(map(alive, family)), 2)


async def test_a_child_sees_only_the_environment_it_was_given(tmp_path, monkeypatch):
    monkeypatch.setenv("CLAIMWRIGHT_SENDER_KEY", "0xnot-for-children")
    log = tmp_path / "env.log"
    child = Child(
        name="env", argv=python("import os, time; print(sorted(os.environ), flush=True); time.sleep(600)"),
        env={**ENV, "MINE": "1"}, log=log, ready=line_written(log, "MINE"),
    )  # fmt: skip
    async with Supervisor() as supervisor:
        await supervisor.start(child)
    assert "CLAIMWRIGHT" not in log.read_text()


SUPERVISING = """
import asyncio, sys
from pathlib import Path
from issuer.supervise import Child, Supervisor, line_written, until_signalled

async def main():
    code = "import time; print('up', flush=True); time.sleep(600)"
    async with Supervisor() as supervisor:
        for name in ("one", "two"):
            log = Path(sys.argv[1]) / name
            argv = [sys.executable, "-c", code]
            await supervisor.start(Child(name=name, argv=argv, env={}, log=log, ready=line_written(log, "up")))
        print(*supervisor.pids.values(), flush=True)
        await supervisor.wait()

asyncio.run(until_signalled(main()))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_nothing_outlives_a_supervisor_that_gets(number, tmp_path):
    argv = [sys.executable, "-c", SUPERVISING, str(tmp_path)]
    process = await asyncio.create_subprocess_exec(*argv, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    children = [int(pid) for pid in (await process.stdout.readline()).split()]
    assert len(children) == 2
    started = time.monotonic()
    process.send_signal(number)
    await until(lambda: not any(map(alive, children)))
    assert await process.wait() == (-signal.SIGKILL if number == signal.SIGKILL else 0)
    assert time.monotonic() - started < 10
