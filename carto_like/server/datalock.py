"""One owner for a data directory, kept by the operating system so that a killed owner frees it."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from .errors import StartError


class DataDirectoryBusy(StartError):
    """Another process owns the data directory.

    Attributes:
        holder: what the owner wrote about itself; ``pid`` at least.
    """

    def __init__(self, data_dir: Path, holder: dict[str, Any]) -> None:
        who = f"process {holder['pid']}" if "pid" in holder else "another process"
        super().__init__(
            f"The data directory {data_dir} is in use by {who}. Stop that server first, or give this one "
            "a directory of its own with --data-dir."
        )
        self.holder = holder


class DataLock:
    """An exclusive lock on a data directory, with a note about its owner.

    The lock is the kernel's: it ends with its process, however that ends, so nothing is ever stale.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._path = data_dir / "lock"
        self._file: int | None = None

    def read(self) -> dict[str, Any]:
        """What the present or last owner wrote; empty when there was none."""
        try:
            note = json.loads(self._path.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return note if isinstance(note, dict) else {}

    def acquire(self) -> dict[str, Any]:
        """Take the lock; answers what the last owner wrote.

        Raises:
            DataDirectoryBusy: another process has it.
        """
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            raise DataDirectoryBusy(self._data_dir, self.read()) from None
        self._file = file
        return self.read()

    def write(self, **note: Any) -> None:
        """Replace the note about the owner."""
        if self._file is None:
            raise RuntimeError("only the owner of the lock writes its note")
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, json.dumps({"pid": os.getpid(), **note}).encode(), 0)

    def release(self) -> None:
        """Give the lock back; nothing happens when it is not held."""
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None
