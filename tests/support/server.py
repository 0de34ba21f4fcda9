"""The server that the tests run against, under the names that they know it by."""

from __future__ import annotations

from carto_like.server.background import BackgroundServer as RunningServer
from carto_like.server.testbed import SECRET

__all__ = ["SECRET", "RunningServer"]
