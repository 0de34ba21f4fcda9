"""One table takes the place of another, with all that others were given on it, in one transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from psycopg import errors, sql

from carto_like.server.accounts import Account
from carto_like.server.imports import codes
from carto_like.server.imports.codes import ImportFailure
from carto_like.server.pool import Connection

_LOCK_WAIT = "10s"
_COLUMNS = """
SELECT a.attname::text, CASE WHEN t.typname = 'geometry' THEN 'geometry' ELSE t.typcategory::text END
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
  AND a.attname NOT IN ('cartodb_id', 'the_geom_webmercator')
"""
# What a new table has by itself, and what belongs to a constraint, is not made again.
_INDEXES = """
SELECT pg_get_indexdef(i.indexrelid) FROM pg_catalog.pg_index i
WHERE i.indrelid = %(old)s::regclass
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid)
  AND NOT (i.indnatts = 1 AND i.indpred IS NULL AND EXISTS (
        SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
        JOIN pg_catalog.pg_am m ON m.oid = x.relam
        WHERE a.attrelid = i.indrelid AND a.attnum = i.indkey[0] AND m.amname = 'gist'
          AND a.attname IN ('the_geom', 'the_geom_webmercator')))
"""
_TRIGGERS = """
SELECT pg_get_triggerdef(oid) FROM pg_catalog.pg_trigger
WHERE tgrelid = %(old)s::regclass AND NOT tgisinternal
  AND tgname NOT IN ('test_quota', 'test_quota_per_row', 'track_updates',
                     'update_the_geom_webmercator_trigger')
"""
_GRANT = """
format('GRANT %%s ON {what} TO %%s%%s', a.privilege_type, {names},
       CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,
       CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
"""
_GRANTS = f"""
SELECT {_GRANT.format(what="%%s", names="%(old)s::text")}
FROM pg_catalog.pg_class c, aclexplode(c.relacl) a
WHERE c.oid = %(old)s::regclass AND a.grantee <> c.relowner
"""
# Who may add rows needs the numbers for them.
_SEQUENCE_GRANTS = f"""
SELECT {_GRANT.format(what="SEQUENCE %%s", names="pg_get_serial_sequence(%(new)s, 'cartodb_id')")}
FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relkind = 'S',
     aclexplode(c.relacl) a
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
  AND d.refobjid = %(old)s::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
  AND a.grantee <> c.relowner AND pg_get_serial_sequence(%(new)s, 'cartodb_id') IS NOT NULL
"""
_COLUMN_GRANTS = """
SELECT format('GRANT %%s (%%I) ON %%s TO %%s%%s', a.privilege_type, t.attname, %(old)s::text,
       CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,
       CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_catalog.pg_attribute t, aclexplode(t.attacl) a
WHERE t.attrelid = %(old)s::regclass AND t.attnum > 0 AND NOT t.attisdropped
"""
_GIVEN = (_GRANTS, _SEQUENCE_GRANTS)
_MADE = (_COLUMN_GRANTS, _INDEXES, _TRIGGERS)
# What was made for columns that the new data has no more, or has as another type.
_PAST = (errors.UndefinedColumn, errors.UndefinedObject, errors.UndefinedFunction, errors.DatatypeMismatch)
_STATE = """
SELECT c.oid::bigint, c.relrowsecurity FROM pg_catalog.pg_class c
WHERE c.oid = %s::regclass AND c.relkind = 'r' AND pg_has_role(c.relowner, 'USAGE')
"""


@dataclass(frozen=True)
class Target:
    """The table whose place is to be taken.

    Attributes:
        oid: by which it is known to be still the same.
    """

    oid: int
    name: str


async def overwrite_table(session: Connection, account: Account, stage: str, name: str) -> None:
    """Replace a table by one that has the same columns, or more.

    Raises:
        ImportFailure: it has not, or other objects depend on the table.
    """
    old, new = _names(account, name, stage)
    async with _replacing(session, name, old):
        row = await (await session.execute(_STATE, (old,))).fetchone()
        if row is not None and row[1]:
            raise ImportFailure(codes.IN_USE, f"{name} has row security, which would be lost")
        await _check_columns(session, old, new)
        given, made = (
            await _statements(session, _GIVEN, old, new),
            await _statements(session, _MADE, old, new),
        )
        await _swap(session, account, stage, name)
        for statement in (*given, *made):
            await session.execute(statement.encode())


async def take_place(session: Connection, account: Account, stage: str, target: Target) -> None:
    """Replace a table by one of any shape; what was made for columns that are no more is lost.

    Raises:
        ImportFailure: the table is not there any more, or other objects depend on it.
    """
    old, new = _names(account, target.name, stage)
    async with _replacing(session, target.name, old):
        row = await (await session.execute(_STATE, (old,))).fetchone()
        if row is None or row[0] != target.oid:
            raise ImportFailure(codes.NOT_A_DATASET, f"{target.name} was renamed or replaced meanwhile")
        if row[1]:
            raise ImportFailure(codes.IN_USE, f"{target.name} has row security, which would be lost")
        given, made = (
            await _statements(session, _GIVEN, old, new),
            await _statements(session, _MADE, old, new),
        )
        await _swap(session, account, stage, target.name)
        for statement in given:
            await session.execute(statement.encode())
        for statement in made:
            await _make_if_possible(session, statement)


async def rename(session: Connection, account: Account, stage: str, name: str) -> None:
    """Give a table another name."""
    await session.execute(
        sql.SQL("ALTER TABLE {} RENAME TO {}").format(
            sql.Identifier(account.schema, stage), sql.Identifier(name)
        )
    )


@asynccontextmanager
async def _replacing(session: Connection, name: str, old: str) -> AsyncIterator[None]:
    """A savepoint in which nobody else uses the table."""
    try:
        async with session.transaction():
            await session.execute("SELECT set_config('lock_timeout', %s, true)", (_LOCK_WAIT,))
            await session.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.SQL(old)))
            yield
    except errors.UndefinedTable as error:
        raise ImportFailure(codes.NOT_A_DATASET, f"{name} was renamed or dropped meanwhile") from error
    except errors.DependentObjectsStillExist as error:
        raise ImportFailure(codes.IN_USE, error.diag.message_detail or "") from error
    except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
        raise ImportFailure(codes.IN_USE, f"{name} is in use by another session") from error


async def _swap(session: Connection, account: Account, stage: str, name: str) -> None:
    await session.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(account.schema, name)))
    await rename(session, account, stage, name)


async def _statements(session: Connection, queries: tuple[str, ...], old: str, new: str) -> list[str]:
    names = {"old": old, "new": new}
    cursors = [await session.execute(query.encode(), names) for query in queries]
    return [row[0] for cursor in cursors for row in await cursor.fetchall()]


async def _make_if_possible(session: Connection, statement: str) -> None:
    try:
        async with session.transaction():
            await session.execute(statement.encode())
    except _PAST:
        return


async def _check_columns(session: Connection, old: str, new: str) -> None:
    kinds: list[dict[str, str]] = []
    for table in (old, new):
        cursor = await session.execute(_COLUMNS, (table,))
        kinds.append(dict(await cursor.fetchall()))
    for name, kind in kinds[0].items():
        if name not in kinds[1]:
            raise ImportFailure(codes.OTHER_COLUMNS, f"The column {name} is missing")
        if kinds[1][name] != kind:
            raise ImportFailure(codes.OTHER_COLUMNS, f"The column {name} is of another kind")


def _names(account: Account, *tables: str) -> list[str]:
    return [sql.Identifier(account.schema, table).as_string() for table in tables]
