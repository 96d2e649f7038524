"""What scripts/audit does. Each check has an environment and an output of its own under .claimwright/audit/.

slither and halmos pin different versions of what they share, so each has a virtual environment, made from its lock
file. Every check writes what it said to a log there; the summary names the log of what failed.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".claimwright" / "audit"
BASELINE = ROOT / "scripts" / "slither-baseline.json"
LINES_FLOOR = 95.0  # per cent of each file under contracts/
_CONTRACT = re.compile(r"^SF:(contracts/\S+)$", re.MULTILINE)
_TOTAL = re.compile(r"(\d+) tests passed, (\d+) failed")
_PROVED = re.compile(r"^Symbolic test result: (\d+) passed; (\d+) failed", re.MULTILINE)


@dataclass(frozen=True)
class Result:
    """What one check found. `problems` is empty when it passed."""

    said: str
    problems: list[str]


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/audit", description="The long checks.")
    parser.add_argument("checks", nargs="*", metavar="CHECK", help=f"of {', '.join(CHECKS)}; all if none is named")
    parser.add_argument("--runs", type=int, help="of each fuzz test (default: as foundry.toml's profile intense says)")
    args = parser.parse_args()
    if unknown := set(args.checks) - set(CHECKS):
        parser.error(f"there is no check {', '.join(sorted(unknown))}; there are {', '.join(CHECKS)}")
    if args.runs is not None and args.runs < 1:
        parser.error("--runs must be at least 1")
    HOME.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in args.checks or CHECKS:
        started = time.monotonic()
        print(f"audit: {name} ...", file=sys.stderr, flush=True)
        result = CHECKS[name](args.runs)
        verdict = "FAILED" if result.problems else "ok    "
        print(f"{verdict}  {name:9} {result.said} ({time.monotonic() - started:.0f} s)", flush=True)
        for problem in result.problems:
            print(f"        {problem}")
        if result.problems:
            failed.append(name)
    if failed:
        print(f"audit: FAILED: {', '.join(failed)}; see {HOME.relative_to(ROOT)}/*.log")
    return 1 if failed else 0


def slither(_: int | None) -> Result:
    tool, report = _tool("slither"), HOME / "slither.json"
    report.unlink(missing_ok=True)
    paths = "node_modules|tests/"
    _run("slither", [tool, ".", "--filter-paths", paths, "--json", str(report)], _forge_environment("slither"))
    if not report.exists():
        return Result("gave no report", ["slither did not finish"])
    document = json.loads(report.read_text(encoding="utf-8"))
    if not document["success"]:
        return Result("gave no report", [str(document["error"])])
    baseline = json.loads(BASELINE.read_text(encoding="utf-8"))
    return compare(document["results"].get("detectors", []), baseline)


def compare(found: Sequence[dict[str, Any]], baseline: dict[str, dict[str, str]]) -> Result:
    """What slither found beside what was reviewed: whole detectors for style, single findings for all else."""
    style = {each["check"] for each in found if each["impact"] in ("Informational", "Optimization")}
    accepted = style & baseline["style"].keys()
    others = {f"{each['check']} {_where(each)}": each["impact"] for each in found if each["check"] not in accepted}
    new = sorted(others.keys() - baseline["findings"].keys())
    gone = (baseline["findings"].keys() - others.keys()) | (baseline["style"].keys() - style)
    said = f"{len(others) - len(new)} reviewed findings, {len(new)} new"
    if gone:
        said += f"; no longer found, to be struck from the baseline: {', '.join(sorted(gone))}"
    return Result(said, [f"{others[name]}: {name}" for name in new])


def _where(finding: dict[str, Any]) -> str:
    """Contract, function and variable, without line numbers, so that it survives edits elsewhere."""
    parts: list[str] = []
    element = finding["elements"][0] if finding["elements"] else {}
    while element.get("type") in ("contract", "function", "variable", "node", "event", "struct"):
        fields = element.get("type_specific_fields", {})
        if element["type"] != "node":  # a statement is named by its text, which may be long
            parts.insert(0, fields.get("signature", element["name"]))
        element = fields.get("parent", {})
    return ".".join(parts) or "-"


def halmos(_: int | None) -> Result:
    out = (HOME / "halmos-out").relative_to(ROOT)
    patience = ["--solver-timeout-assertion", "300000"]  # ms; on a machine that is busy with other things
    command = [_tool("halmos"), "--function", "check_", "--forge-build-out", str(out), "--solver", "z3", *patience]
    code, said = _run("halmos", command, {**_forge_environment("halmos"), "FOUNDRY_TEST": "tests/halmos"})
    results = [(int(passed), int(failed)) for passed, failed in _PROVED.findall(said)]
    proved, refuted = sum(passed for passed, _ in results), sum(failed for _, failed in results)
    problems = [line for line in said.splitlines() if re.match(r"\S*\[(FAIL|ERROR|TIMEOUT)\]", line)]
    if not proved or (code != 0 and not problems):
        problems.append(f"halmos ended with exit code {code}")
    return Result(f"{proved} rules proved, {refuted} not", problems)


def coverage(_: int | None) -> Result:
    report = HOME / "coverage.lcov"
    report.unlink(missing_ok=True)
    # The contracts have more local variables than the older code generator has room for: it is the newer one's report.
    # Tests may run out of gas without the optimiser, so their verdict is left to `fuzz`; here only lines count.
    plain = {"FOUNDRY_ADDITIONAL_COMPILER_PROFILES": "[]", "FOUNDRY_COMPILATION_RESTRICTIONS": "[]"}
    command = ["forge", "coverage", "--ir-minimum", "--report", "lcov", "--report-file", str(report)]
    _run("coverage", command, {**_forge_environment("coverage"), **plain})
    if not report.exists():
        return Result("gave no report", ["forge coverage wrote no file"])
    sources = {path: (ROOT / path).read_text(encoding="utf-8") for path in _CONTRACT.findall(report.read_text())}
    return covered(report.read_text(encoding="utf-8"), sources)


def covered(report: str, sources: dict[str, str]) -> Result:
    """What an lcov report says of the files in `sources` (path > text): each function was called, and enough lines ran.

    The newer code generator keeps no place for what stands in assembly: those lines do not count, their functions do.
    """
    total, ran, problems = 0, 0, []
    for record in report.split("end_of_record"):
        found = _CONTRACT.search(record)
        if found is None or found[1] not in sources:
            continue
        path, blank = found[1], _assembly(sources[found[1]])
        lines = {int(number): int(hits) for number, hits in re.findall(r"^DA:(\d+),(\d+)", record, re.MULTILINE)}
        counted = {number for number in lines if number not in blank}
        missed = sorted(number for number in counted if not lines[number])
        total, ran = total + len(counted), ran + len(counted) - len(missed)
        if len(missed) > max(
            1, (100 - LINES_FLOOR) / 100 * len(counted)
        ):  # one in a short file may be the report's fault
            problems.append(f"{path}: fewer than {LINES_FLOOR}% of its lines ran; not {', '.join(map(str, missed))}")
        problems += [f"{path}: {name} was never called" for name in re.findall(r"^FNDA:0,(.+)$", record, re.MULTILINE)]
    if not total:
        return Result("gave no report", ["the report names no contract"])
    return Result(f"{ran} of {total} lines in {len(sources)} files", problems)


def _assembly(source: str) -> set[int]:
    """The numbers of the lines that stand in an assembly block, its first and last included."""
    inside: set[int] = set()
    for start in re.finditer(r"\bassembly\b[^{;]*\{", source):
        depth, end = 1, start.end()
        while depth and end < len(source):
            depth += {"{": 1, "}": -1}.get(source[end], 0)
            end += 1
        inside |= set(range(source.count("\n", 0, start.start()) + 1, source.count("\n", 0, end) + 2))
    return inside


def fuzz(runs: int | None) -> Result:
    """Every test of forge by the profile intense: fuzz tests and campaigns of the invariants many times as long."""
    longer = {"FOUNDRY_PROFILE": "intense"}
    if runs is not None:
        longer |= {"FOUNDRY_FUZZ_RUNS": str(runs), "FOUNDRY_INVARIANT_RUNS": str(max(1, runs // 50))}
    code, said = _run("fuzz", ["forge", "test"], {**_forge_environment("fuzz"), **longer})
    total = _TOTAL.search(said)
    problems = sorted({line for line in said.splitlines() if line.startswith("[FAIL")})
    if code != 0 and not problems:
        problems.append(f"forge ended with exit code {code}")
    length = "as the profile intense says" if runs is None else f"{runs} runs of each fuzz test"
    return Result(f"{total[1] if total else 'no'} tests passed, {length}", problems)


def deploy(_: int | None) -> Result:
    """Linted, not run: neither an image is built nor a manifest applied."""
    python = str(Path(_tool("deploy", "hadolint")).parent / "python")
    code, said = _run("deploy", [python, "-m", "scripts.audit_deploy"], dict(os.environ))
    problems = [line.removeprefix("problem: ") for line in said.splitlines() if line.startswith("problem: ")]
    if code != 0 and not problems:
        problems.append(f"it ended with exit code {code}")
    return Result("Dockerfile, compose file and manifests linted", problems)


CHECKS: dict[str, Callable[[int | None], Result]] = {
    "slither": slither,
    "halmos": halmos,
    "coverage": coverage,
    "fuzz": fuzz,
    "deploy": deploy,
}


def _run(name: str, command: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """Exit code and everything it said, which also goes to the log."""
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout.decode(errors="replace"))
    (HOME / f"{name}.log").write_text(said, encoding="utf-8")
    return done.returncode, said


def _forge_environment(name: str) -> dict[str, str]:
    """forge on the path, with a build of its own, so that a developer's is not thrown away."""
    forge = next(iter(sorted(ROOT.glob("node_modules/@foundry-rs/forge-*/bin/forge"))), None)
    if forge is None:
        raise SystemExit("audit: forge is not installed for this platform; run scripts/setup")
    build = HOME.relative_to(ROOT)
    return {
        **os.environ,
        "PATH": f"{forge.parent}{os.pathsep}{os.environ['PATH']}",
        "FOUNDRY_OUT": f"{build}/{name}-out",
        "FOUNDRY_CACHE_PATH": f"{build}/{name}-cache",
        "FOUNDRY_SNAPSHOTS": f"{build}/{name}-snapshots",  # gas of another build is not what is kept in snapshots/
        "FOUNDRY_FS_PERMISSIONS": '[{access="read",path="./"}]',
        "NO_COLOR": "1",
    }


def _tool(name: str, program: str | None = None) -> str:
    """The program, from a virtual environment that is made anew when its lock file has changed."""
    home, lock = HOME / name, ROOT / "scripts" / f"audit-{name}.lock"
    stamp, wanted = home / ".stamp", hashlib.sha256(lock.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        print(f"audit: installing {name}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        install = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--require-hashes",
            "-r",
            str(lock),
        ]
        subprocess.run([str(home / "bin" / "python"), *install], check=True)
        stamp.write_text(wanted, encoding="utf-8")
    return str(home / "bin" / (program or name))


if __name__ == "__main__":
    sys.exit(main())
