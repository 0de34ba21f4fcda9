"""The name under which an imported table appears, and the table that it may take the place of."""

from __future__ import annotations

from psycopg import errors, sql

from carto_like.pure.names import MAX_LENGTH, clean_table_name, table_name
from carto_like.server.accounts import Account
from carto_like.server.imports import codes
from carto_like.server.imports.codes import ImportFailure
from carto_like.server.pool import Connection

_ATTEMPTS = 20
_LOCK_WAIT = "10s"
_TAKEN = "SELECT relname::text FROM pg_catalog.pg_class WHERE relnamespace = %s::regnamespace::oid"
_BELONGINGS = """
SELECT relname::text, relkind::text FROM pg_catalog.pg_class WHERE relnamespace = %s::regnamespace::oid
"""
_RENAMED = {"i": "INDEX", "S": "SEQUENCE"}
_EXISTING = """
SELECT c.relkind = 'r' AND pg_has_role(c.relowner, 'USAGE') FROM pg_catalog.pg_class c
WHERE c.relnamespace = %s::regnamespace::oid AND c.relname = %s
"""
_COLUMNS = """
SELECT a.attname::text, CASE WHEN t.typname = 'geometry' THEN 'geometry' ELSE t.typcategory::text END
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
  AND a.attname NOT IN ('cartodb_id', 'the_geom_webmercator')
"""
# What a new table has by itself, and what belongs to a constraint, is not made again.
_INDEXES = """
SELECT pg_get_indexdef(i.indexrelid) FROM pg_catalog.pg_index i
WHERE i.indrelid = %(table)s::regclass
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid)
  AND NOT (i.indnatts = 1 AND i.indpred IS NULL AND EXISTS (
        SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
        JOIN pg_catalog.pg_am m ON m.oid = x.relam
        WHERE a.attrelid = i.indrelid AND a.attnum = i.indkey[0] AND m.amname = 'gist'
          AND a.attname IN ('the_geom', 'the_geom_webmercator')))
"""
_TRIGGERS = """
SELECT pg_get_triggerdef(oid) FROM pg_catalog.pg_trigger
WHERE tgrelid = %(table)s::regclass AND NOT tgisinternal
  AND tgname NOT IN ('test_quota', 'test_quota_per_row', 'track_updates',
                     'update_the_geom_webmercator_trigger')
"""
_GRANTS = """
SELECT format('GRANT %%s ON %%s TO %%s%%s', a.privilege_type, %(table)s::text,
              CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,
              CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_catalog.pg_class c, aclexplode(c.relacl) a
WHERE c.oid = %(table)s::regclass AND a.grantee <> c.relowner
"""


async def taken_names(session: Connection, account: Account) -> list[str]:
    """The names of all relations in the account's schema."""
    cursor = await session.execute(_TAKEN, (_schema(account),))
    return [name for (name,) in await cursor.fetchall()]


async def publish(
    session: Connection, account: Account, stage: str, wanted: str, *, overwrite: bool
) -> tuple[str, bool]:
    """Give the finished table its name, in the transaction that made it.

    Args:
        session: of the account's role.
        account: whose schema it is in.
        stage: the name that the table has now.
        wanted: any text that a name is made of.
        overwrite: take the place of a table that has this name.

    Returns:
        The name, and whether it replaced a table.

    Raises:
        ImportFailure: the table that is to be replaced has other columns, or others depend on it.
    """
    taken = [name for name in await taken_names(session, account) if not name.startswith(stage)]
    exact = clean_table_name(wanted)
    if overwrite and exact in taken:
        cursor = await session.execute(_EXISTING, (_schema(account), exact))
        if await cursor.fetchone() != (True,):
            raise ImportFailure(codes.OTHER_COLUMNS, f"{exact} is no table of the account's own")
        await _replace(session, account, stage, exact)
        await _rename_belongings(session, account, stage, exact)
        return exact, True
    name = await _rename_to_free(session, account, stage, wanted, taken)
    await _rename_belongings(session, account, stage, name)
    return name, False


async def hide(session: Connection, account: Account, stage: str) -> None:
    """Take away what the account's default privileges may have given to everybody."""
    await session.execute(
        sql.SQL("REVOKE ALL ON {} FROM PUBLIC, publicuser, {}").format(
            sql.Identifier(account.schema, stage), sql.Identifier(account.public_role)
        )
    )


async def _rename_to_free(
    session: Connection, account: Account, stage: str, wanted: str, taken: list[str]
) -> str:
    for _ in range(_ATTEMPTS):
        name = table_name(wanted, taken)
        try:
            async with session.transaction():
                await _rename(session, account, stage, name)
        except (errors.DuplicateTable, errors.DuplicateObject, errors.UniqueViolation):
            # Somebody makes a table of this name in this moment; that one was first.
            taken.append(name)
        else:
            return name
    raise ImportFailure(codes.LOAD_FAILED, f"All names like {clean_table_name(wanted)} are being taken")


async def _replace(session: Connection, account: Account, stage: str, name: str) -> None:
    old, new = (sql.Identifier(account.schema, table).as_string() for table in (name, stage))
    try:
        async with session.transaction():
            await session.execute("SELECT set_config('lock_timeout', %s, true)", (_LOCK_WAIT,))
            await session.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.SQL(old)))
            await _check_columns(session, old, new)
            restored = [
                row[0]
                for query in (_GRANTS, _INDEXES, _TRIGGERS)
                for row in await (await session.execute(query.encode(), {"table": old})).fetchall()
            ]
            await session.execute(sql.SQL("DROP TABLE {}").format(sql.SQL(old)))
            await _rename(session, account, stage, name)
            for statement in restored:
                await session.execute(statement.encode())
    except errors.DependentObjectsStillExist as error:
        raise ImportFailure(codes.IN_USE, error.diag.message_detail or "") from error
    except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
        raise ImportFailure(codes.IN_USE, f"{name} is in use by another session") from error


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


async def _rename(session: Connection, account: Account, stage: str, name: str) -> None:
    await session.execute(
        sql.SQL("ALTER TABLE {} RENAME TO {}").format(
            sql.Identifier(account.schema, stage), sql.Identifier(name)
        )
    )


async def _rename_belongings(session: Connection, account: Account, stage: str, name: str) -> None:
    """Indexes and the sequence are called after their table."""
    cursor = await session.execute(_BELONGINGS, (_schema(account),))
    relations = await cursor.fetchall()
    taken = {relation for relation, _ in relations}
    statements: list[sql.Composable] = []
    for old, kind in relations:
        if kind not in _RENAMED or not old.startswith(f"{stage}_"):
            continue
        suffix = old.removeprefix(stage)
        new = _free(name, suffix, taken)
        taken.add(new)
        statements.append(
            sql.SQL("ALTER {} {} RENAME TO {}").format(
                sql.SQL(_RENAMED[kind]), sql.Identifier(account.schema, old), sql.Identifier(new)
            )
        )
    await session.execute(sql.SQL("; ").join(statements))


def _free(stem: str, suffix: str, taken: set[str]) -> str:
    number = 0
    while True:
        ending = suffix + (f"{number}" if number else "")
        name = stem[: MAX_LENGTH - len(ending)] + ending
        if name not in taken:
            return name
        number += 1


def _schema(account: Account) -> str:
    return sql.Identifier(account.schema).as_string()
