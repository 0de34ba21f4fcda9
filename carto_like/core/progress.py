"""Showing how far a transfer has come, if asked to."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

__all__ = ["Meter", "ProgressCallback", "ProgressOption"]

ProgressCallback = Callable[[int, "int | None"], object]
ProgressOption = bool | ProgressCallback
"""False for silence, True for a bar on stderr, or a callable given bytes done and the total, or None."""

_T = TypeVar("_T")
_SECONDS_BETWEEN_LINES = 0.5
_MEGABYTE = 1_000_000


class _Bar(Protocol):
    def show(self, done: int) -> None: ...

    def close(self) -> None: ...


class Meter:
    """Counts bytes and tells whoever wants to know."""

    def __init__(self, progress: ProgressOption, total: int | None, label: str) -> None:
        self.total = total
        self.done = 0
        self._callback = progress if callable(progress) else None
        self._label = label
        self._wants_bar = bool(progress)
        self._bar: _Bar | None = None

    def watch(self, blocks: Iterable[_T]) -> Iterator[_T]:
        """The same blocks, counted as they pass; starting again counts from zero."""
        self.done = 0
        for block in blocks:
            yield block
            self.advance(len(block))  # type: ignore[arg-type]

    def advance(self, count: int) -> None:
        """Count so many bytes more."""
        self.done += count
        if self._callback is not None:
            self._callback(self.done, self.total)
        elif self._wants_bar:
            self._bar = self._bar or _make_bar(self._label, self.total)
            self._bar.show(self.done)

    def close(self) -> None:
        """Finish the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _make_bar(label: str, total: int | None) -> _Bar:
    for kind in (_RichBar, _TqdmBar):
        try:
            return kind(label, total)
        except ImportError:
            continue
    return _TextBar(label, total)


class _RichBar:
    def __init__(self, label: str, total: int | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        columns: list[Any] = [TextColumn("{task.description}"), BarColumn(), DownloadColumn()]
        self._progress = Progress(*columns, TransferSpeedColumn(), console=Console(file=sys.stderr))
        self._task = self._progress.add_task(label, total=total)
        self._progress.start()

    def show(self, done: int) -> None:
        self._progress.update(self._task, completed=done)

    def close(self) -> None:
        self._progress.stop()


class _TqdmBar:
    def __init__(self, label: str, total: int | None) -> None:
        from tqdm import tqdm  # type: ignore[import-untyped]

        self._bar = tqdm(desc=label, total=total, unit="B", unit_scale=True, file=sys.stderr)

    def show(self, done: int) -> None:
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        self._bar.close()


class _TextBar:
    def __init__(self, label: str, total: int | None) -> None:
        self._label = label
        self._total = total
        self._shown_at = float("-inf")
        self._done = 0

    def show(self, done: int) -> None:
        self._done = done
        now = time.monotonic()
        if now - self._shown_at >= _SECONDS_BETWEEN_LINES:
            self._shown_at = now
            self._write("\r")

    def close(self) -> None:
        self._write("\r")
        sys.stderr.write("\n")

    def _write(self, start: str) -> None:
        of = f" of {self._total / _MEGABYTE:.1f}" if self._total else ""
        sys.stderr.write(f"{start}{self._label}: {self._done / _MEGABYTE:.1f}{of} MB")
        sys.stderr.flush()
