"""What PostgreSQL says beside the results: notices, warnings, infos."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg.errors import Diagnostic

from carto_like.server.sqlapi.wire import Connection

# A loop can raise any number of them, and they are kept until the rows are out.
LONGEST = 256 * 1024


class Notices:
    """The messages that came while a query ran, up to :data:`LONGEST` characters."""

    def __init__(self) -> None:
        self._lists: dict[str, list[str]] = {}
        self._size = 0

    def add(self, diagnostic: Diagnostic) -> None:
        """Keep a message if there is room."""
        message = diagnostic.message_primary or ""
        self._size += len(message) + 8
        if self._size <= LONGEST:
            severity = (diagnostic.severity_nonlocalized or diagnostic.severity or "notice").lower()
            self._lists.setdefault(f"{severity}s", []).append(message)

    def by_severity(self) -> dict[str, list[str]]:
        """The messages under ``notices``, ``warnings``, ``infos``; absent when there are none."""
        return self._lists


@contextmanager
def listening(conn: Connection) -> Iterator[Notices]:
    """The notices of a connection while the block runs."""
    notices = Notices()
    conn.add_notice_handler(notices.add)
    try:
        yield notices
    finally:
        conn.remove_notice_handler(notices.add)
