"""docs/reliability.md lists every failure case with the tests that show it; the marker `failure` says the same."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CASES = [f"F{number:02}" for number in range(1, 26)]
ROW = re.compile(r"^\| (F\d\d) \|(.*)\|$", re.MULTILINE)
TEST = re.compile(r"`([a-z_0-9/]+\.py)::(test_\w+)`")


def listed() -> dict[str, set[tuple[str, str]]]:
    page = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    return {match[1]: set(TEST.findall(match[2])) for match in ROW.finditer(page)}


def marked() -> dict[str, set[tuple[str, str]]]:
    """(file, test) of every test that carries the marker, by case."""
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for case in _cases(node):
                    found[case].add((str(path.relative_to(ROOT / "tests")), node.name))
    return found


def _cases(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    calls = [mark for mark in node.decorator_list if isinstance(mark, ast.Call)]
    wanted = [mark for mark in calls if ast.unparse(mark.func) == "pytest.mark.failure"]
    return [str(argument.value) for mark in wanted for argument in mark.args if isinstance(argument, ast.Constant)]


LISTED, MARKED = listed(), marked()


def test_the_page_has_a_row_for_every_case():
    assert sorted(LISTED) == CASES


@pytest.mark.parametrize("case", CASES)
def test_the_page_names_exactly_the_tests_that_carry_the_case(case):
    assert LISTED[case] == MARKED[case]
    assert LISTED[case], "no case goes without a test"


def test_no_test_carries_a_case_that_there_is_not():
    assert set(MARKED) <= set(CASES)
