"""Ending when the parent ends: a simulator that outlives its test is a port nobody owns."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from contextlib import suppress

PR_SET_PDEATHSIG = 1
PARENT_SIGNAL = signal.SIGUSR1
"""Not SIGTERM: the kernel also sends it when only the thread that started us ends."""
INTERVAL = 0.5


def tie_to_parent() -> int:
    """Ask the kernel for `PARENT_SIGNAL` at the parent's death where it can; return its pid.

    The signal is ignored until a handler that checks `os.getppid` is in place.
    """
    parent = os.getppid()
    signal.signal(PARENT_SIGNAL, signal.SIG_IGN)
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, PARENT_SIGNAL)
    return parent


async def parent_gone(parent: int) -> None:
    """Return once the parent is another process than it was."""
    # Also covers a parent that died before the kernel was asked, and systems without prctl.
    while os.getppid() == parent:  # noqa: ASYNC110 - nothing announces it to a process that has no kernel's help
        await asyncio.sleep(INTERVAL)
