"""Ending when the parent ends: a simulator that outlives its test is a port nobody owns."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from contextlib import suppress

PR_SET_PDEATHSIG = 1
INTERVAL = 0.5


def tie_to_parent() -> int:
    """Ask the kernel for SIGTERM at the parent's death where it can; return the parent's pid."""
    parent = os.getppid()
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    return parent


async def parent_gone(parent: int) -> None:
    """Return once the parent is another process than it was."""
    # Also covers a parent that died before the kernel was asked, and systems without prctl.
    while os.getppid() == parent:  # noqa: ASYNC110 - nothing announces it to a process that has no kernel's help
        await asyncio.sleep(INTERVAL)
