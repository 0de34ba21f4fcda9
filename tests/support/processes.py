"""The processes of this machine, also where the program ``ps`` is not installed, as on a small Debian."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


class Process(NamedTuple):
    """A running process and how it was called."""

    pid: int
    parent: int
    command: str


def processes() -> list[Process]:
    """Every process that runs now."""
    return list(_from_proc() if (PROC / "self" / "stat").exists() else _from_ps())


def processes_mentioning(text: str) -> list[str]:
    """Command lines of the processes of this machine that contain a text."""
    return [process.command for process in processes() if text in process.command]


def _from_proc() -> Iterator[Process]:
    for folder in PROC.glob("[0-9]*"):
        try:
            # The name stands in parentheses and may hold some itself; the parent is the second word after it.
            parent = int((folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[1])
            words = (folder / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            # It has ended since it was listed.
            continue
        yield Process(int(folder.name), parent, b" ".join(words).decode("utf-8", "replace"))


def _from_ps() -> Iterator[Process]:
    listing = ["ps", "-axww", "-o", "pid=,ppid=,command="]
    for line in subprocess.run(listing, capture_output=True, text=True, check=True).stdout.splitlines():
        pid, parent, *command = line.split(None, 2)
        yield Process(int(pid), int(parent), "".join(command))
