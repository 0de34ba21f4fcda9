"""The account that the tests of this folder work on: that of secret.py, without which none is collected."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from carto_like.auth import APIKeyAuthClient
from carto_like.sql import SQLClient

SECRET = Path(__file__).resolve().parents[2] / "secret.py"

collect_ignore_glob = [] if SECRET.exists() else ["test_*.py"]


@pytest.fixture
def auth_client() -> Iterator[APIKeyAuthClient]:
    """Logged in to the account."""
    secret = runpy.run_path(str(SECRET))
    with APIKeyAuthClient(secret["BASE_URL"], secret["API_KEY"]) as client:
        yield client


@pytest.fixture
def table(auth_client: APIKeyAuthClient) -> Iterator[str]:
    """A name that nothing in the account has; what carries it is dropped afterwards."""
    name = f"carto_like_live_{uuid4().hex[:12]}"
    yield name
    SQLClient(auth_client).send(f"DROP TABLE IF EXISTS {name}")
