"""Which datasets have something in a part of the world."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from psycopg import AsyncConnection, errors, sql

from carto_like.server.accounts import Account
from carto_like.server.db import Database
from carto_like.server.errors import Problem
from carto_like.server.services.registry import Dataset
from carto_like.server.services.unattended import session_of
from carto_like.server.sqlapi.guard import Stopped

Box = tuple[float, float, float, float]
"""Longitude and latitude: west, south, east, north."""

_LOCK_WAIT, _READ_TIME = "1s", "10s"
_PATIENCE = 12.0  # seconds for all of the tables
_TABLES_PER_QUERY = 50
_CAUTIOUSLY = "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)"


async def touching(database: Database, account: Account, datasets: Sequence[Dataset], box: Box) -> list[int]:
    """The tables (oids) among ``datasets`` that have a geometry whose box touches this one.

    Raises:
        Problem: 503 when a table is locked or takes too long to look through.
    """
    if not datasets:
        return []
    try:
        async with session_of(database, account, seconds=_PATIENCE) as session:
            return await _touching_all(session, account, datasets, box)
    except Stopped as late:
        raise _busy() from late


async def _touching_all(
    session: AsyncConnection[Any], account: Account, datasets: Sequence[Dataset], box: Box
) -> list[int]:
    found: list[int] = []
    for start in range(0, len(datasets), _TABLES_PER_QUERY):
        part = datasets[start : start + _TABLES_PER_QUERY]
        try:
            found += await _touching(session, account, part, box)
        except errors.ProgrammingError:
            for dataset in part:
                # Gone meanwhile, or its geometry is none: nothing of it lies anywhere.
                with suppress(errors.ProgrammingError):
                    found += await _touching(session, account, [dataset], box)
    return found


async def _touching(
    session: AsyncConnection[Any], account: Account, datasets: Sequence[Dataset], box: Box
) -> list[int]:
    try:
        async with session.transaction():
            await session.execute(_CAUTIOUSLY, (_LOCK_WAIT, _READ_TIME))
            cursor = await session.execute(_query(account, datasets, box))
            return [oid for (oid,) in await cursor.fetchall()]
    except (errors.LockNotAvailable, errors.QueryCanceled) as busy:
        raise _busy() from busy


def _busy() -> Problem:
    text = "Some tables are in use and cannot be looked through for 'bbox' now: try again"
    return Problem(503, text, headers={"Retry-After": "1"})


def _query(account: Account, datasets: Sequence[Dataset], box: Box) -> sql.Composed:
    envelope = sql.SQL("ST_MakeEnvelope({}, 4326)").format(sql.SQL(", ").join(map(sql.Literal, box)))
    return sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT {}::bigint WHERE EXISTS (SELECT FROM {} WHERE the_geom && {})").format(
            sql.Literal(dataset.table_oid), sql.Identifier(account.schema, dataset.name), envelope
        )
        for dataset in datasets
    )
