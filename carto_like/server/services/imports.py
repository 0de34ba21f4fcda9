"""Imports as the platform remembers them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from carto_like.server.accounts import Account
from carto_like.server.db import Database
from carto_like.server.pool import Connection
from carto_like.server.services.syncends import note_end

ENQUEUED: Final = "enqueued"
PENDING: Final = "pending"
UPLOADING: Final = "uploading"
UNPACKING: Final = "unpacking"
IMPORTING: Final = "importing"
COMPLETE: Final = "complete"
FAILURE: Final = "failure"
FINAL: Final = (COMPLETE, FAILURE)

_COLUMNS = (
    "id, account_id, state, data_type, source, options, display_name, original_url, attempts, "
    "planned_oids::bigint[] AS planned_oids, warnings, error_code, error_reason, answer_status, "
    "answer_reason, table_id, table_name, tables_created_count, synchronization_id, seen, created_at, "
    "updated_at"
)
_CHANGEABLE = frozenset(
    {"state", "display_name", "original_url", "attempts", "planned_oids", "warnings", "error_code"}
    | {"error_reason", "answer_status", "answer_reason", "table_id", "table_name", "tables_created_count"}
    | {"seen"}
)


@dataclass(frozen=True)
class Import:
    """One import, at the time it was read.

    Attributes:
        source: ``file`` (path), ``url``, ``sql`` or ``connector``; none is a mistake. Nothing that is secret
            outlives the import.
        options: ``type_guessing``, ``quoted_fields_guessing``, ``content_guessing``, ``create_vis``,
            ``privacy``, ``collision_strategy``, ``table_name``, ``file_name``, ``user_defined_limits``;
            ``replacing`` when it is to take the place of the dataset of its synchronization.
        attempts: how often a worker began it.
        planned_oids: the tables that may have been made, see the table's own comment.
        warnings: what was left out.
        synchronization_id: of which it is a run.
        seen: what the source said of its data, see :class:`~carto_like.server.imports.seen.Seen`.
    """

    id: UUID
    account_id: UUID
    state: str
    data_type: str
    source: dict[str, Any]
    options: dict[str, Any]
    display_name: str | None
    original_url: str | None
    attempts: int
    planned_oids: list[int] | None
    warnings: dict[str, Any] | None
    error_code: int | None
    error_reason: str | None = field(repr=False)
    answer_status: int | None
    answer_reason: str | None
    table_id: UUID | None
    table_name: str | None
    tables_created_count: int | None
    synchronization_id: UUID | None
    seen: dict[str, str | None] | None
    created_at: datetime
    updated_at: datetime

    @property
    def is_replacing(self) -> bool:
        """Whether it takes the place of a dataset that follows its source."""
        return bool(self.options.get("replacing"))

    @property
    def is_final(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.state in FINAL


class Imports:
    """The imports of all accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self,
        connection: Connection,
        account: Account,
        import_id: UUID,
        *,
        data_type: str,
        source: Mapping[str, Any],
        options: Mapping[str, Any],
        display_name: str,
        original_url: str,
        synchronization_id: UUID | None = None,
    ) -> None:
        """Remember a new import, with the transaction of a connection of the platform's own."""
        await connection.execute(
            "INSERT INTO carto_like.imports (id, account_id, data_type, source, options, display_name, "
            "original_url, synchronization_id) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            (
                *(import_id, account.id, data_type, Jsonb(dict(source)), Jsonb(dict(options))),
                *(display_name, original_url, synchronization_id),
            ),
        )

    async def get(self, import_id: UUID) -> Import | None:
        """The import with this id, whoever's it is."""
        query = f"SELECT {_COLUMNS} FROM carto_like.imports WHERE id = %s"
        async with (
            self._database.metadata() as conn,
            conn.cursor(row_factory=class_row(Import)) as cursor,
        ):
            return await (await cursor.execute(query.encode(), (import_id,))).fetchone()

    async def running(self, account: Account, *, connection: Connection | None = None) -> list[UUID]:
        """The account's imports of the last day that it asked for and that have not ended, newest first."""
        async with self._database.metadata() if connection is None else nullcontext(connection) as conn:
            cursor = await conn.execute(
                "SELECT id FROM carto_like.imports WHERE account_id = %s AND state <> ALL (%s) "
                "AND created_at > now() - interval '24 hours' AND NOT options ? 'replacing' "
                "ORDER BY created_at DESC, id",
                (account.id, list(FINAL)),
            )
            return [import_id for (import_id,) in await cursor.fetchall()]

    async def update(self, import_id: UUID, *, connection: Connection | None = None, **values: Any) -> None:
        """Change what is remembered of an import that has not ended; nothing happens to one that has.

        Args:
            import_id: which one.
            connection: the platform's own, with whose transaction the change appears.
            values: by column.
        """
        unknown = values.keys() - _CHANGEABLE
        if unknown:
            raise ValueError(f"no such columns: {', '.join(sorted(unknown))}")
        changed: list[sql.Composable] = [
            sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in values
        ]
        if values.get("state") in FINAL:
            changed.append(sql.SQL("source = source - 'connector'"))
        settings = sql.SQL(", ").join(changed)
        query = sql.SQL(
            "UPDATE carto_like.imports SET {}, updated_at = now() "
            "WHERE id = %(id)s AND state <> ALL (%(final)s)"
        ).format(settings)
        parameters = {**values, "id": import_id, "final": list(FINAL)}
        async with self._database.metadata() if connection is None else nullcontext(connection) as conn:
            cursor = await conn.execute(query, parameters)
            if cursor.rowcount and values.get("state") in FINAL:
                await note_end(conn, import_id)

    async def account_of(self, found: Import) -> Account | None:
        """Whose import it is."""
        async with (
            self._database.metadata() as conn,
            conn.cursor(row_factory=class_row(Account)) as cursor,
        ):
            query = "SELECT id, name, role, public_role, quota_bytes FROM carto_like.users WHERE id = %s"
            return await (await cursor.execute(query, (found.account_id,))).fetchone()
