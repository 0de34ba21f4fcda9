"""``carto-like worker`` beside ``carto-like serve --no-worker`` on one data directory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.api import Api
from tests.support.jobs import create, finished, read
from tests.support.processes import processes_mentioning
from tests.support.serving import Serving


@contextmanager
def worker(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """A worker that has said that it is ready."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CARTO_")}
    command = [sys.executable, "-m", "carto_like.cli", "worker", "--data-dir", str(data_dir)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            assert line.startswith("The worker is ready."), line
            yield process
        finally:
            process.kill()


def test_a_worker_joins_the_database_of_a_server(short_dir: Path) -> None:
    home = short_dir / "worked"
    with Serving("--data-dir", str(home), "--no-worker") as serving:
        api = Api(serving.base_url, serving.api_key)
        job = create(api, "CREATE TABLE made AS SELECT 1 AS n")
        with worker(home) as process:
            assert finished(api, job, 30)["status"] == "done"
            process.terminate()
            assert process.wait(30) == 0
        # The database was the server's, and goes on.
        later = create(api, "SELECT 1")
        assert read(api, later)["status"] == "pending"
        api.session.close()
    assert serving.stop() == 0
    # What was left is done by whoever comes next, here a worker that brings the database up by itself.
    with worker(home) as process:
        process.terminate()
        assert process.wait(30) == 0
    assert processes_mentioning(str(home)) == []
