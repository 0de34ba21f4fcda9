"""How large a dataset is, how many rows it has, and of which geometry types: true, and cheap.

Sizes come from the catalogs. Rows and types are read from the tables, as their owner, once per state of a
table: they are kept with the state (time of the last tracked write, size of the heap) in which they hold.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection, Error, errors, sql

from carto_like.server.accounts import Account
from carto_like.server.db import Database
from carto_like.server.services.registry import Dataset
from carto_like.server.services.unattended import session_of
from carto_like.server.sqlapi.guard import Stopped

_LOCK_WAIT = "300ms"
_READ_TIME = "3s"
_LAST_READING = 1.0
_PATIENCE = 6.0  # seconds after which figures that are still missing stay as they were
_COUNTED_PAGES = 1000  # a table of up to 8 MB is counted, the rows of a larger one are estimated
_SAMPLED_ROWS = 100
_TABLES_PER_QUERY = 50

# The size functions wait for whoever has locked a table, a listing must not: a locked table has its size of
# the last VACUUM or ANALYZE.
_SIZES = """
WITH locked AS MATERIALIZED (
    SELECT DISTINCT relation FROM pg_catalog.pg_locks
    WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock'
), wanted AS MATERIALIZED (
    SELECT oid, relpages, reltuples, reltoastrelid, current_setting('block_size')::bigint AS page
    FROM pg_catalog.pg_class WHERE oid = ANY (%(oids)s::oid[])
), parts AS (
    SELECT oid AS whole, oid AS part FROM wanted
    UNION ALL SELECT oid, reltoastrelid FROM wanted WHERE reltoastrelid <> 0
    UNION ALL SELECT indrelid, indexrelid FROM pg_catalog.pg_index WHERE indrelid = ANY (%(oids)s::oid[])
), wholes AS MATERIALIZED (
    SELECT whole, sum(p.relpages) AS pages, %(exact)s AND NOT bool_or(l.relation IS NOT NULL) AS known
    FROM parts JOIN pg_catalog.pg_class p ON p.oid = part LEFT JOIN locked l ON l.relation = part
    GROUP BY whole
)
SELECT w.oid::bigint, known, relpages, reltuples,
       CASE WHEN known THEN pg_total_relation_size(w.oid) ELSE pages * page END,
       CASE WHEN known THEN pg_relation_size(w.oid) ELSE relpages * page END, page
FROM wanted w JOIN wholes ON whole = w.oid
"""

_SAVE = """
WITH free AS (
    SELECT id FROM carto_like.datasets WHERE id = ANY (%(ids)s) FOR NO KEY UPDATE SKIP LOCKED)
UPDATE carto_like.datasets d
SET seen_state = v.state, seen_rows = v.rows, seen_geometry_types = string_to_array(v.types, ',')
FROM free, unnest(%(ids)s::uuid[], %(states)s::text[], %(rows)s::bigint[], %(types)s::text[])
     AS v (id, state, rows, types)
WHERE d.id = free.id AND v.id = d.id
"""

# Without a sequential scan the first geometries are found through their index, however many rows have none.
_CAUTIOUSLY = """
SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true),
       set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true)
