"""Fixtures of the server's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from carto_like.server.settings import Settings
from tests.support.api import TestAccount
from tests.support.datasets import Owner, owner_of


@pytest.fixture
def owner(settings: Settings, account: TestAccount) -> Iterator[Owner]:
    """A database session of the fresh user's own role."""
    with owner_of(settings, account) as session:
        yield session
