"""scripts/audit compares what slither finds with what was reviewed."""

import json

import pytest

from scripts.audit import BASELINE, compare, covered, main

REVIEWED = {"style": {"assembly": "reviewed"}, "findings": {"unused-return Book.add(uint256)": "reviewed"}}


def finding(check, impact, name="add(uint256)", contract="Book"):
    fields = {"signature": name, "parent": {"type": "contract", "name": contract}}
    element = {"type": "function", "name": name, "type_specific_fields": fields}
    return {"check": check, "impact": impact, "elements": [element]}


KNOWN = [finding("assembly", "Informational", "one()"), finding("unused-return", "Medium")]


def test_what_was_reviewed_passes():
    assert compare(KNOWN, REVIEWED).problems == []


@pytest.mark.parametrize(
    "new",
    [
        finding("unused-return", "Medium", "remove(uint256)"),
        finding("unused-return", "Medium", contract="Shelf"),
        finding("reentrancy-eth", "High"),
        finding("naming-convention", "Informational"),
    ],
)
def test_what_was_not_reviewed_fails(new):
    result = compare([*KNOWN, new], REVIEWED)
    assert len(result.problems) == 1
    assert new["check"] in result.problems[0]


def test_style_is_not_a_way_round_for_more_than_style():
    assert compare([finding("assembly", "High")], REVIEWED).problems == ["High: assembly Book.add(uint256)"]


def test_what_is_gone_is_named():
    assert "unused-return Book.add(uint256)" in compare(KNOWN[:1], REVIEWED).said
    assert "assembly" in compare(KNOWN[1:], REVIEWED).said


def test_a_variable_is_named_with_its_function_and_contract():
    found = finding("uninitialized-local", "Medium")
    (function,) = found["elements"]
    found["elements"] = [{"type": "variable", "name": "wide", "type_specific_fields": {"parent": function}}]
    assert compare([found], REVIEWED).problems == ["Medium: uninitialized-local Book.add(uint256).wide"]


def test_every_entry_of_the_baseline_has_its_reason():
    baseline = json.loads(BASELINE.read_text(encoding="utf-8"))
    assert set(baseline) == {"style", "findings"}
    assert all(len(reason) > 20 for part in baseline.values() for reason in part.values())


SOURCE = """function a() {
    x = 1;
    assembly ("memory-safe") {
        if y { mstore(0, 1) }
    }
}"""


def report(*lines, called=1):
    body = "\n".join(["SF:contracts/A.sol", f"FNDA:{called},A.a", *lines])
    return f"TN:\n{body}\nend_of_record\nTN:\nSF:tests/B.sol\nDA:1,0\nend_of_record\n"


def test_lines_in_assembly_do_not_count():
    result = covered(report("DA:1,2", "DA:2,2", "DA:4,0", "DA:5,0"), {"contracts/A.sol": SOURCE})
    assert result.problems == []
    assert "2 of 2 lines in 1 files" in result.said


def test_other_lines_do():
    (problem,) = covered(report("DA:1,0", "DA:2,0"), {"contracts/A.sol": SOURCE}).problems
    assert problem.startswith("contracts/A.sol")
    assert problem.endswith("not 1, 2")


def test_every_function_is_called():
    (problem,) = covered(report("DA:1,1", called=0), {"contracts/A.sol": SOURCE}).problems
    assert "A.a was never called" in problem


def test_a_report_without_contracts_is_none():
    assert covered("", {}).problems


@pytest.mark.parametrize("arguments", [["nonsense"], ["--runs", "0"], ["--runs", "many"]])
def test_a_wrong_argument_is_named(arguments, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["scripts/audit", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err
