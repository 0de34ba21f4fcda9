"""Synchronizations as the platform remembers them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
from carto_like.server.imports.codes import STUCK
from carto_like.server.imports.seen import Seen
from carto_like.server.pool import Connection

QUEUED: Final = "queued"
SYNCING: Final = "syncing"
SUCCESS: Final = "success"
FAILURE: Final = "failure"

SYNCS: Final = """
SELECT s.id, s.account_id, s.dataset_id, d.table_name AS name, s.import_id, s.data_type, s.source, s.options,
       s.seconds, s.state, s.run_at, s.ran_at, s.retried_times, s.error_code, s.error_message, s.etag,
       s.modified_at, s.digest, s.created_at, s.updated_at
FROM carto_like.synchronizations s LEFT JOIN carto_like.datasets d ON d.id = s.dataset_id
"""
_FORGET_SEEN = sql.SQL("etag = NULL, modified_at = NULL, digest = NULL")
# Once a table is there that it should replace, a run has no purpose without its synchronization.
_CALL_OFF = """
UPDATE carto_like.imports SET state = 'failure', error_code = %s, updated_at = now(),
       error_reason = 'The synchronization was deleted'
WHERE synchronization_id = %s AND options ? 'replacing' AND state NOT IN ('complete', 'failure')
"""


@dataclass(frozen=True)
class Sync:
    """One synchronization, at the time it was read.

    Attributes:
        dataset_id: what follows the source; None before the first run has made it.
        name: of the dataset's table.
        import_id: the present run, or the last one.
        source, options, data_type: as those of an import.
        seconds: between two runs.
        etag, modified_at, digest: of the data that the dataset holds.
    """

    id: UUID
    account_id: UUID
    dataset_id: UUID | None
    name: str | None
    import_id: UUID | None
    data_type: str
    source: dict[str, Any] = field(repr=False)
    options: dict[str, Any]
    seconds: int
    state: str
    run_at: datetime
    ran_at: datetime
    retried_times: int
    error_code: int | None
    error_message: str | None
    etag: str | None
    modified_at: datetime | None
    digest: str | None
    created_at: datetime
    updated_at: datetime

    @property
    def seen(self) -> Seen:
        """By what the data that the dataset holds is known again."""
        return Seen(self.etag, self.modified_at, self.digest)


class Syncs:
    """The synchronizations of all accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, connection: Connection, account: Account, sync_id: UUID, **values: Any) -> None:
        """Remember a new synchronization, waiting for its first run.

        Args:
            connection: the platform's own, with whose transaction it appears.
            account: whose it is.
            sync_id: its id.
            **values: ``data_type``, ``source``, ``options`` and ``seconds``.
        """
        await connection.execute(
            "INSERT INTO carto_like.synchronizations (id, account_id, data_type, source, options, seconds, "
            "state, run_at, ran_at) VALUES (%(id)s, %(account_id)s, %(data_type)s, %(source)s, %(options)s, "
            "%(seconds)s, 'created', now() + make_interval(secs => %(seconds)s), now())",
            {
                **values,
                "id": sync_id,
                "account_id": account.id,
                "source": Jsonb(values["source"]),
                "options": Jsonb(values["options"]),
            },
        )

    async def get(self, sync_id: UUID, *, connection: Connection | None = None) -> Sync | None:
        """The synchronization with this id, whoever's it is, as a connection of our own sees it."""
        found = await self._find("s.id = %s", sync_id, connection)
        return found[0] if found else None

    async def all(self, account: Account) -> list[Sync]:
        """The account's synchronizations, oldest first."""
        return await self._find("s.account_id = %s", account.id)

    async def of_datasets(self, dataset_ids: Iterable[UUID]) -> dict[UUID, Sync]:
        """By the dataset's id, the synchronizations of those that have one."""
        wanted = list(dataset_ids)
        found = await self._find("s.dataset_id = ANY (%s)", wanted) if wanted else []
        return {sync.dataset_id: sync for sync in found if sync.dataset_id is not None}

    async def change(
        self,
        sync_id: UUID,
        *,
        seconds: int | None = None,
        source: Mapping[str, str] | None = None,
        options: Mapping[str, Any],
    ) -> None:
        """Change what is asked for; another interval counts from the last run.

        Args:
            sync_id: which one.
            seconds: between two runs.
            source: the address that the data comes from now.
            options: those that change.
        """
        settings: list[sql.Composable] = [sql.SQL("options = options || %(options)s, updated_at = now()")]
        if seconds is not None:
            due = "seconds = %(seconds)s, run_at = ran_at + make_interval(secs => %(seconds)s)"
            settings.append(sql.SQL(due))
        if source is not None:
            settings.append(sql.SQL("source = %(source)s, data_type = 'url'"))
        if source is not None or options:
            # The same file may have to be read in another way.
            settings.append(_FORGET_SEEN)
        values = {"id": sync_id, "seconds": seconds, "options": Jsonb(dict(options))}
        values["source"] = Jsonb(dict(source or {}))
        query = sql.SQL("UPDATE carto_like.synchronizations SET {} WHERE id = %(id)s")
        async with self._database.metadata() as conn:
            await conn.execute(query.format(sql.SQL(", ").join(settings)), values)

    async def delete(self, sync_id: UUID) -> None:
        """Forget a synchronization; its dataset stays as it is, even when a run is under way."""
        async with self._database.metadata() as conn:
            await conn.execute(_CALL_OFF, (STUCK, sync_id))
            await conn.execute("DELETE FROM carto_like.synchronizations WHERE id = %s", (sync_id,))

    async def _find(self, condition: str, value: Any, connection: Connection | None = None) -> list[Sync]:
        query = f"{SYNCS} WHERE {condition} ORDER BY s.created_at, s.id"
        async with (
            self._database.metadata() if connection is None else nullcontext(connection) as conn,
            conn.cursor(row_factory=class_row(Sync)) as cursor,
        ):
            return await (await cursor.execute(query.encode(), (value,))).fetchall()
