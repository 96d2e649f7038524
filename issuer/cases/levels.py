"""Levels: named policies. One is shipped; more become data when they are needed."""

import msgspec

from issuer.errors import InvalidInput

BASIC_TOPIC = 0x434C0001  # contracts/TOPICS.md
YEAR_SECONDS = 365 * 24 * 60 * 60


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """`topics` are ERC-735 claim topics; `validity_seconds` is a claim's life; `form` how it goes on chain."""

    name: str
    topics: tuple[int, ...]
    validity_seconds: int
    form: str = "signed"


LEVELS: dict[str, Level] = {
    "basic": Level(name="basic", topics=(BASIC_TOPIC,), validity_seconds=YEAR_SECONDS),
}


def level(name: str) -> Level:
    """Raises `InvalidInput("level")` for a name that is no level."""
    found = LEVELS.get(name)
    if found is None:
        raise InvalidInput("level", f"no such level; known: {', '.join(sorted(LEVELS))}")
    return found
