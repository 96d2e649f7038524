"""The emergency stop from the command line, in the words of docs/operations.md."""

import json
import re
import shlex
from pathlib import Path

import pytest

from issuer import migrations
from issuer.cli import run

OPERATIONS = (Path(__file__).resolve().parents[3] / "docs/operations.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def migrated(monkeypatch, tmp_path):
    url = f"sqlite:///{tmp_path / 'store.sqlite3'}"
    migrations.upgrade(url)
    monkeypatch.setenv("DATABASE_URL", url)


def say(capsys, *argv):
    assert run([*argv, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_what_the_page_says_stops_and_lifts(capsys):
    block = re.search(r"```sh stop\n(.*?)```", OPERATIONS, re.DOTALL)
    stop, listed, lift = [shlex.split(line, comments=True)[1:] for line in block[1].splitlines()]
    made = say(capsys, *stop)
    assert (made["chain"], made["reason"]) == ("every chain", "the claim signer may be stolen")
    assert made["by"].startswith("cli:")
    assert [row["id"] for row in say(capsys, *listed)] == [made["id"]]
    lifted = say(capsys, *[made["id"] if word == "STOP_ID" else word for word in lift])
    assert lifted["lift_reason"] == "the key was replaced"
    assert say(capsys, *listed) == []
    assert [row["id"] for row in say(capsys, *listed, "--all")] == [made["id"]]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["stop", "issue", "--reason", ""], "reason: must be 1 to 200 printable characters"),
        (["stop", "issue"], "Missing option '--reason'"),
        (["stop", "lift", "stop_none", "--reason", "over"], "no such stop; `claimwright stop list` shows them"),
    ],
)
def test_what_cannot_be_done_is_one_line(capsys, argv, said):
    assert run(argv) != 0
    assert capsys.readouterr().err == f"claimwright: {said}\n"


def test_a_stop_is_lifted_once(capsys):
    made = say(capsys, "stop", "issue", "--reason", "x", "--chain", "137")
    assert made["chain"] == 137
    say(capsys, "stop", "lift", made["id"], "--reason", "over")
    assert run(["stop", "lift", made["id"], "--reason", "over"]) == 1
    assert "was lifted before, by cli:" in capsys.readouterr().err
