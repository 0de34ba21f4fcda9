"""Fixtures that every test may use: parts of the platform that our own pytest plugin starts.

The platform's role in the tests' database is no superuser, as with a database of somebody else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from carto_like.server.bootstrap import DATABASE
from carto_like.server.postgres import PrivatePostgres
from carto_like.server.settings import Limits, Settings
from carto_like.server.testbed import Testbed
from carto_like.testing import CartoPlatform
from tests.support.api import Api, TestAccount, make_account
from tests.support.server import RunningServer
from tests.support.source import Source

MakeServer = Callable[..., RunningServer]


@pytest.fixture(scope="session")
def bed(carto_platform: CartoPlatform) -> Testbed:
    """What the plugin runs its platform on, which is thereby tested, too."""
    return carto_platform.testbed


@pytest.fixture(scope="session")
def short_dir(bed: Testbed) -> Path:
    """A folder that the database's OS user can enter, which pytest's own (0700) is not."""
    return bed.folder


@pytest.fixture(scope="session")
def cluster(bed: Testbed) -> PrivatePostgres:
    """A private PostgreSQL of the test run, started by the launcher's own code."""
    return bed.postgres


@pytest.fixture(scope="session")
def settings(bed: Testbed) -> Settings:
    """Settings of a server on the cluster, whose database is ready for one."""
    return bed.settings


@pytest.fixture
def admin(cluster: PrivatePostgres, settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to the platform's database, autocommit."""
    with psycopg.connect(cluster.dsn(DATABASE), autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def platform_server(bed: Testbed) -> RunningServer:
    """A server with default limits, for all tests that do not need another."""
    return bed.server


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


@pytest.fixture(scope="module")
def owner_account(platform_server: RunningServer) -> TestAccount:
    """A user whom the tests of one file share."""
    return make_account(platform_server)


@pytest.fixture(scope="module")
def owner_api(owner_account: TestAccount) -> Iterator[Api]:
    """Requests as the shared user, with the master key."""
    client = Api(owner_account.base_url, owner_account.api_key)
    yield client
    client.session.close()


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


@pytest.fixture
def source() -> Iterator[Source]:
    """A file on the web that a test changes."""
    source = Source()
    yield source
    source.stop()
