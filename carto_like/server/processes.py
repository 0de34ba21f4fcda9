"""Processes of this machine: starting them, and knowing them by number."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

_POLL_SECONDS = 0.005
_starting = threading.Lock()


async def start(*command: str, **options: Any) -> asyncio.subprocess.Process:
    """Start a process that this event loop looks after; options as for ``asyncio.create_subprocess_exec``.

    Raises:
        OSError: the machine has no room for another process.
    """
    # Two of uvloop's loops in one process, as tests have them, may not start processes at the same time.
    while not _starting.acquire(blocking=False):
        await asyncio.sleep(_POLL_SECONDS)
    try:
        return await asyncio.create_subprocess_exec(*command, **options)
    finally:
        _starting.release()


def is_alive(pid: int) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def command_line(pid: int) -> str:
    """The command with which a process was started; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except FileNotFoundError:
        answer = subprocess.run(
            ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        return answer.stdout
