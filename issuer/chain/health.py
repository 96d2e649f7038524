"""What is known of one node, and of the chain's tip as all of them told it. No I/O; the clock is passed in."""

from issuer.chain.wire import Head

PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # seconds of rest after so many failures in a row
LAG_BLOCKS = 2  # how far behind the others a node may be and still be as good as they are
KEPT_HEADS = 256
_NEWEST_COUNTS = 0.2  # of one request's duration in the average


class Health:
    """Times in seconds of one monotonic clock."""

    def __init__(self) -> None:
        self.failures = 0  # in a row
        self.error: str | None = None  # the last failure's code, until the node answers again
        self.latency: float | None = None
        self.lag = 0  # blocks behind the best of the last survey
        self._rest_until = 0.0
        self._told_to_wait_until = 0.0

    def answered(self, seconds: float) -> None:
        self.failures, self.error, self._rest_until, self._told_to_wait_until = 0, None, 0.0, 0.0
        old = seconds if self.latency is None else self.latency
        self.latency = old + _NEWEST_COUNTS * (seconds - old)

    def failed(self, now: float, code: str, *, retry_after: float = 0.0) -> None:
        """`retry_after`: how long the node asked to be left alone."""
        rest = PAUSES[min(self.failures, len(PAUSES) - 1)]
        self.failures, self.error = self.failures + 1, code
        self._rest_until = now + max(rest, retry_after)
        self._told_to_wait_until = now + retry_after

    def rests(self, now: float) -> bool:
        """It failed a moment ago: others first."""
        return now < self._rest_until

    def must_wait(self, now: float) -> float:
        """Seconds that the node asked for and that are not over."""
        return max(0.0, self._told_to_wait_until - now)

    @property
    def lags(self) -> bool:
        return self.lag > LAG_BLOCKS


class Heads:
    """The newest blocks that were believed, by number: they tell a node that is behind from a chain that moved."""

    def __init__(self) -> None:
        self._hashes: dict[int, str] = {}
        self.newest = -1

    def is_behind(self, head: Head) -> bool:
        """An older block of the chain that is known. A lower block of another hash is a reorg, and believed."""
        return head.number < self.newest and self._hashes.get(head.number, head.hash) == head.hash

    def note(self, head: Head) -> None:
        if head.number <= self.newest:
            self._hashes = {number: known for number, known in self._hashes.items() if number < head.number}
        self.newest = head.number
        self._hashes[head.number] = head.hash
        while len(self._hashes) > KEPT_HEADS:
            del self._hashes[next(iter(self._hashes))]
