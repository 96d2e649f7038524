"""The one place that reads the host's clock. Rules take the time as an argument; edges call `now()`."""

from datetime import UTC, datetime


def now() -> datetime:
    return datetime.now(UTC)
