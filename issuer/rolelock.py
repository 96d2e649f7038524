"""At most one process of each role on a SQLite store. On PostgreSQL any number may run, and this does nothing."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from issuer.db import normalise_url
from issuer.errors import AlreadyRunning, SettingsError

Role = Literal["api", "daemon"]


@contextmanager
def hold_role(db_url: str, role: Role) -> Iterator[None]:
    """Hold `role` on the store for the length of the block.

    The lock is `flock` on `<database file>.<role>.lock`: the kernel lets go of it when the process ends, however it
    ends, so the file is never removed. Programs that are started inside the block do not inherit it.
    Raises `AlreadyRunning` if a process holds it, `SettingsError` if the lock file cannot be made.
    """
    url = normalise_url(db_url)
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        yield
        return
    # One file for one database, whichever link or relative path led to it.
    path = Path(f"{Path(url.database).resolve()}.{role}.lock")
    try:
        lock = path.open("a+", encoding="ascii")
    except OSError as error:
        raise SettingsError("DATABASE_URL", f"no lock file beside the database: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read(20).strip() or "unknown"
            raise AlreadyRunning(
                f"the {role} is already running on this database (pid {holder}); stop it, or use PostgreSQL for more"
            ) from None
        lock.seek(0)
        lock.truncate()
        lock.write(f"{os.getpid()}\n")  # for the message above; the lock itself is what counts
        lock.flush()
        yield
