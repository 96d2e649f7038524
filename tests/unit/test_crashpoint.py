"""Crash points: each one is somewhere in the code, does nothing unasked, and cannot be asked for in production."""

import re
from pathlib import Path

import pytest

from issuer import crashpoint
from issuer.errors import SettingsError
from issuer.settings import DaemonSettings, load
from tests.daemons import run_child
from tests.unit.settings.test_settings import DAEMON

ISSUER = Path(crashpoint.__file__).parent
VARIABLES = {"purpose": ("issue", "revoke"), "kind": ("bump", "noop")}
CALL = re.compile(r'reached\(f?"([^"]+)"\)')


def named() -> set[str]:
    """Every point that the code can reach; what is only known when it runs stands for all that it can be."""
    found = set()
    for path in ISSUER.rglob("*.py"):
        for name in CALL.findall(path.read_text(encoding="utf-8")):
            variable = re.match(r"\{(\w+)\}", name)
            found |= {name.format(**{variable[1]: each}) for each in VARIABLES[variable[1]]} if variable else {name}
    return found


def test_every_point_is_in_the_code_and_the_code_names_no_other():
    assert named() == crashpoint.POINTS


def test_a_point_is_inert_unless_it_is_armed():
    crashpoint.arm(None)
    for point in crashpoint.POINTS:
        crashpoint.reached(point)


@pytest.mark.parametrize("env", ["development", "test"])
def test_outside_production_a_point_can_be_armed(env):
    told = {**DAEMON, "CLAIMWRIGHT_ENV": env, "CLAIMWRIGHT_CRASH_AT": "issue.sent"}
    assert load(DaemonSettings, told).crash_at == "issue.sent"


@pytest.mark.parametrize("env", [{}, {"CLAIMWRIGHT_ENV": "production"}])
def test_production_refuses_to_start_with_one(env):
    with pytest.raises(SettingsError, match="CLAIMWRIGHT_CRASH_AT: kills the daemon on purpose"):
        load(DaemonSettings, {**DAEMON, **env, "CLAIMWRIGHT_CRASH_AT": "issue.sent"})


def test_an_unknown_point_is_refused():
    with pytest.raises(SettingsError, match=r"names no crash point; known: bump\.before_commit"):
        load(DaemonSettings, {**DAEMON, "CLAIMWRIGHT_ENV": "test", "CLAIMWRIGHT_CRASH_AT": "issue.never"})


def test_at_its_point_the_process_dies_by_sigkill():
    assert run_child(_die) == -9


def _die() -> None:
    crashpoint.arm("issue.sent")
    crashpoint.reached("issue.committed")
    crashpoint.reached("issue.sent")
