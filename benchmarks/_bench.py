"""What the benchmarks share: rounds, medians, the table, the JSON line, the machine's name."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks._measure import Cost

ROOT = Path(__file__).resolve().parents[1]
Runs = dict[str, list[Cost]]


def run_task(name: str, *, python: str = sys.executable, module: str = "_tasks", **keywords: Any) -> Cost:
    """Run one task in a process of its own, so that its CPU time and memory are its own, too.

    Raises:
        RuntimeError: the task failed; with what it said.
    """
    done = subprocess.run(
        [python, "-m", f"benchmarks.{module}", name],
        input=json.dumps(keywords),
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{name} failed: {done.stderr[-2000:]}")
    cost: Cost = json.loads(done.stdout.splitlines()[-1])
    return cost


def interleaved(rounds: int, contestants: Mapping[str, Callable[[], Cost]]) -> Runs:
    """Let everybody run once per round, each round beginning with another one."""
    names = list(contestants)
    runs: Runs = {name: [] for name in names}
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            runs[name].append(contestants[name]())
            say(f"  round {number + 1}: {name} {runs[name][-1]['seconds']:.3f} s")
    return runs


def median(runs: Runs, name: str, key: str = "seconds") -> float:
    """The median of one figure of one contestant."""
    figures: list[float] = [cost[key] for cost in runs[name]]
    return statistics.median(figures)


def fastest(runs: Runs, names: Sequence[str]) -> str:
    """Whose median time is the least."""
    return min(names, key=lambda name: median(runs, name))


def say(text: str) -> None:
    """Tell the human at the terminal what goes on; results alone go to stdout."""
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Line:
    """One line of the final table."""

    what: str
    ours: str
    peer: str
    ratio: str
    target: str = ""

    def cells(self) -> tuple[str, ...]:
        """Its cells from left to right."""
        return self.what, self.ours, self.peer, self.ratio, self.target


def report(title: str, machine: Mapping[str, Any], lines: Sequence[Line], data: Mapping[str, Any]) -> None:
    """Print the table, in Markdown, and after it everything as one line of JSON."""
    rows = [("", "ours", "peer", "ratio", "target"), *(line.cells() for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    print(
        f"\n{title}\n{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB; {machine['os']}"
    )
    print(", ".join(f"{name} {number}" for name, number in machine["versions"].items()) + "\n")
    for number, row in enumerate(rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    print("\n" + json.dumps({"benchmark": title, "machine": machine, **data}), flush=True)


def describe_machine(database_versions: Mapping[str, str]) -> dict[str, Any]:
    """The machine and the versions of what takes part, for whoever compares figures later."""
    packages = ("psycopg", "uvicorn", "httptools", "uvloop", "orjson", "requests", "isal")
    names = [line for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    pretty = [line for line in _lines("/etc/os-release") if line.startswith("PRETTY_NAME=")]
    return {
        "cpu": names[0].split(":", 1)[1].strip() if names else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "os": pretty[0].split("=", 1)[1].strip('"') if pretty else platform.platform(),
        "versions": {
            "Python": platform.python_version(),
            **database_versions,
            **{package: version(package) for package in packages},
        },
    }


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text("utf-8").splitlines() if file.exists() else []
