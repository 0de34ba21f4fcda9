"""What a query reads: the tables the planner names, when they last changed, what caches may be told."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import Any

import orjson
import psycopg
from psycopg.pq import TransactionStatus

from carto_like.pure.pgtext import leading_keyword, may_write, quote_identifier, split_statements
from carto_like.server.db import Database
from carto_like.server.errors import Problem
from carto_like.server.sqlapi.headers import header_text
from carto_like.server.sqlapi.scanning import scan
from carto_like.server.sqlapi.wire import Connection, command

logger = logging.getLogger(__name__)

YEAR = 31_536_000
FALLBACK_PERIOD = 300

_EXPLAINABLE = {"select", "with", "values", "table", "insert", "update", "delete", "merge", "declare"}
# Without one of these words a statement reads no table, and need not be planned twice.
_NAMES_TABLES = re.compile(r"\b(?:from|table|join|into|update|using)\b", re.I)
_SYSTEM_NAME = re.compile(r"\bpg_")
_SIMPLE_NAME = re.compile(r"[a-z_][a-z0-9_$]*")
_HIDDEN_SCHEMAS = {"carto", "pg_catalog", "information_schema"}
_HIDDEN_TABLES = {
    ("cartodb", "cdb_analysis_catalog"),
    ("cartodb", "cdb_conf"),
    ("cartodb", "cdb_tablemetadata"),
    ("public", "spatial_ref_sys"),
    ("topology", "layer"),
    ("topology", "topology"),
}
# The line break ends a comment that the statement may end with.
_EXPLAIN = "BEGIN READ ONLY;EXPLAIN (VERBOSE, FORMAT JSON) %s\n;ROLLBACK"
_UPDATES = """
    SELECT n.nspname::text, c.relname::text, m.updated_at
    FROM unnest(%s::text[], %s::text[]) AS read(schema, name)
    JOIN pg_catalog.pg_namespace n ON n.nspname = read.schema
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = read.name
    JOIN cartodb.cdb_tablemetadata m ON m.tabname = c.oid
