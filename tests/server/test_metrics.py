"""The metrics of several worker processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from carto_like.server.metrics import Metrics

# What prometheus_client makes of a file without values.
EMPTY = bytes(8)


def test_connections_of_workers_that_died_are_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    died = subprocess.Popen([sys.executable, "-c", ""])
    died.wait()
    kept = [f"gauge_livesum_{os.getpid()}.db", f"counter_{died.pid}.db"]
    for name in (*kept, f"gauge_livesum_{died.pid}.db"):
        (tmp_path / name).write_bytes(EMPTY)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    Metrics(lambda: 0).render()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
