"""Databases of their own, for tests whose jobs no other server's worker may take."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from carto_like.server.bootstrap import bootstrap
from carto_like.server.migrations import migrate
from carto_like.server.postgres import PrivatePostgres
from carto_like.server.secrets import Secrets
from carto_like.server.settings import Settings
from tests.support.server import SECRET


def another_database(cluster: PrivatePostgres) -> Settings:
    """Settings of a server on a fresh database of a cluster."""
    dsn = bootstrap(cluster, f"d{uuid4().hex[:10]}")
    asyncio.run(migrate(dsn, Secrets(SECRET)))
    return Settings(dsn=dsn, secret=SECRET, data_dir=cluster.data_dir)
