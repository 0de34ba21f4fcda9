"""Fixtures that every test may use: a real PostgreSQL and, on top of it, a real server.

The platform's role in the tests' database is no superuser, as with a database of somebody else.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from carto_like.server.bootstrap import DATABASE, bootstrap
from carto_like.server.migrations import migrate
from carto_like.server.postgres import PrivatePostgres
from carto_like.server.secrets import Secrets
from carto_like.server.settings import Limits, Settings
from tests.support.api import Api, TestAccount, make_account
from tests.support.server import SECRET, RunningServer

MakeServer = Callable[..., RunningServer]


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


@pytest.fixture(scope="session")
def settings(cluster: PrivatePostgres) -> Settings:
    """Settings of a server on the cluster, whose database is ready for one."""
    dsn = bootstrap(cluster)
    asyncio.run(migrate(dsn, Secrets(SECRET)))
    return Settings(dsn=dsn, secret=SECRET, data_dir=cluster.data_dir)


@pytest.fixture
def admin(cluster: PrivatePostgres, settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to the platform's database, autocommit."""
    with psycopg.connect(cluster.dsn(DATABASE), autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def platform_server(settings: Settings) -> Iterator[RunningServer]:
    """A server with default limits, for all tests that do not need another."""
    server = RunningServer(settings)
    yield server
    server.stop()


@pytest.fixture
def make_server(settings: Settings) -> Iterator[MakeServer]:
    """Starts another server on the same database.

    Keywords are limits; ``settings={...}`` replaces settings.
    """
    servers: list[RunningServer] = []

    def start(*, settings: dict[str, Any] | None = None, **limits: Any) -> RunningServer:
        server = RunningServer(replace(base, limits=Limits(**limits), **(settings or {})))
        servers.append(server)
        return server

    base = settings
    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def account(platform_server: RunningServer) -> TestAccount:
    """A fresh user."""
    return make_account(platform_server)


@pytest.fixture
def api(account: TestAccount) -> Iterator[Api]:
    """Requests as the fresh user, with the master key."""
    client = Api(account.base_url, account.api_key)
    yield client
    client.session.close()
