"""The name under which an imported table appears, and the table that it may take the place of."""

from __future__ import annotations

from psycopg import errors, sql

from carto_like.pure.names import MAX_LENGTH, clean_table_name, table_name
from carto_like.server.accounts import Account
from carto_like.server.imports import codes
from carto_like.server.imports.codes import ImportFailure
from carto_like.server.pool import Connection
from carto_like.server.services.replacing import overwrite_table, rename

_ATTEMPTS = 20
_TAKEN = "SELECT relname::text FROM pg_catalog.pg_class WHERE relnamespace = %s::regnamespace::oid"
_BELONGINGS = """
SELECT relname::text, relkind::text FROM pg_catalog.pg_class WHERE relnamespace = %s::regnamespace::oid
"""
_RENAMED = {"i": "INDEX", "S": "SEQUENCE"}
_EXISTING = """
SELECT c.relkind = 'r' AND pg_has_role(c.relowner, 'USAGE') FROM pg_catalog.pg_class c
WHERE c.relnamespace = %s::regnamespace::oid AND c.relname = %s
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
        await overwrite_table(session, account, stage, exact)
        await rename_belongings(session, account, stage, exact)
        return exact, True
    name = await _rename_to_free(session, account, stage, wanted, taken)
    await rename_belongings(session, account, stage, name)
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
                await rename(session, account, stage, name)
        except (errors.DuplicateTable, errors.DuplicateObject, errors.UniqueViolation):
            # Somebody makes a table of this name in this moment; that one was first.
            taken.append(name)
        else:
            return name
    raise ImportFailure(codes.LOAD_FAILED, f"All names like {clean_table_name(wanted)} are being taken")


async def rename_belongings(session: Connection, account: Account, stage: str, name: str) -> None:
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
