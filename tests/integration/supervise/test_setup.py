"""scripts/setup against recorded stand-ins for python3, node and npm: no network, every way it can go wrong."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import block_until

ROOT = Path(__file__).resolve().parents[3]

PYTHON = f"""#!/usr/bin/env bash
echo "python $*" >>"$CALLS"
case "$*" in
  --version) echo "Python 3.11.0" ;;
  "-m venv --clear .venv")
    mkdir -p .venv/bin; cp "$0" .venv/bin/python; echo "version = 3.11.0" >.venv/pyvenv.cfg ;;
  "-m pip install"*) while [[ -e "$CALLS.hold" ]]; do sleep 0.01; done; echo "Collecting something" ;;
  "-m pip --version") ;;
  *) exec "{sys.executable}" "$@" ;;
esac
"""
NODE = """#!/usr/bin/env bash
echo "${NODE_VERSION:-v20.11.0}"
"""
NPM = """#!/usr/bin/env bash
echo "npm $*" >>"$CALLS"
[[ -z "${NPM_FAILS:-}" ]] || exit 1
mkdir -p node_modules
"""


class Checkout:
    """A checkout with a space in its path, and nothing on PATH but the stand-ins and the system's own tools."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a checkout"
        self.bin = folder / "bin"
        self.calls = folder / "calls"
        (self.root / "scripts").mkdir(parents=True)
        self.bin.mkdir()
        self.calls.touch()
        shutil.copy(ROOT / "scripts/setup", self.root / "scripts/setup")
        for name in ("requirements.lock", "pyproject.toml", "package.json", "package-lock.json"):
            (self.root / name).write_text(f"{name}==1\n")
        for name, text in (("python3", PYTHON), ("node", NODE), ("npm", NPM)):
            self.stand_in(name, text)
        tools = "bash awk cat cp dirname env flock grep id mkdir mv rm sed sha256sum sleep uname".split()  # noqa: SIM905
        for tool in tools:
            (self.bin / tool).symlink_to(shutil.which(tool) or tool)

    def stand_in(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def start(self, *argv: str, **env: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [self.root / "scripts/setup", *argv],
            env={"PATH": str(self.bin), "HOME": str(self.root), "CALLS": str(self.calls), **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *argv: str, **env: str) -> tuple[int, str]:
        """Exit code and what it told the person; nothing may go to stdout, which belongs to whoever called it."""
        with self.start(*argv, **env) as process:
            out, err = process.communicate(timeout=30)
        assert out == ""
        return process.returncode, err

    def called(self, word: str) -> int:
        return sum(word in line for line in self.calls.read_text().splitlines())


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    return Checkout(tmp_path)


def test_it_installs_from_the_lock_files_and_a_second_run_does_nothing(checkout):
    code, told = checkout.run()
    assert code == 0
    assert "setup: installing 1 Python packages into .venv" in told
    assert checkout.called("--require-hashes -r requirements.lock") == 1
    assert checkout.called("--no-deps --no-build-isolation -e .") == 1
    assert checkout.called("npm ci --ignore-scripts") == 1
    before = checkout.calls.read_text()
    assert checkout.run() == (0, "")
    assert checkout.calls.read_text() == before


@pytest.mark.parametrize(
    ("name", "again"), [("requirements.lock", "pip"), ("pyproject.toml", "pip"), ("package-lock.json", "npm")]
)
def test_a_changed_lock_file_installs_its_half_again(checkout, name, again):
    checkout.run()
    pip, npm = checkout.called("--require-hashes"), checkout.called("npm ci")
    (checkout.root / name).write_text("changed==2\n")
    assert checkout.run()[0] == 0
    assert checkout.called("--require-hashes") - pip == (again == "pip")
    assert checkout.called("npm ci") - npm == (again == "npm")
    assert checkout.called("-m venv") == 1


def test_two_at_once_install_once(checkout):
    hold = checkout.calls.with_name("calls.hold")
    hold.touch()
    with checkout.start() as first:
        block_until(lambda: checkout.called("--require-hashes") == 1)
        with checkout.start() as second:
            assert second.stderr.readline() == "setup: another set-up is running here; waiting for it\n"
            hold.unlink()
            assert second.wait(30) == 0
        assert first.wait(30) == 0
    assert checkout.called("--require-hashes") == checkout.called("npm ci") == 1


def test_an_interrupted_one_is_done_again(checkout):
    hold = checkout.calls.with_name("calls.hold")
    hold.touch()
    with checkout.start() as process:
        block_until(lambda: checkout.called("--require-hashes") == 1)
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(30) != 0
    hold.unlink()
    assert not (checkout.root / ".venv/.stamp").exists()
    assert checkout.run()[0] == 0
    assert checkout.called("--require-hashes") == 2


def test_a_failing_npm_fails_the_whole_and_leaves_no_stamp(checkout):
    code, told = checkout.run(NPM_FAILS="1")
    assert code == 1
    assert told.splitlines()[-1] == "setup: npm could not install from package-lock.json; the lines above say why"
    assert not (checkout.root / "node_modules/.stamp").exists()
    assert checkout.run()[0] == 0
    assert checkout.called("--require-hashes") == 1


@pytest.mark.parametrize(
    ("missing", "named"), [("node", "Node 20 or newer"), ("npm", "npm"), ("python3", "Python 3.11")]
)
def test_a_missing_prerequisite_is_named_with_its_remedy(checkout, missing, named):
    (checkout.bin / missing).unlink()
    code, told = checkout.run()
    assert code == 1
    last = told.splitlines()[-1]
    assert last.startswith(f"setup: {named}")
    assert "install it" in last or "comes with" in last


def test_an_old_node_is_named_with_its_version(checkout):
    code, told = checkout.run(NODE_VERSION="v18.19.0")
    assert code == 1
    assert told.splitlines()[-1].startswith("setup: Node v18.19.0 is too old; install 20 or newer")


def test_an_old_python_is_not_taken(checkout):
    checkout.stand_in("python3", "#!/usr/bin/env bash\nexit 1\n")
    checkout.stand_in("python3.12", PYTHON)
    assert checkout.run()[0] == 0
    assert checkout.called("-m venv") == 1


def test_an_unknown_option_is_refused(checkout):
    assert checkout.run("--fast") == (1, "setup: unknown option --fast; there is only --browser\n")


def test_without_root_a_missing_browser_is_named_with_its_remedy(checkout):
    checkout.run()
    (checkout.bin / "id").unlink()
    checkout.stand_in("id", "#!/usr/bin/env bash\necho 1000\n")
    code, told = checkout.run("--browser")
    assert code == 1
    assert "apt-get install chromium" in told
    assert checkout.run("--browser", CLAIMWRIGHT_SKIP_CHROMIUM="1") == (0, "")
