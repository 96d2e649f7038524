"""Named places where a test may end the daemon at once, as a power cut would: SIGKILL, nothing cleaned up.

Inert unless CLAIMWRIGHT_CRASH_AT names a point; settings refuse that variable in production. A point stands at every
boundary of a step, so that tests can kill the daemon at each of them and show that nothing is lost or doubled.
`before_commit` is inside the SQL transaction, after its last write; `committed` is right after it.
"""

import os
import signal

# A provider's decision on its way in.
CASE = ("event.taken", "decision.read", "decision.before_commit", "decision.committed")
# A claim that is due, queued anew.
RENEW = ("renew.before_commit", "renew.committed")
# A transaction on its way out, by what it is for.
SENDING = ("signed", "before_commit", "committed", "sent")
ISSUE = ("issue.preflight", *(f"issue.{step}" for step in SENDING))
REVOKE = ("revoke.preflight", *(f"revoke.{step}" for step in SENDING))
BUMP = tuple(f"bump.{step}" for step in SENDING)
NOOP = tuple(f"noop.{step}" for step in SENDING)
# What became of a transaction, written back to its claims.
RECEIPT = ("receipt.seen", "receipt.before_commit", "receipt.committed")

POINTS = frozenset({*CASE, *RENEW, *ISSUE, *REVOKE, *BUMP, *NOOP, *RECEIPT})

_armed: str | None = None


def arm(point: str | None) -> None:
    """The next `reached(point)` is this process's last act. None: there is none."""
    global _armed
    _armed = point


def reached(point: str) -> None:
    if point == _armed:
        os.kill(os.getpid(), signal.SIGKILL)
