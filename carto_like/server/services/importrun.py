"""One import from its source to its dataset.

All that a reader can see appears in one transaction. Before that ends, the platform notes which table it is
about to make: so a worker that takes over after another's death knows whether there is anything left to do.
"""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import psycopg
from psycopg import errors, sql

from carto_like.pure.names import clean_table_name, column_name
from carto_like.server.accounts import Account
from carto_like.server.errors import Problem
from carto_like.server.imports import codes
from carto_like.server.imports.codes import ImportFailure
from carto_like.server.imports.fetch import Rules, fetch
from carto_like.server.imports.filenames import extension_of, stem_of
from carto_like.server.imports.reader import Request, WrongEncoding
from carto_like.server.pool import Connection
from carto_like.server.services import changes
from carto_like.server.services.datasets import Datasets
from carto_like.server.services.importload import Loader
from carto_like.server.services.importnames import hide, publish, taken_names
from carto_like.server.services.imports import (
    COMPLETE,
    FAILURE,
    FINAL,
    IMPORTING,
    PENDING,
    UPLOADING,
    Import,
    Imports,
)
from carto_like.server.services.registry import Privacy

if TYPE_CHECKING:
    from carto_like.server.platform import Platform

logger = logging.getLogger(__name__)

MOST_ATTEMPTS: Final = 2
_OUTAGE_SECONDS, _OUTAGE_LOOKS = 0.5, 120
# A column that does not fit its type after a look at all of it becomes text; each such finding costs a pass.
_MOST_PASSES = 40
_KEEPS_ITS_NAME = ("cartodb_id", "the_geom", "the_geom_webmercator")
_COLUMN = re.compile(r"column (?P<name>[a-z_][a-z0-9_]*)(:|$)", re.MULTILINE)
_DELIMITED = (".csv", ".tsv", ".txt")
_GEOJSON = (".geojson", ".js")


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
    platform.readers.warm_up_soon()
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
    await imports.update(found.id, **values, answer_status=status, answer_reason=reason)


async def _reachable(platform: Platform) -> None:
    for _ in range(_OUTAGE_LOOKS):
        with suppress(psycopg.OperationalError, Problem):
            async with platform.database.metadata() as conn:
                await conn.execute("SELECT 1")
            return
        await asyncio.sleep(_OUTAGE_SECONDS)


