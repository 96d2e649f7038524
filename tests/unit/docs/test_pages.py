"""Links between pages lead somewhere, and the pages name commands that exist."""

import re
import tomllib
from pathlib import Path

import pytest

from issuer.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[3]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob(".github/*.md")]
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
COMMAND = re.compile(r"`claimwright ([a-z]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_links_only_to_files_that_exist(page):
    missing = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_names_only_commands_that_exist(page):
    assert set(COMMAND.findall(page.read_text(encoding="utf-8"))) <= set(COMMANDS)


def test_every_decision_is_in_the_index():
    folder = ROOT / "docs/decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in sorted(folder.glob("0*.md")) if f"({path.name})" not in index] == []


def test_every_dependency_has_its_reason():
    with (ROOT / "pyproject.toml").open("rb") as file:
        listed = tomllib.load(file)["project"]["dependencies"]
    names = [re.split(r"[\[<>=~]", line)[0] for line in listed]
    reasons = (ROOT / "docs/decisions/0002-dependencies.md").read_text(encoding="utf-8")
    assert len(names) > 10
    assert [name for name in names if not re.search(rf"\b{re.escape(name)}\b", reasons)] == []


def test_every_alert_is_explained():
    rules = re.findall(r"- alert: (\w+)", (ROOT / "deploy/prometheus/alerts.yml").read_text(encoding="utf-8"))
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    explained = [
        name
        for row in re.findall(r"^\| (`Claimwright[^|]*) \|", page, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    ]
    assert sorted(explained) == sorted(rules)
