"""One import from its source to its dataset.

All that a reader can see appears in one transaction. Before that ends, the platform notes which table it is
about to make: so a worker that takes over after another's death knows whether there is anything left to do.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from carto_like.server.accounts import Account
from carto_like.server.errors import Problem
from carto_like.server.imports import codes
from carto_like.server.imports.archives import is_archive
from carto_like.server.imports.codes import ImportFailure
from carto_like.server.imports.connector import Connector
from carto_like.server.imports.fetch import Rules, fetch
from carto_like.server.imports.reader import ImportReaders
from carto_like.server.services import changes
from carto_like.server.services.datasets import Datasets
from carto_like.server.services.following import Following, follow
from carto_like.server.services.importload import LOCK_WAIT
from carto_like.server.services.importparts import MOST_TABLES, Parts, prepared
from carto_like.server.services.imports import (
    COMPLETE,
    FAILURE,
    FINAL,
    IMPORTING,
    PENDING,
    UNPACKING,
    UPLOADING,
    Import,
    Imports,
)
from carto_like.server.services.importtables import Made, Tables
from carto_like.server.services.registry import Dataset, Privacy
from carto_like.server.services.remotes import remote_rows

if TYPE_CHECKING:
    from carto_like.server.platform import Platform

logger = logging.getLogger(__name__)

MOST_ATTEMPTS: Final = 2
_OUTAGE_SECONDS, _OUTAGE_LOOKS = 0.5, 120
# Each waits a second for a table that others use.
_PRIVACY_LOOKS = 10


class _Overtaken(Exception):
    """Another worker has this import now."""


async def run_import(platform: Platform, import_id: UUID) -> None:
    """Carry out an import, and remember how it ended; nothing happens to one that has ended.

    When the connection to the database is lost, it begins anew, once.
    """
    imports = Imports(platform.database)
    while (found := await imports.get(import_id)) is not None and not found.is_final:
        try:
            await _attempt(platform, imports, found)
        except _Overtaken:
            return
        except (psycopg.OperationalError, Problem) as error:
            logger.warning("import %s lost the database: %s", import_id, type(error).__name__)
            await _reachable(platform)
    platform.readers.children.warm_up_soon()
    # Also when its user was deleted meanwhile, and the import with him.
    await asyncio.to_thread(shutil.rmtree, folder_of(platform, import_id), ignore_errors=True)


def folder_of(platform: Platform, import_id: UUID) -> Path:
    """Where the file of an import is kept until it is done."""
    return platform.uploads_dir / str(import_id)


async def _attempt(platform: Platform, imports: Imports, found: Import) -> None:
    account = await imports.account_of(found)
    if account is None:
        return
    run = _Run(platform, imports, replace(found, attempts=found.attempts + 1), account)
    try:
        if await run.is_made():
            await run.conclude()
        elif found.attempts >= MOST_ATTEMPTS:
            raise ImportFailure(codes.STUCK)
        else:
            state = UPLOADING if "url" in found.source and "sql" not in found.source else IMPORTING
            await imports.update(found.id, attempts=found.attempts + 1, state=state)
            await run.carry_out()
    except asyncio.CancelledError:
        # A worker that stops in good order gives it back; that is nobody's fault.
        with suppress(psycopg.Error, Problem):
            await imports.update(found.id, attempts=found.attempts, state=PENDING)
        raise
    except ImportFailure as failure:
        await _fail(imports, found, failure)
    except (_Overtaken, psycopg.OperationalError, Problem):
        raise
    except Exception:
        logger.exception("import %s", found.id)
        await _fail(imports, found, ImportFailure(codes.UNKNOWN))


async def _fail(imports: Imports, found: Import, failure: ImportFailure) -> None:
    status, reason = failure.answer or (None, None)
    values: dict[str, Any] = {"state": FAILURE, "error_code": failure.code, "error_reason": failure.reason}
    if failure.code == codes.ALL_SKIPPED:
        values |= {"state": COMPLETE, "tables_created_count": 0}
    # What a stranger sent may hold what PostgreSQL has no character for.
    values["error_reason"] = failure.reason.replace("\0", "")
    reason = reason and reason.replace("\0", "")
    await imports.update(found.id, **values, answer_status=status, answer_reason=reason)


async def _reachable(platform: Platform) -> None:
    for _ in range(_OUTAGE_LOOKS):
        # First, because one that answers but takes nothing, its disk being full, would be asked without end.
        await asyncio.sleep(_OUTAGE_SECONDS)
        with suppress(psycopg.OperationalError, Problem):
            async with platform.database.metadata() as conn:
                await conn.execute("SELECT 1")
            return


class _Run:
    """One attempt at one import."""

    def __init__(self, platform: Platform, imports: Imports, found: Import, account: Account) -> None:
        self._platform = platform
        self._limits = platform.settings.limits
        self._imports = imports
        self._import = found
        self._account = account
        self._made: list[Made] = []
        # Of what could not be made, while other tables of the import were.
        self._failure: ImportFailure | None = None
        self._warnings: dict[str, Any] = {}
        # What it takes the place of.
        self._following: Following | None = None

    async def is_made(self) -> bool:
        """Whether an earlier attempt has made the tables, and died before it could say so."""
        if not self._import.planned_oids:
            return False
        async with self._platform.database.metadata() as conn:
            cursor = await conn.execute(
                "SELECT c.oid::bigint, relname::text FROM pg_catalog.pg_class c "
                "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
                "WHERE c.oid = ANY (%s::oid[]) AND n.nspname = %s "
                "ORDER BY array_position(%s::bigint[], c.oid::bigint)",
                (self._import.planned_oids, self._account.schema, self._import.planned_oids),
            )
            self._made = [Made(*row) for row in await cursor.fetchall()]
        return bool(self._made)

    async def conclude(self) -> None:
        """Apply the privacy that was asked for to the tables that were made, and say so."""
        privacy = self._import.options.get("privacy")
        replaces = self._import.is_replacing or bool(self._import.options.get("collision_strategy"))
        is_plain = not replaces and privacy in (None, "private")
        if is_plain and len(self._made) == 1 and await self._register(self._made[0]):
            return
        for made in self._made:
            table_id, name = await self._describe(made, privacy)
        await self._imports.update(self._import.id, **self._success(table_id, name))

    async def _register(self, made: Made) -> bool:
        """Remember the new dataset, and the import's end; False when more than that has to be looked at."""
        async with self._platform.database.metadata() as conn:
            cursor = await conn.execute(
                "INSERT INTO carto_like.datasets (account_id, table_oid, table_name) VALUES (%s, %s, %s) "
                "ON CONFLICT DO NOTHING RETURNING table_id",
                (self._account.id, made.oid, made.name),
            )
            row = await cursor.fetchone()
            if row is not None:
                told = self._success(row[0], made.name)
                await self._imports.update(self._import.id, connection=conn, **told)
        return row is not None

    async def _describe(self, made: Made, privacy: Privacy | None) -> tuple[UUID, str]:
        database, account = self._platform.database, self._account
        dataset = await Datasets(database).find_table(account, made.name)
        if dataset is None:
            raise ImportFailure(codes.NOT_A_DATASET, "The table is gone already")
        if privacy:
            # Also of a private one: what it takes the place of may have been for whoever had the link.
            await self._set_privacy(dataset, privacy)
        return dataset.table_id, dataset.name

    async def _set_privacy(self, dataset: Dataset, privacy: Privacy) -> None:
        wanted, reason = changes.Changes(privacy=privacy), ""
        for _ in range(_PRIVACY_LOOKS):
            try:
                return await changes.change(self._platform.database, self._account, dataset, wanted)
            except Problem as problem:
                # Whatever is wrong with the database itself may be over soon; the table may stay in use.
                if problem.status >= 500:
                    raise
                reason = str(problem)
        raise ImportFailure(
            codes.IN_USE, f"{dataset.name} was made, and nobody else may read it yet: {reason}"
        )

    def _success(self, table_id: UUID, name: str) -> dict[str, Any]:
        told: dict[str, Any] = {"state": COMPLETE, "table_id": table_id, "table_name": name}
        told["tables_created_count"] = len(self._made)
        if self._failure is not None:
            told |= {"error_code": self._failure.code, "error_reason": self._failure.reason.replace("\0", "")}
        if self._warnings:
            told["warnings"] = Jsonb(self._warnings)
        return told

    async def carry_out(self) -> None:
        """All of it, from the source to the datasets."""
        source = self._import.source
        if self._import.is_replacing:
            self._following = await follow(self._platform, self._account, self._import)
        if "sql" in source:
            await self._from_query(source["sql"])
        elif "url" in source:
            name = await self._download(source["url"])
            if name is None:
                return
            await self._from_file(name)
        elif "connector" in source:
            await self._from_connector(source["connector"])
        elif "file" in source:
            await self._from_file(self._import.options.get("file_name") or "upload")
        else:
            raise ImportFailure(codes.NO_SOURCE)
        await self.conclude()

    @property
    def _file(self) -> Path:
        return folder_of(self._platform, self._import.id) / "file"

    async def _download(self, url: str) -> str | None:
        """The name of the file; None when what is in it was loaded before, and there is nothing to do."""
        folder = self._file.parent
        try:
            await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ImportFailure(codes.UPLOAD_FAILED, error.strerror or "") from error
        rules = Rules(
            max_bytes=self._limits.import_max_bytes,
            seconds=self._limits.import_url_timeout,
            reach=self._platform.settings.import_addresses,
        )
        following = self._following
        fetched = await fetch(url, self._file, rules, following.seen if following else None)
        told: dict[str, Any] = {"display_name": fetched.name, "seen": Jsonb(fetched.seen.as_json())}
        if following is not None and not fetched.is_changed:
            told |= {"table_id": following.table_id, "table_name": following.target.name}
            await self._imports.update(self._import.id, **told, state=COMPLETE, tables_created_count=0)
            return None
        await self._imports.update(self._import.id, **told, state=IMPORTING)
        return fetched.name

    async def _from_file(self, name: str) -> None:
        await asyncio.to_thread(self._check_file)
        await self._check_room()
        async with self._platform.readers.for_import() as readers:
            await self._from_parts(await self._parts(readers, name), readers)

    async def _from_parts(self, parts: Parts, readers: ImportReaders) -> None:
        failures = list(parts.failures)
        async with self._tables() as tables:
            made, more = await tables.from_parts(
                parts.parts[:MOST_TABLES],
                readers,
                only_one=self._import.synchronization_id is not None,
            )
            failures += more
            if not made:
                raise failures[0]
            await self._announce(made)
        self._failure = failures[0] if failures else None

    async def _parts(self, readers: ImportReaders, name: str) -> Parts:
        if is_archive(name):
            await self._imports.update(self._import.id, state=UNPACKING)
        options = self._import.options
        # What an interrupted attempt has left half unpacked.
        await asyncio.to_thread(shutil.rmtree, self._file.parent / "unpacked", ignore_errors=True)
        parts = await prepared(readers, self._file, name, options, self._limits)
        if is_archive(name):
            await self._imports.update(self._import.id, state=IMPORTING)
        if len(parts.parts) > MOST_TABLES:
            self._warnings["max_tables_per_import"] = MOST_TABLES
        return parts

    def _check_file(self) -> None:
        path = self._file
        if not path.is_file():
            reason = "The worker has no access to the folder of uploads" if not path.parent.exists() else ""
            raise ImportFailure(codes.NOT_A_FILE, reason)
        if path.stat().st_size == 0:
            raise ImportFailure(codes.EMPTY_FILE)

    async def _check_room(self) -> None:
        """A file that is larger than three times the room that is left is not even begun."""
        quota = self._account.quota_bytes
        if not quota:
            return
        try:
            async with self._platform.database.metadata() as conn:
                await conn.execute("SELECT set_config('lock_timeout', %s, true)", (LOCK_WAIT,))
                cursor = await conn.execute("SELECT cartodb.CDB_UserDataSize(%s)", (self._account.schema,))
                row = await cursor.fetchone()
        except psycopg.errors.LockNotAvailable:
            # Somebody has a table for himself. The loaded table is measured once more.
            return
        if 0.3 * self._file.stat().st_size > quota - (row[0] if row else 0):
            raise ImportFailure(codes.OVER_QUOTA)

    async def _from_query(self, query: str) -> None:
        async with self._tables() as tables:
            wanted = self._import.options.get("table_name") or "untitled_table"
            await self._announce([await tables.from_query(query, wanted)])

    async def _from_connector(self, kept: dict[str, Any]) -> None:
        connector = self._opened(kept)
        reach = self._platform.settings.import_addresses
        async with remote_rows(connector, reach, self._limits) as rows, self._tables() as tables:
            await self._announce([await tables.from_rows(rows, connector.wanted)])

    def _opened(self, kept: dict[str, Any]) -> Connector:
        password = ""
        if kept["access"] and kept["access"]["password"]:
            try:
                sealed = bytes.fromhex(kept["access"]["password"])
                owner = self._import.synchronization_id or self._import.id
                password = self._platform.secrets.decrypt_token(sealed, owner)
            except ValueError:
                reason = "The password was kept with another instance secret"
                raise ImportFailure(codes.CONNECTOR_FAILED, reason) from None
        return Connector.from_json(kept, password)

    @asynccontextmanager
    async def _tables(self) -> AsyncIterator[Tables]:
        """What makes the tables; all of them appear, or none, when the block ends."""
        role, schema = self._account.role, self._account.schema
        async with self._platform.database.login(role, schema) as session:
            milliseconds = round(self._limits.import_timeout * 1000)
            settings = f"SET statement_timeout = {milliseconds}; SET client_min_messages = warning"
            await session.execute(settings.encode())
            # Short enough for the names of indexes.
            stage = f"_import_{self._import.id.hex[:16]}"
            async with session.transaction():
                strategy = self._import.options.get("collision_strategy")
                target = self._following.target if self._following else None
                privacy = self._import.options.get("privacy")
                yield Tables(session, self._account, stage, strategy, target, privacy)

    async def _announce(self, tables: list[Made]) -> None:
        """Note what is about to be committed, unless another worker has begun anew meanwhile."""
        found = self._import
        async with self._platform.database.metadata() as conn:
            cursor = await conn.execute(
                "UPDATE carto_like.imports SET planned_oids = %s::oid[], updated_at = now() "
                "WHERE id = %s AND attempts = %s AND state <> ALL (%s)",
                ([made.oid for made in tables], found.id, found.attempts, list(FINAL)),
            )
            if not cursor.rowcount:
                raise _Overtaken
        self._made = tables
