"""The command line: lazy, and every failure one line that says what to do."""

import json
import os
import secrets
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from issuer import migrations
from issuer.cli import COMMANDS, run

ROOT = Path(__file__).resolve().parents[3]
PASSWORD = secrets.token_hex(12)


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """No variable of ours from outside, and a directory of its own."""
    for name in list(os.environ):
        if name.startswith(("CLAIMWRIGHT_", "PERSONA_", "DATABASE_URL")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def migrated(monkeypatch, tmp_path):
    url = f"sqlite:///{tmp_path / 'store.sqlite3'}"
    migrations.upgrade(url)
    monkeypatch.setenv("DATABASE_URL", url)


def one_line(capsys, argv: list[str], code: int) -> str:
    assert run(argv) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert told.err.startswith("claimwright: ")
    return told.err.strip().removeprefix("claimwright: ")


FAILURES = [
    (["frobnicate"], 2, "No such command 'frobnicate'"),
    (["key", "new"], 2, "Missing argument 'NAME'"),
    (["key", "new", "x"], 2, "say what the key may do"),
    (["key", "new", "x", "--admin", "--scope", "cases:read"], 2, "say what the key may do"),
    (["case", "list", "--status", "nice"], 2, "Invalid value for '--status'"),
    (["case", "list", "--limit", "0"], 2, "Invalid value for '--limit'"),
    (["api"], 2, "CLAIMWRIGHT_CHAIN_ID: is required and not set"),
    (["daemon"], 2, "CLAIMWRIGHT_CHAIN_ID: is required and not set"),
    (["serve"], 2, "CLAIMWRIGHT_CHAIN_ID: is required and not set"),
    (["deploy"], 2, "CLAIMWRIGHT_RPC_URL: is required and not set"),
    (["case", "list"], 2, "DATABASE_URL: the store is not migrated; run `claimwright migrate`"),
    (["claim", "revoke", "clm_x", "--reason", ""], 1, "reason: must be 1 to 200 printable characters"),
]


@pytest.mark.parametrize(("argv", "code", "line"), FAILURES)
def test_a_failure_is_one_line_and_an_exit_code(capsys, argv, code, line):
    assert one_line(capsys, argv, code).startswith(line)


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["case", "show", "case_x"], "no such case"),
        (["claim", "show", "clm_x"], "no such claim"),
        (["claim", "revoke", "clm_x", "--reason", "fraud"], "no such claim"),
        (["event", "replay", "evt_x"], "no such event"),
        (["lane", "pause", "lane_x"], "no such lane"),
        (["key", "revoke", "key_x"], "no such key"),
        (["key", "rotate", "key_x"], "no such key"),
    ],
)
@pytest.mark.usefixtures("migrated")
def test_what_does_not_exist_is_said_so(capsys, argv, line):
    assert one_line(capsys, argv, 1).startswith(line)


def test_an_error_that_is_not_ours_shows_its_place_and_nothing_of_its_text(capsys, monkeypatch):
    def broken(_url: str) -> None:
        raise ValueError("canary")

    monkeypatch.setattr(migrations, "upgrade", broken)
    line = one_line(capsys, ["migrate"], 1)
    assert line.startswith("internal error: ValueError in cli/test_cli.py:")
    assert "canary" not in line


def test_an_error_of_ours_is_found_inside_a_task_groups(capsys, monkeypatch):
    from issuer.errors import WrongChain

    def broken(_url: str) -> None:
        raise ExceptionGroup("several", [ValueError("x"), ExceptionGroup("inner", [WrongChain("another chain")])])

    monkeypatch.setattr(migrations, "upgrade", broken)
    assert one_line(capsys, ["migrate"], 1) == "another chain"


def test_more_than_one_worker_needs_postgresql(capsys, monkeypatch):
    given = {
        "CLAIMWRIGHT_CHAIN_ID": "31337", "PERSONA_API_KEY": secrets.token_hex(20), "PERSONA_TEMPLATE_ID": "itmpl_1",
        "PERSONA_WEBHOOK_SECRET": secrets.token_hex(20), "CLAIMWRIGHT_API_WORKERS": "2",
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert one_line(capsys, ["api"], 2) == "CLAIMWRIGHT_API_WORKERS: must be 1 on SQLite; use PostgreSQL for more"


def test_no_command_shows_the_help(capsys):
    assert run([]) == 2
    assert "Commands:" in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(capsys, name):
    assert run([name, "--help"]) == 0
    assert f"Usage: claimwright {name}" in capsys.readouterr().out


def loaded_by(code: str) -> set[str]:
    program = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split("\n")[-2].split())