class _Run:
    """One attempt at one import."""

    def __init__(self, platform: Platform, imports: Imports, found: Import, account: Account) -> None:
        self._platform = platform
        self._limits = platform.settings.limits
        self._imports = imports
        self._import = found
        self._account = account
        # Short enough for the names of its indexes.
        self._stage = f"_import_{found.id.hex[:16]}"

    async def is_made(self) -> bool:
        """Whether an earlier attempt has made the table, and died before it could say so."""
        if self._import.planned_oid is None:
            return False
        async with self._platform.database.metadata() as conn:
            cursor = await conn.execute(
                "SELECT relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n "
                "ON n.oid = c.relnamespace WHERE c.oid = %s::oid AND n.nspname = %s",
                (self._import.planned_oid, self._account.schema),
            )
            row = await cursor.fetchone()
        if row is not None:
            self._import = replace(self._import, planned_name=row[0])
        return row is not None

    async def conclude(self) -> None:
        """Apply the privacy that was asked for to the table that was made, and say so."""
        privacy = self._import.options.get("privacy")
        is_plain = not self._import.options.get("collision_strategy") and privacy in (None, "private")
        if is_plain and await self._register():
            return
        table_id, name = await self._describe(privacy)
        await self._imports.update(self._import.id, **_success(table_id, name))

    async def _register(self) -> bool:
        """Remember the new dataset, and the import's end; False when more than that has to be looked at."""
        made = self._import
        async with self._platform.database.metadata() as conn:
            cursor = await conn.execute(
                "INSERT INTO carto_like.datasets (account_id, table_oid, table_name) VALUES (%s, %s, %s) "
                "ON CONFLICT DO NOTHING RETURNING table_id",
                (self._account.id, made.planned_oid, made.planned_name),
            )
            row = await cursor.fetchone()
            if row is not None:
                told = _success(row[0], made.planned_name)
                await self._imports.update(made.id, connection=conn, **told)
        return row is not None

    async def _describe(self, privacy: Privacy | None) -> tuple[UUID, str]:
        database, account = self._platform.database, self._account
        dataset = await Datasets(database).find_table(account, self._import.planned_name or "")
        if dataset is None:
            raise ImportFailure(codes.NOT_A_DATASET, "The table is gone already")
        if privacy and privacy != dataset.privacy:
            await changes.change(database, account, dataset, changes.Changes(privacy=privacy))
        return dataset.table_id, dataset.name

    async def carry_out(self) -> None:
        """All of it, from the source to the dataset."""
        source = self._import.source
        if "sql" in source:
            await self._from_query(source["sql"])
        elif "url" in source:
            await self._from_file(await self._download(source["url"]))
        elif "file" in source:
            await self._from_file(self._import.options.get("file_name") or "upload")
        else:
            raise ImportFailure(codes.NO_SOURCE)
        await self.conclude()

    @property
    def _file(self) -> Path:
        return folder_of(self._platform, self._import.id) / "file"

    async def _download(self, url: str) -> str:
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
        name = await fetch(url, self._file, rules)
        await self._imports.update(self._import.id, display_name=name, state=IMPORTING)
        return name

    async def _from_file(self, name: str) -> None:
        request = await asyncio.to_thread(self._request, name)
        await self._check_room()
        wanted = stem_of(name)
        async with self._session() as session:
            if self._import.options.get("collision_strategy") == "skip":
                await self._skip_existing(session, wanted)
            with _told(codes.LOAD_FAILED):
                await self._load(session, request, wanted)

    def _request(self, name: str) -> Request:
        path = self._file
        if not path.is_file():
            reason = "The worker has no access to the folder of uploads" if not path.parent.exists() else ""
            raise ImportFailure(codes.NOT_A_FILE, reason)
        if path.stat().st_size == 0:
            raise ImportFailure(codes.EMPTY_FILE)
        options = self._import.options
        guessing = {
            "type_guessing": options.get("type_guessing", True),
            "quoted_fields_guessing": options.get("quoted_fields_guessing", True),
        }
        extension = extension_of(name)
        if extension in _DELIMITED:
            return Request(str(path), name, "csv", **guessing)
        if extension in _GEOJSON:
            return Request(str(path), name, "geojson")
        if extension == ".json":
            return Request(str(path), name, "geojson", broken=codes.BAD_JSON)
        raise ImportFailure(codes.UNKNOWN_TYPE, f"'{extension}' is no extension of a format known here")

    async def _check_room(self) -> None:
        """A file that is larger than three times the room that is left is not even begun."""
        quota = self._account.quota_bytes
        if not quota:
            return
        async with self._platform.database.metadata() as conn:
            cursor = await conn.execute("SELECT cartodb.CDB_UserDataSize(%s)", (self._account.schema,))
            row = await cursor.fetchone()
        if 0.3 * self._file.stat().st_size > quota - (row[0] if row else 0):
            raise ImportFailure(codes.OVER_QUOTA)

    async def _skip_existing(self, session: Connection, wanted: str) -> None:
        if clean_table_name(wanted) in await taken_names(session, self._account):
            raise ImportFailure(codes.ALL_SKIPPED)

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Connection]:
        async with self._platform.database.login(self._account.role, self._account.schema) as session:
            milliseconds = round(self._limits.import_timeout * 1000)
            settings = f"SET statement_timeout = {milliseconds}; SET client_min_messages = warning"
            await session.execute(settings.encode())
            yield session

    async def _load(self, session: Connection, request: Request, wanted: str) -> None:
        """Read the file as often as it takes to find types, and an encoding, that fit."""
        for _ in range(_MOST_PASSES):
            try:
                await self._load_once(session, request, wanted)
                return
            except WrongEncoding:
                if request.encoding:
                    raise ImportFailure(codes.UNKNOWN_ENCODING) from None
                request = replace(request, encoding="latin-1")
            except psycopg.DataError as error:
                request = _wider_request(request, error)
        raise ImportFailure(codes.LOAD_FAILED, "Too many columns have values that do not fit their types")

    async def _load_once(self, session: Connection, request: Request, wanted: str) -> None:
        loader = Loader(session, self._account, self._stage)
        async with self._platform.readers.reading(request) as reading, session.transaction():
            await loader.fill(reading, geometry_or_nothing=request.format != "csv")
            with _told(codes.NOT_A_DATASET):
                await loader.finish()
                await self._publish(session, wanted)

    async def _from_query(self, query: str) -> None:
        async with self._session() as session, session.transaction():
            loader = Loader(session, self._account, self._stage)
            table = sql.Identifier(self._account.schema, self._stage)
            with _told(codes.BAD_QUERY):
                # The extended protocol takes one statement, so nothing in the text can end the transaction.
                async with session.cursor(binary=True) as cursor:
                    statement = sql.SQL("CREATE TABLE {} AS ").format(table).as_string() + query
                    await cursor.execute(statement.encode(), binary=True)
                await self._name_columns(session, table)
            with _told(codes.NOT_A_DATASET):
                await loader.cartodbfy()
                await session.execute(sql.SQL("ANALYZE {}").format(table))
                await loader.check_quota()
                await self._publish(session, self._import.options.get("table_name") or "untitled_table")

    async def _name_columns(self, session: Connection, table: sql.Identifier) -> None:
        cursor = await session.execute(
            "SELECT attname::text FROM pg_catalog.pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 "
            "ORDER BY attnum",
            (table.as_string(),),
        )
        names = [name for (name,) in await cursor.fetchall()]
        for name in names:
            new = name if name in _KEEPS_ITS_NAME else column_name(name, set(names) - {name})
            if new != name:
                names[names.index(name)] = new
                await session.execute(
                    sql.SQL("ALTER TABLE {} RENAME COLUMN {} TO {}").format(
                        table, sql.Identifier(name), sql.Identifier(new)
                    )
                )

    async def _publish(self, session: Connection, wanted: str) -> None:
        overwrite = self._import.options.get("collision_strategy") == "overwrite"
        await hide(session, self._account, self._stage)
        name, _ = await publish(session, self._account, self._stage, wanted, overwrite=overwrite)
        table = sql.Identifier(self._account.schema, name).as_string()
        cursor = await session.execute(
            "SELECT %(t)s::regclass::oid::bigint, cartodb.CDB_TableMetadataTouch(%(t)s::regclass)",
            {"t": table},
        )
        row = await cursor.fetchone()
        self._import = replace(self._import, planned_oid=row[0] if row else None, planned_name=name)
        await self._announce()

    async def _announce(self) -> None:
        """Note what is about to be committed, unless another worker has begun anew meanwhile."""
        made = self._import
        async with self._platform.database.metadata() as conn:
            cursor = await conn.execute(
                "UPDATE carto_like.imports SET planned_oid = %s, planned_name = %s, updated_at = now() "
                "WHERE id = %s AND attempts = %s AND state <> ALL (%s)",
                (made.planned_oid, made.planned_name, made.id, made.attempts, list(FINAL)),
            )
            if not cursor.rowcount:
                raise _Overtaken


