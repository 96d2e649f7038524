"""The wheel is the two packages and all they need at run time: no compiler, no checkout, no configuration file."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (file,) = folder.glob("claimwright-*.whl")
    return file


def test_it_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"api", "issuer"}
    for needed in (
        "issuer/chain/artifacts/ClaimIssuer.json",
        "issuer/migrations/env.py",
        "issuer/py.typed",
    ):
        assert needed in names
    assert any(name.startswith("issuer/migrations/versions/v0001") for name in names)


def test_it_migrates_a_store_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(site),
        "DATABASE_URL": f"sqlite:///{tmp_path / 'store.sqlite3'}",
    }
    program = "import issuer, sys; assert issuer.__file__.startswith(sys.argv[1]); from issuer.cli import main; "
    run = subprocess.run(
        [sys.executable, "-c", program + "sys.argv = ['claimwright', 'migrate']; main()", str(site)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "store.sqlite3").stat().st_size > 0
