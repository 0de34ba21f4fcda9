"""Files as the parent reads them: what it asks a child for, and what it believes of the answer."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from carto_like.server.imports import codes, guessing
from carto_like.server.imports.children import Child, Children
from carto_like.server.imports.codes import ImportFailure
from carto_like.server.imports.filenames import extension_of
from carto_like.server.imports.formats import OF_EXTENSIONS
from carto_like.server.settings import Limits

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_TYPES = frozenset(
    {guessing.INTEGER, guessing.BIGINT, guessing.DOUBLE, guessing.BOOLEAN, guessing.TEXT}
    | {guessing.DATE, guessing.TIMESTAMP, guessing.TIME}
)
_GEOMETRIES = frozenset({"wkb", "hex", "wkt", "kml", "geojson", "empty"})
_MOST_LAYERS = 50
_GUESSED = frozenset({"csv", "json", "xlsx"})
# A list of objects needs no more than Python, and a .json that is none has to wait for what it needs.
_OF_PYTHON = frozenset({"csv", "json"})
# Archives of which most hold a shapefile or KML.
_OFTEN_SHAPES = frozenset({".zip", ".kmz"})


@dataclass(frozen=True)
class Request:
    """Which file is to be read, and how; see the child's own options."""

    path: str
    file_name: str
    format: str
    broken: int = codes.UNKNOWN_TYPE
    type_guessing: bool = True
    quoted_fields_guessing: bool = True
    careful: bool = False
    as_text: tuple[str, ...] = ()
    encoding: str = ""
    layer: str = ""
    layers_only: bool = False

    @property
    def is_guessed(self) -> bool:
        """Whether its types are found by looking, so that another look may find others."""
        return self.format in _GUESSED

    def of_layer(self, name: str) -> Request:
        """The same, for one layer of the file."""
        return replace(self, layer=name)

    def more_careful(self, *columns: str) -> Request:
        """The same with a look at the whole file, these columns being text."""
        return replace(self, careful=True, as_text=(*self.as_text, *columns))


@dataclass(frozen=True)
class Table:
    """What the child found, after we have looked whether it can be believed.

    Attributes:
        columns: names and types, in the order in which cells come.
        numbered: a first cell numbers the rows.
        point: names of the columns of latitude and longitude.
        geometry: name of the column that holds the geometry, and how it is written.
        srid: of the geometry.
    """

    columns: tuple[tuple[str, str], ...]
    numbered: bool
    point: tuple[str, str] | None
    geometry: tuple[str, str] | None
    srid: int


class Rows(Protocol):
    """Rows that a table is made of, wherever they come from."""

    @property
    def table(self) -> Table:
        """Their columns."""

    def blocks(self) -> AsyncIterator[bytes]:
        """The rows for COPY; to be read to the end."""


class Reading:
    """One file that is being read.

    Attributes:
        table: its columns.
        pid: the number of the process that reads it.
    """

    def __init__(self, child: Child, table: Table) -> None:
        self._child = child
        self.table = table
        self.pid = child.pid

    async def blocks(self) -> AsyncIterator[bytes]:
        """The rows for COPY; to be read to the end.

        Raises:
            ImportFailure: the rest cannot be read.
            WrongEncoding: another encoding is needed.
        """
        while block := await self._child.block():
            yield block
        await self._child.check_end()


class Readers:
    """Reads files in child processes, of which some wait for the next file.

    Attributes:
        children: the processes.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.children = Children(limits)

    def expect(self, name: str) -> None:
        """Get ready for a file of this name while it is still on its way."""
        extension = extension_of(name)
        if extension in _OFTEN_SHAPES or OF_EXTENSIONS.get(extension, "csv") not in _OF_PYTHON:
            self.children.equip()

    @asynccontextmanager
    async def for_import(self) -> AsyncIterator[ImportReaders]:
        """What reads the files of one import; no process of it outlives the block."""
        readers = ImportReaders(self.children, self._limits.import_max_rows)
        try:
            yield readers
        finally:
            await readers.close()


class ImportReaders:
    """Reads the files of one import.

    Args:
        children: the processes to do so with.
        max_rows: rows that each table may have; 0 for any number.
    """

    def __init__(self, children: Children, max_rows: int) -> None:
        self._children = children
        self._max_rows = max_rows
        self._waiting: tuple[Request, Child] | None = None
        self._asked = 0

    async def close(self) -> None:
        """End the process that still waits to be asked."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            await waiting[1].end()

    @asynccontextmanager
    async def reading(self, request: Request) -> AsyncIterator[Reading]:
        """The file, opened in a child; leaving the block ends that.

        Raises:
            ImportFailure: it cannot be read.
            WrongEncoding: another encoding is needed.
        """
        child = await self._child_for(request)
        try:
            yield Reading(child, _table_of(await child.line()))
        finally:
            await child.end()

    async def layers(self, request: Request) -> list[str]:
        """The names of the layers in a file that have rows.

        Whoever listed them goes on to read the first, which for most files is the only one: a second process
        would have to load GDAL and open the file again.

        Raises:
            ImportFailure: it cannot be read.
        """
        child = await self._ask(replace(request, layers_only=True))
        try:
            names = [str(name) for name in json.loads(await child.line())["layers"]][:_MOST_LAYERS]
            if names and self._waiting is None:
                self._waiting = (request.of_layer(names[0]), child)
            if len(names) > 1:
                self._children.warm_up()
            return names
        except (ValueError, KeyError, TypeError):
            raise ImportFailure(codes.LOAD_FAILED, "The reader's answer cannot be read") from None
        finally:
            if self._waiting is None or self._waiting[1] is not child:
                await child.end()

    async def _child_for(self, request: Request) -> Child:
        if self._waiting is None or self._waiting[0] != request:
            return await self._ask(request)
        (_, child), self._waiting = self._waiting, None
        await child.tell({"layer": request.layer})
        return child

    async def _ask(self, request: Request) -> Child:
        child = await self._children.take(equipped=request.format not in _OF_PYTHON)
        fields = {name: getattr(request, name) for name in Request.__dataclass_fields__}
        try:
            await child.tell({**fields, "max_rows": self._max_rows})
        except BaseException:
            # Nobody else knows of it, and it would wait for as long as we live.
            await child.end()
            raise
        self._asked += 1
        if self._asked > 1:
            # Of an import that needs several, the next one gets ready while this one reads.
            self._children.warm_up()
        return child


def _table_of(line: bytes) -> Table:
    """The child's description; it was alone with a stranger's file, so nothing in it goes unseen into SQL."""
    try:
        told = json.loads(line)
        columns = tuple((str(name), str(kind)) for name, kind in told["columns"])
        names = [name for name, _ in columns]
        point = told["point"] and (str(told["point"][0]), str(told["point"][1]))
        geometry = told["geometry"] and (str(told["geometry"][0]), str(told["geometry"][1]))
        table = Table(columns, bool(told["numbered"]), point or None, geometry or None, int(told["srid"]))
    except (ValueError, KeyError, TypeError, IndexError):
        raise ImportFailure(codes.LOAD_FAILED, "The reader's answer cannot be read") from None
    sound = (
        len(set(names)) == len(names)
        and all(_NAME.fullmatch(name) for name in names)
        and all(kind in _TYPES for _, kind in columns)
        and (table.numbered or "cartodb_id" in names)
        and (table.point is None or set(table.point) <= set(names))
        and (table.geometry is None or (table.geometry[0] in names and table.geometry[1] in _GEOMETRIES))
        and "the_geom_webmercator" not in names
    )
    if not sound:
        raise ImportFailure(codes.LOAD_FAILED, "The reader's answer cannot be believed")
    return table