def test_help_loads_nothing_heavy():
    modules = loaded_by("from issuer.cli import run\nrun(['--help'])")
    heavy = {"sqlalchemy", "httpx", "structlog", "granian", "eth_account", "eth_abi", "cryptography", "asyncio"}
    assert heavy & modules == set()


def test_the_api_process_never_loads_what_could_sign():
    modules = loaded_by("import issuer.commands.api, api.app")
    forbidden = ("eth_account", "coincurve", "issuer.chain.signer", "issuer.chain.lanes", "issuer.claims.work")
    assert [name for name in modules if name.startswith(forbidden)] == []


def test_a_daemon_starts_without_what_only_some_ever_need():
    modules = loaded_by("import issuer.commands.daemon, issuer.daemon")
    assert {"alembic", "boto3", "eth_abi", "eth_account", "eth_utils", "litestar", "pydantic"} & modules == set()


@pytest.mark.usefixtures("migrated")
class TestKeys:
    def new(self, capsys, *more: str) -> dict:
        assert run(["key", "new", "dapp", "--json", *more]) == 0
        return json.loads(capsys.readouterr().out)

    def test_a_new_key_is_shown_once(self, capsys):
        made = self.new(capsys, "--scope", "cases:read", "--scope", "cases:write")
        assert made["key"].startswith("cwk_")
        assert made["scopes"] == ["cases:read", "cases:write"]
        assert run(["key", "list", "--json"]) == 0
        (listed,) = json.loads(capsys.readouterr().out)
        assert listed == {name: value for name, value in made.items() if name != "key"}

    def test_rotation_makes_another_and_revokes_the_old_one(self, capsys):
        old = self.new(capsys, "--admin")
        assert run(["key", "rotate", old["id"], "--json"]) == 0
        new = json.loads(capsys.readouterr().out)
        assert new["key"] != old["key"]
        assert new["scopes"] == ["*"]
        assert run(["key", "list", "--json"]) == 0
        revoked = {row["id"]: row["revoked_at"] for row in json.loads(capsys.readouterr().out)}
        assert revoked[old["id"]] is not None
        assert revoked[new["id"]] is None

    def test_a_person_gets_a_table(self, capsys):
        made = self.new(capsys, "--admin")
        assert run(["key", "list"]) == 0
        heading, row = capsys.readouterr().out.splitlines()
        assert heading.split() == ["id", "name", "scopes", "created_at", "revoked_at"]
        assert row.split()[:3] == [made["id"], "dapp", "*"]


@pytest.mark.usefixtures("migrated")
@pytest.mark.parametrize("noun", ["case", "claim", "event", "lane", "key"])
def test_an_empty_list_is_an_empty_list(capsys, noun):
    assert run([noun, "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert run([noun, "list"]) == 0
    assert capsys.readouterr().out.startswith("no ")


def test_migrating_twice_is_harmless(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'new.sqlite3'}")
    for _ in range(2):
        assert run(["migrate"]) == 0
        assert capsys.readouterr().out == "the store is at the newest version\n"


class TestKeystore:
    def test_it_is_made_private_and_names_its_address(self, capsys, monkeypatch, tmp_path):
        monkeypatch.setenv("CLAIMWRIGHT_KEYSTORE_PASSWORD", PASSWORD)
        path = tmp_path / "sender.json"
        assert run(["keystore", "new", str(path), "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert told["address"][2:].lower() == json.loads(path.read_text())["address"].removeprefix("0x").lower()
        assert one_line(capsys, ["keystore", "new", str(path)], 1).startswith(f"{path} exists")

    def test_a_short_password_is_refused(self, capsys, monkeypatch, tmp_path):
        monkeypatch.setenv("CLAIMWRIGHT_KEYSTORE_PASSWORD", "short")
        assert "shorter than" in one_line(capsys, ["keystore", "new", str(tmp_path / "x.json")], 2)


def test_doctor_names_what_is_missing_one_line_each(capsys):
    assert run(["doctor", "--json"]) == 1
    rows = json.loads(capsys.readouterr().out)
    assert [(row["check"], row["result"]) for row in rows] == [
        ("api settings", "wrong"), ("store", "wrong"), ("daemon settings", "wrong"),
    ]  # fmt: skip
    assert rows[1]["what"] == "not at the newest version; run `claimwright migrate`"
