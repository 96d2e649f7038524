"""What the doctor makes of other people's clocks."""

from datetime import UTC, datetime
from email.utils import format_datetime

import httpx
import pytest

from issuer.commands.doctor import _clock
from issuer.providers.http import _ahead

NOW = 1_795_176_143.0


@pytest.mark.parametrize(
    ("ahead", "ok", "said"),
    [
        ({}, True, "cannot be told"),
        ({"persona sandbox": -0.8}, True, "within 30 s of persona sandbox"),
        ({"persona sandbox": 1.0, "sumsub production": 95.0}, False, "is 95 s behind that of sumsub production"),
        ({"persona sandbox": -31.0}, False, "is 31 s ahead of that of persona sandbox"),
    ],
)
def test_a_clock_that_is_off_is_named(ahead, ok, said):
    found = _clock(ahead)
    assert (found.ok, said in found.what) == (ok, True)


def test_the_time_of_an_answer_is_its_date():
    date = format_datetime(datetime.fromtimestamp(NOW + 60, UTC), usegmt=True)
    assert _ahead(httpx.Headers({"Date": date}), NOW) == 60
    assert _ahead(httpx.Headers({"Date": "yesterday"}), NOW) is None
    assert _ahead(httpx.Headers({}), NOW) is None
