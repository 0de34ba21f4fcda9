"""Fixtures of the server's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from carto_like.server.settings import Settings
from tests.support.api import TestAccount
from tests.support.datasets import Owner, owner_of
from tests.support.server import RunningServer
from tests.support.source import Followers


@pytest.fixture
def followers(idle: RunningServer) -> Iterator[Followers]:
    """A fresh user of the test file's own server that runs no jobs by itself."""
    followers = Followers(idle)
    yield followers
    followers.close()


@pytest.fixture
def their_owner(followers: Followers) -> Iterator[Owner]:
    """A database session of that user's own role."""
    with owner_of(followers.settings, followers.account) as session:
        yield session


@pytest.fixture
def owner(settings: Settings, account: TestAccount) -> Iterator[Owner]:
    """A database session of the fresh user's own role."""
    with owner_of(settings, account) as session:
        yield session
