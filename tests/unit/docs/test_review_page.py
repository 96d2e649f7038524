"""docs/review.md: its table of reason codes is the code's."""

import re
from pathlib import Path

from issuer.cases.reasons import REASONS, Audience

PAGE = (Path(__file__).parents[3] / "docs/review.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)


def test_every_reason_is_listed_with_who_may_give_it_and_who_may_read_it():
    order = (Audience.COMPLIANCE, Audience.DAPP, Audience.SUBJECT)
    assert [(code, says, acts, readers) for code, says, acts, readers in ROW.findall(PAGE)] == [
        (
            code,
            reason.says,
            ", ".join(sorted(reason.acts)) or "given by us",
            ", ".join(each for each in order if each in reason.audience),
        )
        for code, reason in REASONS.items()
    ]