def _success(table_id: UUID, name: str | None) -> dict[str, Any]:
    return {"state": COMPLETE, "table_id": table_id, "table_name": name, "tables_created_count": 1}


def _wider_request(request: Request, error: psycopg.DataError) -> Request:
    if request.format != "csv":
        raise error
    if not request.careful:
        return request.more_careful()
    match = _COLUMN.search(error.diag.context or "")
    if match is None or match["name"] in (*request.as_text, *_KEEPS_ITS_NAME):
        raise error
    return request.more_careful(match["name"])


class _told:
    """Turns what the database says into the import's code; lost connections stay what they are."""

    def __init__(self, otherwise: int) -> None:
        self._otherwise = otherwise

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, psycopg.Error):
            code = _code_of(error, self._otherwise)
            if code is not None:
                raise ImportFailure(code, _reason_of(error)) from error


def _reason_of(error: psycopg.Error) -> str:
    parts = (error.diag.message_primary, error.diag.message_detail)
    return ": ".join(part for part in parts if part)[:500]


def _code_of(error: psycopg.Error, otherwise: int) -> int | None:
    state = error.sqlstate or ""
    message = error.diag.message_primary or ""
    if not state or state.startswith(("08", "57P")):
        return None
    if isinstance(error, errors.QueryCanceled):
        return codes.LOAD_TIMED_OUT
    if isinstance(error, errors.DiskFull):
        return codes.UPLOAD_FAILED
    if "Quota exceeded" in message:
        return codes.OVER_QUOTA
    if otherwise == codes.BAD_QUERY:
        return codes.BAD_QUERY_TYPES if isinstance(error, errors.DatatypeMismatch) else codes.BAD_QUERY
    if state.startswith("23") or "cartodb_id" in message:
        return codes.BAD_KEY
    if state.startswith("54"):
        return codes.TOO_MANY_COLUMNS
    if state.startswith("XX"):
        return codes.UNKNOWN_PROJECTION if "SRID" in message else codes.BAD_GEOMETRY
    return otherwise
