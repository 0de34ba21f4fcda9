"""Changes to a dataset: what is said of it, what it is called, who may read it, whether it exists.

Two sides change, the platform's metadata and the client's table, on two connections. They are ended in an
order in which a failure leaves the old state: as long as one side has not been ended it can still undo the
other. Only a database that dies between the two last commits, which touch nothing any more, leaves a
description changed and a name not; and then a dataset never becomes more public than it was asked to be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from psycopg import AsyncConnection, errors, sql

from carto_like.pure.names import clean_table_name, table_name
from carto_like.server.accounts import Account
from carto_like.server.db import Database
from carto_like.server.errors import Problem
from carto_like.server.services.registry import Dataset, Privacy

_LOCK_WAIT = "1s"
_RENAME_ATTEMPTS = 10
_GRANT = "GRANT SELECT ON {} TO publicuser"
_REVOKE = "REVOKE SELECT ON {} FROM publicuser, PUBLIC, {}"

DESCRIBED = ("display_name", "title", "description", "license", "attributions", "source", "tags", "locked")
"""What can be said of a dataset."""


@dataclass(frozen=True)
class Changes:
    """What shall become of a dataset; None and absence leave it as it is.

    Attributes:
        name: any text; the table gets a valid and free name made from it.
        described: new values by :data:`DESCRIBED` name.
    """

    name: str | None = None
    privacy: Privacy | None = None
    described: Mapping[str, Any] = field(default_factory=dict)


async def change(database: Database, account: Account, dataset: Dataset, changes: Changes) -> None:
    """Make these changes, all or none.

    Raises:
        Problem: 400 with the reason, and nothing has changed; 404 when the table is gone.
    """
    for attempt in range(_RENAME_ATTEMPTS):
        name = await _new_name(database, account, dataset, changes.name)
        try:
            with _refusals(dataset):
                await _change(database, account, dataset, changes, name)
            return
        except (errors.DuplicateTable, errors.DuplicateObject, errors.UniqueViolation) as taken:
            # Somebody took the name between the look and the change, or takes it in this moment (then it is
            # the catalog's index that says so); the next look sees that.
            if attempt == _RENAME_ATTEMPTS - 1:
                raise Problem(400, f"The name {name} has just been taken") from taken


async def drop(database: Database, account: Account, dataset: Dataset) -> None:
    """Drop the table and all that is known of it.

    Raises:
        Problem: 400 when other objects depend on it or it is in use for longer than a second.
    """
    with _refusals(dataset):
        async with database.login(account.role, account.schema) as session, session.transaction():
            await _hold(session, account, dataset, "ACCESS EXCLUSIVE")
            await session.execute(sql.SQL("DROP TABLE {}").format(_table(account, dataset.name)))
    # Were these to fail, the next look at the catalogs would do the same.
    async with database.metadata() as conn:
        await conn.execute("DELETE FROM carto_like.datasets WHERE id = %s", (dataset.id,))
        await conn.execute(
            "DELETE FROM cartodb.cdb_tablemetadata WHERE tabname::oid = %s::oid", (dataset.table_oid,)
        )


async def _new_name(database: Database, account: Account, dataset: Dataset, wanted: str | None) -> str | None:
    """The name that the table shall get; None when it keeps its own."""
    if wanted is None or dataset.name in (wanted, clean_table_name(wanted)):
        return None
    if not wanted.strip():
        raise Problem(400, "Name can't be blank")
    async with database.metadata() as conn:
        cursor = await conn.execute(
            "SELECT relname::text FROM pg_catalog.pg_class"
            " WHERE relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %s)"
            " AND oid <> %s::oid",
            (account.schema, dataset.table_oid),
        )
        return table_name(wanted, [name for (name,) in await cursor.fetchall()])


async def _change(
    database: Database, account: Account, dataset: Dataset, changes: Changes, name: str | None
) -> None:
    hides = changes.privacy == "private"
    opens_or_hides = changes.privacy is not None and hides != (dataset.privacy == "private")
    if name is None and not opens_or_hides:
        async with database.metadata() as conn:
            await _describe(conn, dataset, changes)
        return
    privacy = changes.privacy if opens_or_hides else None
    async with database.login(account.role, account.schema) as session:
        if hides:
            # The table is closed before the platform forgets that it was not to be listed.
            async with database.metadata() as conn:
                await _describe(conn, dataset, changes)
                async with session.transaction():
                    await _alter(session, account, dataset, privacy, name)
        else:
            async with session.transaction(), database.metadata() as conn:
                await _describe(conn, dataset, changes)
                await _alter(session, account, dataset, privacy, name)


async def _describe(conn: AsyncConnection[Any], dataset: Dataset, changes: Changes) -> None:
    values = {column: changes.described[column] for column in DESCRIBED if column in changes.described}
    if changes.privacy is not None:
        values["link"] = changes.privacy == "link"
    settings: list[sql.Composable] = [sql.SQL("updated_at = now()")]
    settings += [
        sql.SQL("{} = {}").format(sql.Identifier(column), sql.Placeholder(column)) for column in values
    ]
    query = sql.SQL("UPDATE carto_like.datasets SET {} WHERE id = %(id)s").format(
        sql.SQL(", ").join(settings)
    )
    cursor = await conn.execute(query, {**values, "id": dataset.id})
    if not cursor.rowcount:
        raise _gone()


async def _alter(
    session: AsyncConnection[Any],
    account: Account,
    dataset: Dataset,
    privacy: Privacy | None,
    name: str | None,
) -> None:
    await _hold(session, account, dataset, "ACCESS EXCLUSIVE" if name else "ACCESS SHARE")
    if privacy:
        await open_or_hide(session, account, dataset.name, privacy)
    if name:
        await session.execute(
            sql.SQL("ALTER TABLE {} RENAME TO {}").format(_table(account, dataset.name), sql.Identifier(name))
        )


async def open_or_hide(session: AsyncConnection[Any], account: Account, name: str, privacy: Privacy) -> None:
    """Let everybody read a table, or nobody but its owner, with the transaction that the session is in."""
    verb = _REVOKE if privacy == "private" else _GRANT
    tables = [name, *await _overviews(session, account, name)]
    await session.execute(
        sql.SQL(verb).format(
            sql.SQL(", ").join(_table(account, table) for table in tables),
            sql.Identifier(account.public_role),
        )
    )


async def _overviews(session: AsyncConnection[Any], account: Account, name: str) -> list[str]:
    """Tables that hold a dataset's rows thinned out for small scales; who reads one reads the others."""
    cursor = await session.execute(
        "SELECT relname::text FROM pg_catalog.pg_class"
        " WHERE relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %s)"
        " AND relkind = 'r' AND relowner = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = %s)"
        " AND relname ~ '^_vovw_[0-9]+_' AND regexp_replace(relname, '^_vovw_[0-9]+_', '') = %s",
        (account.schema, account.role, name),
    )
    return [overview for (overview,) in await cursor.fetchall()]


