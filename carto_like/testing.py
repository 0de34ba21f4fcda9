"""Fixtures for pytest: a real platform to test an ETL job on, without an account anywhere.

pytest finds this plugin by itself where ``carto-like`` is installed. ``carto_platform`` is a platform that is
started when the first test asks for it and stopped after the last; ``carto_user`` is a fresh user of it for
each test, ``carto_client`` a client with that user's key::

    def test_my_job(carto_client):
        my_job(carto_client)
        assert SQLClient(carto_client).send("SELECT * FROM parcels")["total_rows"] == 3

They need the extra ``server`` and a PostgreSQL with PostGIS on the machine, which need not be running.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

# The fixtures import the rest when they are used: pytest loads this module in every project.
if TYPE_CHECKING:
    from carto_like.auth import APIKeyAuthClient
    from carto_like.server.background import BackgroundServer
    from carto_like.server.iotile.bed import IOTileCloud
    from carto_like.server.testbed import Testbed

__all__ = [
    "CartoPlatform",
    "CartoUser",
    "carto_client",
    "carto_platform",
    "carto_user",
    "iotile_cloud",
    "iotile_cloud_private",
    "iotile_server",
]


@dataclass(frozen=True)
class CartoUser:
    """A user of the platform.

    Attributes:
        name: also the name of the user's schema in the database.
        api_key: the master key.
        base_url: what clients take as their base URL; ends in ``/user/NAME/``.
        organization: name of the organization that the user was made in, if any.
    """

    name: str
    api_key: str = field(repr=False)
    base_url: str
    organization: str | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which ``carto-like`` and many scripts find the account."""
        return {"CARTO_API_URL": self.base_url, "CARTO_API_KEY": self.api_key}

    def client(self) -> APIKeyAuthClient:
        """A new client with the user's key; to be closed by whoever asked for it."""
        from carto_like.auth import APIKeyAuthClient

        return APIKeyAuthClient(self.base_url, self.api_key, self.organization)


class CartoPlatform:
    """A running platform, with a database of its own."""

    def __init__(self, testbed: Testbed) -> None:
        self.testbed = testbed

    @property
    def base_url(self) -> str:
        """Scheme, host and port, and a final slash."""
        return self.testbed.server.base_url

    def new_user(
        self,
        name: str | None = None,
        *,
        quota_in_bytes: int | None = None,
        organization: str | None = None,
    ) -> CartoUser:
        """Make a user.

        Args:
            name: whatever name when none is given.
            quota_in_bytes: storage is unlimited when none is given.
            organization: that the user is to be in; when there is none of that name, it is made, and owned.
        """
        made = self.testbed.make_user(name, quota_bytes=quota_in_bytes, organization=organization)
        return CartoUser(made.account.name, made.api_key, made.base_url, organization)

    def delete_user(self, user: CartoUser) -> None:
        """Delete a user with all that is theirs, an organization that they own too; no user is no error."""
        self.testbed.delete_user(user.name)


@pytest.fixture(scope="session")
def carto_platform() -> Iterator[CartoPlatform]:
    """A platform, started once for all tests that use it."""
    with ExitStack() as stack:
        with _explained():
            from carto_like.server.testbed import Testbed

            platform = CartoPlatform(stack.enter_context(Testbed()))
            assert platform.base_url
        yield platform


@pytest.fixture
def carto_user(carto_platform: CartoPlatform) -> Iterator[CartoUser]:
    """A fresh user of the platform, deleted after the test."""
    user = carto_platform.new_user()
    yield user
    carto_platform.delete_user(user)


@pytest.fixture
def carto_client(carto_user: CartoUser) -> Iterator[APIKeyAuthClient]:
    """A client with the fresh user's master key, closed after the test."""
    client = carto_user.client()
    yield client
    client.close()


@pytest.fixture(scope="session")
def iotile_server(carto_platform: CartoPlatform) -> BackgroundServer:
    """A server on a database of its own, for the fixtures of IOTile Cloud, which empty it."""
    return carto_platform.testbed.another_server("iotile")


@pytest.fixture(scope="module")
def iotile_cloud(iotile_server: BackgroundServer) -> IOTileCloud:
    """An empty IOTile Cloud for the tests of a module; unpacks into ``(url, cloud)``."""
    return _empty_cloud(iotile_server)


@pytest.fixture
def iotile_cloud_private(iotile_server: BackgroundServer) -> IOTileCloud:
    """An empty IOTile Cloud for one test; not to be used in a module that uses :func:`iotile_cloud`."""
    return _empty_cloud(iotile_server)


def _empty_cloud(server: BackgroundServer) -> IOTileCloud:
    from carto_like.server.iotile.bed import IOTileCloud

    cloud = IOTileCloud(server)
    cloud.reset()
    return cloud


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what keeps a platform from starting into one line without a traceback."""
    try:
        yield
    except ImportError as error:
        if (error.name or "carto_like").partition(".")[0] == "carto_like":
            raise
        pytest.fail(
            f"carto_platform needs {error.name}, which is not installed. Get it with: "
            'pip install "carto-like[server]"',
            pytrace=False,
        )
    except Exception as error:
        from carto_like.server.errors import StartError

        if not isinstance(error, StartError):
            raise
        pytest.fail(f"The platform does not start. {error}", pytrace=False)
