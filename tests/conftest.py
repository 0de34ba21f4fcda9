"""Fixtures that every test may use: a real PostgreSQL and, on top of it, a real server."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from carto_like.server.postgres import PrivatePostgres


@pytest.fixture(scope="session")
def short_dir() -> Iterator[Path]:
    """A folder that the database's OS user can enter, which pytest's own (0700) is not."""
    folder = Path(tempfile.mkdtemp(prefix="carto-like-test-", dir="/tmp"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def cluster(short_dir: Path) -> Iterator[PrivatePostgres]:
    """A private PostgreSQL of the test run, started by the launcher's own code."""
    # Tests make nothing that must survive a power cut.
    with PrivatePostgres(short_dir / "data", settings={"fsync": "off"}) as postgres:
        yield postgres


@pytest.fixture
def admin(cluster: PrivatePostgres) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection, autocommit, to the cluster's maintenance database."""
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        yield connection