"""

Table = tuple[str, str]


@dataclass
class Analysis:
    """The tables (schema, name) that a query reads, and what the planner expects of its last statement.

    Attributes:
        failed: whether some statement could not be planned beforehand.
        rows: rows expected, None when unknown.
        width: bytes expected of one row.
    """

    tables: set[Table] = field(default_factory=set)
    failed: bool = False
    rows: float | None = None
    width: float = 0


async def analyse(conn: Connection, sql: str) -> Analysis:
    """Plan what can be planned of ``sql``, without running it; never fails for what PostgreSQL refuses."""
    found = Analysis()
    for statement in await scan(_plannable, sql):
        try:
            plans = await command(
                conn, f"BEGIN READ ONLY;EXPLAIN (VERBOSE, FORMAT JSON) {statement}\n;ROLLBACK"
            )
        except psycopg.Error:
            found.failed = True
        else:
            read_plan(orjson.loads(plans[1][0][0] or "[]"), found)
        if conn.pgconn.transaction_status != TransactionStatus.IDLE:
            await command(conn, "ROLLBACK")
    return found


def _plannable(sql: str) -> list[str]:
    if not _NAMES_TABLES.search(sql):
        return []
    # Taking a long text apart is worth it only if there is something to part.
    lone = ";" not in sql.rstrip("; \t\r\n")
    statements = [sql.rstrip("; \t\r\n")] if lone else split_statements(sql)
    return [
        text for text in statements if leading_keyword(text) in _EXPLAINABLE and _NAMES_TABLES.search(text)
    ]


def read_plan(plans: Sequence[dict[str, Any]], found: Analysis) -> None:
    """Add what ``EXPLAIN (VERBOSE, FORMAT JSON)`` says of one statement."""
    for entry in plans:
        plan = entry.get("Plan", {})
        found.rows = plan.get("Plan Rows")
        found.width = plan.get("Plan Width", 0)
        nodes = [plan]
        while nodes:
            node = nodes.pop()
            if "Relation Name" in node:
                found.tables.add((node.get("Schema", ""), node["Relation Name"]))
            nodes.extend(node.get("Plans", ()))


def check_system_tables(tables: Iterable[Table], *, is_master: bool, hard: bool) -> None:
    """Raise the 403 for reading PostgreSQL's own tables with a key that may not.

    Args:
        tables: what the query reads.
        is_master: whether the key is the master key.
        hard: whether tables of the platform are forbidden to everybody.
    """
    for schema, name in tables:
        system = not is_master and _SYSTEM_NAME.search(f"{schema}.{name}")
        hidden = hard and (schema in _HIDDEN_SCHEMAS or (schema, name) in _HIDDEN_TABLES)
        if system or hidden:
            raise Problem(403, "system tables are forbidden")


async def last_updates(database: Database, tables: Iterable[Table]) -> dict[Table, datetime]:
    """When each of ``tables`` that is tracked last changed."""
    pairs = sorted(tables)
    if not pairs:
        return {}
    schemas, names = [schema for schema, _ in pairs], [name for _, name in pairs]
    return {(row[0], row[1]): row[2] for row in await database.ask(_UPDATES, (schemas, names))}


class Freshness:
    """The cache headers of an answer, made while the query runs.

    Args:
        database: where the tracking table is.
        sql: the query's text.
        found: its analysis.
        persist: whether the client wants the answer cached for good.
    """

    def __init__(self, database: Database, sql: str, found: Analysis, *, persist: bool) -> None:
        self._found = found
        self._writes = may_write(sql)
        self._persist = persist
        self._updates = asyncio.ensure_future(last_updates(database, found.tables)) if found.tables else None

    def forget(self) -> None:
        """Stop asking: the answer will not be sent."""
        if self._updates is not None and not self._updates.cancel() and not self._updates.cancelled():
            # An error that nobody asked for is no news.
            self._updates.exception()

    async def headers(self, database_name: str) -> dict[str, str]:
        """``Cache-Control`` and its companions."""
        updates = await self._known_updates()
        headers = {"Cache-Control": self._cache_control(updates)}
        if not self._found.failed:
            newest = max(updates.values(), default=datetime.now(timezone.utc))
            headers["Last-Modified"] = format_datetime(newest.astimezone(timezone.utc), usegmt=True)
        if updates and not self._writes:
            names = sorted(f"{quoted_name(schema)}.{quoted_name(name)}" for schema, name in updates)
            headers["X-Cache-Channel"] = header_text(f"{database_name}:{','.join(names)}")
            headers["Surrogate-Key"] = " ".join(sorted(surrogate_key(database_name, name) for name in names))
        return headers

    async def _known_updates(self) -> dict[Table, datetime]:
        if self._updates is None:
            return {}
        try:
            return await self._updates
        except (psycopg.Error, Problem) as error:
            logger.warning("the last updates of tables are unknown: %s", type(error).__name__)
            self._found.failed = True
            return {}

    def _cache_control(self, updates: dict[Table, datetime]) -> str:
        if self._persist:
            return f"public,max-age={YEAR}"
        if self._writes:
            seconds = 0
        elif self._found.failed or len(updates) < len(self._found.tables):
            seconds = FALLBACK_PERIOD - int(time.time()) % FALLBACK_PERIOD
        else:
            seconds = YEAR
        return f"no-cache,max-age={seconds},must-revalidate,public"


def surrogate_key(database_name: str, table: str) -> str:
    """The short name under which a cache knows a table."""
    digest = hashlib.sha256(f"{database_name}:{table}".encode()).digest()
    return "t:" + base64.b64encode(digest).decode()[:6]


def quoted_name(name: str) -> str:
    """A name as caches are told it: in quotes only if it needs them."""
    return name if _SIMPLE_NAME.fullmatch(name) else quote_identifier(name)
