"""What one transfer cost the process that made it; standard library only, so that any interpreter runs it."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Cost = dict[str, Any]


def status_bytes(field: str, pid: int | str = "self") -> int:
    """A memory figure of a process in bytes: ``VmRSS`` now, ``VmHWM`` at its highest."""
    for line in Path(f"/proc/{pid}/status").read_text("ascii", errors="replace").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return 0


def reset_peak(pid: int | str = "self") -> None:
    """Let ``VmHWM`` of a process start again from what it holds now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", "ascii")


def cpu_seconds() -> float:
    """User and system time of this process and of the children it has waited for."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(who) for who in whose]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def measured(transfer: Callable[[], Mapping[str, Any]]) -> Cost:
    """Seconds, CPU seconds and bytes of memory of one call, beside what it returned."""
    reset_peak()
    memory, cpu, started = status_bytes("VmRSS"), cpu_seconds(), time.perf_counter()
    answer = transfer()
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "cpu": cpu_seconds() - cpu,
        "memory_before": memory,
        "memory_peak": status_bytes("VmHWM"),
        **answer,
    }


def serve_one_task(tasks: Mapping[str, Callable[..., Cost]]) -> None:
    """Run the task named by the first argument with the keywords on stdin; its cost goes to stdout."""
    # By stdin, because they hold keys, and every user of the machine can read a command line.
    keywords = json.loads(sys.stdin.read())
    print(json.dumps(tasks[sys.argv[1]](**keywords)))
