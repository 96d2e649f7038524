"""The page on the contracts: its numbers are those that were measured, its tests are there."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/contracts.md").read_text(encoding="utf-8")
GAS_ROW = re.compile(r"^\| (.+) \| ([\d,]+) \|$", re.MULTILINE)
REQUIREMENT = re.compile(r"^\| +(\d+) \| .+ \| (`.+`) \|$", re.MULTILINE)


def test_the_gas_is_what_the_tests_measured():
    measured = json.loads((ROOT / "snapshots/gas.json").read_text(encoding="utf-8"))
    assert {name: number.replace(",", "") for name, number in GAS_ROW.findall(PAGE)} == measured


def test_each_of_the_thirty_requirements_names_tests_that_exist():
    requirements = dict(REQUIREMENT.findall(PAGE))
    assert [int(number) for number in requirements] == list(range(1, 31))
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests/contracts").rglob("*.sol"))
    named = {name for names in requirements.values() for name in re.findall(r"`(\w+)`", names)}
    assert sorted(name for name in named if f"function {name}(" not in sources) == []
