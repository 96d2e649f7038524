"""No chain outlives the run that started it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.anvil import start_anvil
from tests.waiting import block_until

STARTER = """
import sys, time
from scripts.anvil import start_anvil
print(start_anvil().pid, flush=True)
time.sleep(60)
"""


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_stop_ends_it_and_may_be_called_twice():
    anvil = start_anvil()
    assert alive(anvil.pid)
    anvil.stop()
    anvil.stop()
    assert not alive(anvil.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_it_dies_with_a_parent_that_is_killed():
    root = Path(__file__).parents[3]
    with subprocess.Popen([sys.executable, "-c", STARTER], stdout=subprocess.PIPE, text=True, cwd=root) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        os.kill(parent.pid, signal.SIGKILL)
    block_until(lambda: not alive(pid))


def test_what_anvil_refuses_is_told():
    with pytest.raises(RuntimeError, match="anvil ended at once"):
        start_anvil(extra=["--no-such-option"])
