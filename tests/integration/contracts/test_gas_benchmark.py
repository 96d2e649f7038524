"""`benchmarks/run gas` measures what it says: other people's contracts cost what others have measured for them."""

import json
import subprocess

import pytest

from benchmarks.gas import summary
from benchmarks.subjects import BATCH, CEILINGS, NEAREST, Row
from tests.integration.contracts.evm import ROOT

# Measured before with another program (web3.py), same bytecode, same hardfork.
KNOWN = {
    "onchainid_npm": {
        Row.CREATE: 456_555,
        Row.ADD: 329_775,
        Row.ADD_LONG: 465_136,
        Row.VALID: 20_225,
        Row.TREX: 97_992,
        Row.REVOKE: 59_284,
    },
    "eas": {Row.ADD: 200_272, Row.ADD_LONG: 291_342, Row.REVOKE: 59_890},
}


@pytest.fixture(scope="module")
def result():
    command = [str(ROOT / "benchmarks" / "run"), "gas", "--json"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("\n") == 1
    return json.loads(run.stdout)


@pytest.mark.parametrize(("subject", "row"), [(subject, row) for subject, rows in KNOWN.items() for row in rows])
def test_what_is_known_is_measured_again(result, subject, row):
    assert result["gas"][subject][row] == pytest.approx(KNOWN[subject][row], rel=0.01)


def test_ours_is_measured_in_every_row_that_onchainid_has(result):
    where_we_have_it_too = {Row.CREATE_SALTED, *NEAREST}
    assert set(result["gas"]["onchainid_npm"]) - where_we_have_it_too <= set(result["gas"]["ours"])
    assert (result["benchmark"], result["hardfork"], result["batch"]) == ("gas", "osaka", BATCH)


def test_a_ratio_says_how_many_times_more_the_other_costs(result):
    theirs, ours = result["gas"]["onchainid_npm"][Row.CREATE], result["gas"]["ours"][Row.CREATE]
    assert result["ratios"]["onchainid_npm"][Row.CREATE] == pytest.approx(theirs / ours, abs=0.01)


def test_every_ceiling_holds(result):
    assert set(CEILINGS) <= set(result["gas"]["ours"])
    assert result["above_ceiling"] == {}


def test_what_is_above_its_ceiling_is_named():
    measured = {"ours": {Row.CREATE: CEILINGS[Row.CREATE] + 1, Row.ADD: CEILINGS[Row.ADD]}}
    assert summary(measured)["above_ceiling"] == {Row.CREATE: 1}


def test_onboarding_and_revoking_cost_less_than_with_onchainid(result):
    for row in (Row.CREATE, Row.ONBOARD, Row.ONBOARD_BATCH, Row.REVOKE_BATCH, Row.TREX):
        assert result["ratios"]["onchainid_optimised"][row] > 1
