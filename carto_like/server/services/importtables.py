"""The tables of one import, made in one transaction of the account's own role."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import psycopg
from psycopg import sql

from carto_like.pure.names import clean_table_name, column_name
from carto_like.server.accounts import Account
from carto_like.server.imports import codes
from carto_like.server.imports.children import WrongEncoding
from carto_like.server.imports.codes import ImportFailure
from carto_like.server.imports.reader import ImportReaders, Request, Rows
from carto_like.server.pool import Connection
from carto_like.server.services.changes import open_or_hide
from carto_like.server.services.importerrors import told
from carto_like.server.services.importload import Loader
from carto_like.server.services.importnames import hide, publish, rename_belongings, taken_names
from carto_like.server.services.importparts import Part
from carto_like.server.services.registry import Privacy
from carto_like.server.services.replacing import Target, take_place

logger = logging.getLogger(__name__)

# A column that does not fit its type after a look at all of it becomes text; each such finding costs a pass.
_MOST_PASSES: Final = 40
_KEEPS_ITS_NAME = ("cartodb_id", "the_geom", "the_geom_webmercator")
_COLUMN = re.compile(r"column (?P<name>[a-z_][a-z0-9_]*)(:|$)", re.MULTILINE)


@dataclass(frozen=True)
class Made:
    """A table that is there when the transaction ends."""

    oid: int
    name: str


class Tables:
    """Makes tables under names of their own, then gives them the names that were asked for.

    Args:
        session: of the account's role, in a transaction.
        account: whose tables they are.
        stage: beginning of the names that they have meanwhile.
        strategy: ``skip`` or ``overwrite`` for tables whose names are taken; else they get others.
        target: the table whose place the one that is made takes, whatever it would be called.
        privacy: who may read the tables from the moment in which they appear. Those for whoever has the link
            begin as private ones: nobody could tell them from public ones before it is noted that they are.
    """

    def __init__(
        self,
        session: Connection,
        account: Account,
        stage: str,
        strategy: str | None,
        target: Target | None = None,
        privacy: Privacy | None = None,
    ) -> None:
        self._session = session
        self._account = account
        self._stage = stage
        self._strategy = strategy
        self._target = target
        self._privacy = privacy
        self._count = 0
        self._published: set[str] = set()

    async def from_parts(
        self, parts: Sequence[Part], readers: ImportReaders, *, only_one: bool = False
    ) -> tuple[list[Made], list[ImportFailure]]:
        """One table for each part that can be read, or for the first, and what was wrong with the others."""
        made: list[Made] = []
        failures: list[ImportFailure] = []
        for part in parts:
            try:
                made.append(await self.from_part(part, readers))
            except ImportFailure as failure:
                failures.append(failure)
            if made and only_one:
                break
        return made, failures

    async def from_part(self, part: Part, readers: ImportReaders) -> Made:
        """One table.

        Raises:
            ImportFailure: nothing of it is there then.
        """
        await self._skip_existing(part.file_stem)
        with told(codes.LOAD_FAILED):
            return await self._load(part.request, part.wanted, readers)

    async def from_rows(self, rows: Rows, wanted: str) -> Made:
        """One table of rows that come from elsewhere, and can be read once; see :meth:`from_part`."""
        await self._skip_existing(wanted)
        with told(codes.LOAD_FAILED):
            return await self._load_rows(rows, wanted, geometry_or_nothing=True)

    async def from_query(self, query: str, wanted: str) -> Made:
        """One table of what a query answers; see :meth:`from_part`."""
        loader = self._loader()
        table = sql.Identifier(self._account.schema, loader.stage)
        with told(codes.BAD_QUERY):
            # The extended protocol takes one statement, so nothing in the text can end the transaction.
            async with self._session.cursor(binary=True) as cursor:
                statement = sql.SQL("CREATE TABLE {} AS ").format(table).as_string() + query
                await cursor.execute(statement.encode(), binary=True)
            await self._name_columns(table)
        with told(codes.NOT_A_DATASET):
            await loader.cartodbfy()
            await self._session.execute(sql.SQL("ANALYZE {}").format(table))
            await loader.check_quota()
            return await self._publish(loader.stage, wanted)

    async def _load(self, request: Request, wanted: str, readers: ImportReaders) -> Made:
        """Read the file as often as it takes to find types, and an encoding, that fit."""
        for _ in range(_MOST_PASSES):
            try:
                return await self._load_once(request, wanted, readers)
            except WrongEncoding:
                if request.encoding:
                    raise ImportFailure(codes.UNKNOWN_ENCODING) from None
                request = replace(request, encoding="latin-1")
            except psycopg.DataError as error:
                request = _wider_request(request, error)
        raise ImportFailure(codes.LOAD_FAILED, "Too many columns have values that do not fit their types")

    async def _load_once(self, request: Request, wanted: str, readers: ImportReaders) -> Made:
        async with readers.reading(request) as reading, self._session.transaction():
            return await self._load_rows(reading, wanted, geometry_or_nothing=not request.is_guessed)

    async def _load_rows(self, rows: Rows, wanted: str, *, geometry_or_nothing: bool) -> Made:
        loader = self._loader()
        await loader.fill(rows, geometry_or_nothing=geometry_or_nothing)
        with told(codes.NOT_A_DATASET):
            await loader.finish()
            return await self._publish(loader.stage, wanted)

    async def _skip_existing(self, stem: str) -> None:
        if self._strategy != "skip":
            return
        name = clean_table_name(stem)
        if name in await taken_names(self._session, self._account) and name not in self._published:
            raise ImportFailure(codes.ALL_SKIPPED)

    def _loader(self) -> Loader:
        self._count += 1
        return Loader(self._session, self._account, f"{self._stage}_{self._count}")

    async def _publish(self, stage: str, wanted: str) -> Made:
        await hide(self._session, self._account, stage)
        name = await self._name(stage, wanted)
        if self._privacy in ("public", "private"):
            await open_or_hide(self._session, self._account, name, self._privacy)
        table = sql.Identifier(self._account.schema, name).as_string()
        cursor = await self._session.execute(
            "SELECT %(t)s::regclass::oid::bigint, cartodb.CDB_TableMetadataTouch(%(t)s::regclass)",
            {"t": table},
        )
        row = await cursor.fetchone()
        assert row is not None, "a SELECT without FROM answers one row"
        self._published.add(name)
        return Made(row[0], name)

    async def _name(self, stage: str, wanted: str) -> str:
        session, account = self._session, self._account
        if self._target is not None:
            await take_place(session, account, stage, self._target)
            await rename_belongings(session, account, stage, self._target.name)
            return self._target.name
        # Two files of one name in one archive are two tables.
        overwrite = self._strategy == "overwrite" and clean_table_name(wanted) not in self._published
        return (await publish(session, account, stage, wanted, overwrite=overwrite))[0]

    async def _name_columns(self, table: sql.Identifier) -> None:
        cursor = await self._session.execute(
            "SELECT attname::text FROM pg_catalog.pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 "
            "ORDER BY attnum",
            (table.as_string(),),
        )
        names = [name for (name,) in await cursor.fetchall()]
        for name in names:
            new = name if name in _KEEPS_ITS_NAME else column_name(name, set(names) - {name})
            if new != name:
                names[names.index(name)] = new
                await self._session.execute(
                    sql.SQL("ALTER TABLE {} RENAME COLUMN {} TO {}").format(
                        table, sql.Identifier(name), sql.Identifier(new)
                    )
                )


def _wider_request(request: Request, error: psycopg.DataError) -> Request:
    if not request.is_guessed:
        raise error
    if not request.careful:
        return request.more_careful()
    match = _COLUMN.search(error.diag.context or "")
    if match is None or match["name"] in (*request.as_text, *_KEEPS_ITS_NAME):
        raise error
    return request.more_careful(match["name"])