async def _hold(session: AsyncConnection[Any], account: Account, dataset: Dataset, mode: str) -> None:
    """Lock the table until the transaction ends, and make sure that it is still the one that was meant."""
    await session.execute("SELECT set_config('lock_timeout', %s, true)", (_LOCK_WAIT,))
    await session.execute(
        sql.SQL("LOCK TABLE {} IN {} MODE").format(_table(account, dataset.name), sql.SQL(mode))
    )
    cursor = await session.execute(
        "SELECT c.oid::bigint FROM pg_catalog.pg_class c"
        " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s",
        (account.schema, dataset.name),
    )
    if await cursor.fetchone() != (dataset.table_oid,):
        raise _gone()


@contextmanager
def _refusals(dataset: Dataset) -> Iterator[None]:
    try:
        yield
    except (errors.LockNotAvailable, errors.DeadlockDetected) as busy:
        text = f"Table {dataset.name} is in use by another session, nothing was changed: try again"
        raise Problem(400, text) from busy
    except errors.UndefinedTable as gone:
        raise _gone() from gone
    except (errors.DependentObjectsStillExist, errors.InsufficientPrivilege) as refused:
        reasons = (refused.diag.message_primary, refused.diag.message_detail)
        raise Problem(400, ": ".join(reason for reason in reasons if reason)) from refused


def _gone() -> Problem:
    return Problem(404, "Visualization does not exist")


def _table(account: Account, name: str) -> sql.Identifier:
    return sql.Identifier(account.schema, name)