"""

_READ = sql.SQL(
    """SELECT {oid}::bigint,
       (SELECT count(*) FROM {table} WHERE ctid < {end}::tid),
       ARRAY(SELECT DISTINCT ST_GeometryType(the_geom) FROM (
                 SELECT the_geom FROM {table} WHERE the_geom IS NOT NULL LIMIT {sample}) s ORDER BY 1)"""
)


@dataclass(frozen=True)
class Figures:
    """Of one dataset.

    Attributes:
        size: bytes that count towards the quota: half of what table and indexes take on disk, because the
            second geometry column is the platform's.
        row_count: exact for small tables, else an estimate.
        geometry_types: as PostGIS calls them (``ST_Point``), of a sample of the rows.
    """

    size: int
    row_count: int
    geometry_types: list[str]


@dataclass(frozen=True)
class _Size:
    known: bool
    total: int
    heap: int
    page: int
    relpages: int
    reltuples: float

    def state(self, dataset: Dataset) -> str:
        written = dataset.written_at.isoformat() if dataset.written_at else "-"
        return f"{dataset.table_oid}/{written}/{self.heap}"

    def rows(self, counted: int) -> int:
        """Rows of the table, of which ``counted`` are in its first pages."""
        pages = self.heap // self.page
        if pages <= _COUNTED_PAGES:
            return counted
        if self.reltuples > 0 and self.relpages > 0:
            return round(self.reltuples / self.relpages * pages)
        return round(counted / _COUNTED_PAGES * pages)


async def figures_of(
    database: Database, account: Account, datasets: Sequence[Dataset]
) -> Mapping[int, Figures]:
    """The figures of these datasets by ``table_oid``; a dataset dropped meanwhile has zeros."""
    if not datasets:
        return {}
    async with database.metadata() as conn:
        sizes = await _sizes(conn, [dataset.table_oid for dataset in datasets])
    unread = [
        dataset
        for dataset in datasets
        if (size := sizes.get(dataset.table_oid)) and size.known and size.state(dataset) != dataset.seen_state
    ]
    seen = await _read(database, account, unread) if unread else {}
    if seen:
        await _save(database, [dataset for dataset in unread if dataset.table_oid in seen], sizes, seen)
    return {dataset.table_oid: _figures(dataset, sizes, seen) for dataset in datasets}


async def sizes_of(database: Database, datasets: Sequence[Dataset]) -> Mapping[int, int]:
    """Bytes of these datasets that count towards the quota, by ``table_oid``."""
    async with database.metadata() as conn:
        sizes = await _sizes(conn, [dataset.table_oid for dataset in datasets])
    return {oid: size.total // 2 for oid, size in sizes.items()}


def _figures(
    dataset: Dataset, sizes: Mapping[int, _Size], seen: Mapping[int, tuple[int, list[str]]]
) -> Figures:
    size = sizes.get(dataset.table_oid)
    counted, types = seen.get(dataset.table_oid, (dataset.seen_rows or 0, dataset.seen_geometry_types or []))
    return Figures(
        size=size.total // 2 if size else 0,
        row_count=size.rows(counted) if size else 0,
        geometry_types=types,
    )


async def _sizes(conn: AsyncConnection[Any], oids: Sequence[int]) -> dict[int, _Size]:
    await conn.execute("SELECT set_config('lock_timeout', %s, true)", (_LOCK_WAIT,))
    try:
        async with conn.transaction():
            cursor = await conn.execute(_SIZES, {"oids": list(oids), "exact": True})
            rows = await cursor.fetchall()
    except errors.LockNotAvailable:  # locked between the look at pg_locks and the measuring
        cursor = await conn.execute(_SIZES, {"oids": list(oids), "exact": False})
        rows = await cursor.fetchall()
    return {
        oid: _Size(bool(known), int(total or 0), int(heap or 0), page, relpages, reltuples)
        for oid, known, relpages, reltuples, total, heap, page in rows
    }


async def _read(
    database: Database, account: Account, datasets: Sequence[Dataset]
) -> dict[int, tuple[int, list[str]]]:
    seen: dict[int, tuple[int, list[str]]] = {}
    # Functions of the account's own, which a reading may run, can outlive every timeout of a statement.
    with suppress(Stopped):
        async with session_of(database, account, seconds=_PATIENCE + _LAST_READING) as session:
            await _read_all(session, account, datasets, seen)
    return seen


async def _read_all(
    session: AsyncConnection[Any],
    account: Account,
    datasets: Sequence[Dataset],
    seen: dict[int, tuple[int, list[str]]],
) -> None:
    deadline = time.monotonic() + _PATIENCE
    for start in range(0, len(datasets), _TABLES_PER_QUERY):
        part = datasets[start : start + _TABLES_PER_QUERY]
        try:
            seen.update(await _read_together(session, account, part))
        except Error:
            # One of them is locked, slow, or gone: that one shall not hide the others.
            for dataset in part:
                if time.monotonic() < deadline:
                    seen.update(await _read_one(session, account, dataset))


async def _read_one(
    session: AsyncConnection[Any], account: Account, dataset: Dataset
) -> dict[int, tuple[int, list[str]]]:
    try:
        return await _read_together(session, account, [dataset])
    except Error:
        if session.closed:  # it was not the table
            raise
        return {}


async def _read_together(
    session: AsyncConnection[Any], account: Account, datasets: Sequence[Dataset]
) -> dict[int, tuple[int, list[str]]]:
    query = sql.SQL(" UNION ALL ").join(
        sql.SQL("({})").format(
            _READ.format(
                oid=sql.Literal(dataset.table_oid),
                table=sql.Identifier(account.schema, dataset.name),
                end=sql.Literal(f"({_COUNTED_PAGES},0)"),
                sample=sql.Literal(_SAMPLED_ROWS),
            )
        )
        for dataset in datasets
    )
    async with session.transaction():
        await session.execute(_CAUTIOUSLY, (_LOCK_WAIT, _READ_TIME))
        cursor = await session.execute(query)
        return {oid: (count, types) for oid, count, types in await cursor.fetchall()}


async def _save(
    database: Database,
    datasets: Sequence[Dataset],
    sizes: Mapping[int, _Size],
    seen: Mapping[int, tuple[int, list[str]]],
) -> None:
    async with database.metadata() as conn:
        await conn.execute(
            _SAVE,
            {
                "ids": [dataset.id for dataset in datasets],
                "states": [sizes[dataset.table_oid].state(dataset) for dataset in datasets],
                "rows": [seen[dataset.table_oid][0] for dataset in datasets],
                "types": [",".join(seen[dataset.table_oid][1]) for dataset in datasets],
            },
        )
