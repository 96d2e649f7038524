"""One process of a role on a SQLite database, however the last one ended."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from issuer.errors import AlreadyRunning, SettingsError
from issuer.rolelock import hold_role

ROOT = Path(__file__).parents[3]
HOLDER = """
import subprocess, sys
from issuer.rolelock import hold_role
with hold_role(sys.argv[1], "daemon"):
    print(subprocess.Popen(["sleep", "60"], close_fds=False).pid, flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(url: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another process that holds the daemon's role, and the pid of a program that it started meanwhile."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, url], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        yield process, child
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
        subprocess.run(["kill", str(child)], check=False)


def test_a_second_process_of_a_role_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.sqlite3"
    with holder(url) as (process, _child):
        with pytest.raises(AlreadyRunning) as refused, hold_role(url, "daemon"):
            pass
        assert f"pid {process.pid}" in refused.value.message
        assert "\n" not in refused.value.message
        with hold_role(url, "api"):
            pass


def test_a_killed_process_lets_go_even_if_its_children_live(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.sqlite3"
    with holder(url) as (process, child):
        process.kill()
        process.wait()
        assert Path(f"/proc/{child}").exists() or sys.platform != "linux"
        with hold_role(url, "daemon"):
            pass


def test_another_way_to_the_same_file_is_the_same_database(tmp_path: Path) -> None:
    (tmp_path / "link.sqlite3").symlink_to(tmp_path / "store.sqlite3")
    with (
        hold_role(f"sqlite:///{tmp_path}/store.sqlite3", "api"),
        pytest.raises(AlreadyRunning),
        hold_role(f"sqlite+aiosqlite:///{tmp_path}/link.sqlite3", "api"),
    ):
        pass


def test_the_role_is_free_again_after_the_block(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.sqlite3"
    for _ in range(2):
        with hold_role(url, "daemon"):
            pass


def test_postgresql_takes_any_number() -> None:
    url = "postgresql://nobody@127.0.0.1/nothing"
    with hold_role(url, "daemon"), hold_role(url, "daemon"):
        pass


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(SettingsError, match="DATABASE_URL"),
        hold_role(f"sqlite:///{tmp_path}/absent/store.sqlite3", "api"),
    ):
        pass
