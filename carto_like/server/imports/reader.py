"""The parent's side of the child process that opens files.

Starting a Python takes longer than reading a small file, so children wait, ready and used by nobody, for the
next files. Each serves a single one.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import carto_like
from carto_like.server import processes
from carto_like.server.imports import codes, guessing
from carto_like.server.imports.codes import ImportFailure
from carto_like.server.imports.confine import without_secrets
from carto_like.server.imports.formats import DRIVERS
from carto_like.server.settings import Limits

logger = logging.getLogger(__name__)

BLOCK_BYTES = 256 * 1024
_BREATH_SECONDS = 0.05
# The second is for the file that comes while the first is being replaced.
_SPARES = 2
_PARENT = str(Path(carto_like.__file__).resolve().parents[1])
_COMMAND = (sys.executable, "-s", "-m", "carto_like.server.imports.child")
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_TYPES = frozenset(
    {guessing.INTEGER, guessing.BIGINT, guessing.DOUBLE, guessing.BOOLEAN, guessing.TEXT}
    | {guessing.DATE, guessing.TIMESTAMP, guessing.TIME}
)
_GEOMETRIES = frozenset({"wkb", "hex", "wkt", "kml", "geojson", "empty"})
_LONGEST_LINE = 1 << 20
_KEPT_OF_STDERR = 64 * 1024
_MOST_LAYERS = 50
_GUESSED = frozenset({"csv", "json", "xlsx"})


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


class WrongEncoding(Exception):
    """The file is not in the encoding that its beginning seemed to be in."""


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
    """

    def __init__(self, process: Process, table: Table) -> None:
        self._process = process
        self.table = table

    async def blocks(self) -> AsyncIterator[bytes]:
        """The rows for COPY; to be read to the end.

        Raises:
            ImportFailure: the rest cannot be read.
            WrongEncoding: another encoding is needed.
        """
        assert self._process.stdout is not None
        while block := await self._process.stdout.read(BLOCK_BYTES):
            yield block
        await _check_end(self._process)


class Readers:
    """Child processes, some of them in waiting."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._spares: list[Process] = []
        self._starting: asyncio.Task[None] | None = None
        self._skip: list[str] | None = None
        self._closed = False

    def warm_up_soon(self) -> None:
        """Start children for the next files when those who wait for the last one have been answered."""
        # A fork stops the event loop for a moment, and a starting Python takes a processor for longer.
        asyncio.get_running_loop().call_later(_BREATH_SECONDS, self.warm_up)

    def warm_up(self) -> None:
        """Start children for the next files; to be called when nobody waits for the processor."""
        if not self._closed and (self._starting is None or self._starting.done()):
            self._starting = asyncio.create_task(self._prepare())

    async def close(self) -> None:
        """End the children that wait."""
        self._closed = True
        if self._starting is not None:
            await self._starting
        while self._spares:
            await _end(self._spares.pop())

    @asynccontextmanager
    async def reading(self, request: Request) -> AsyncIterator[Reading]:
        """The file, opened in a child; leaving the block ends that.

        Raises:
            ImportFailure: it cannot be read.
            WrongEncoding: another encoding is needed.
        """
        process = await self._ask_for(request)
        try:
            assert process.stdout is not None
            line = await _first_line(process)
            yield Reading(process, _table_of(line))
        finally:
            await _end(process)

    async def layers(self, request: Request) -> list[str]:
        """The names of the layers in a file that have rows.

        Raises:
            ImportFailure: it cannot be read.
        """
        process = await self._ask_for(replace(request, layers_only=True))
        try:
            line = await _first_line(process)
            await _check_end(process)
            names = json.loads(line)["layers"]
            return [str(name) for name in names][:_MOST_LAYERS]
        except (ValueError, KeyError, TypeError):
            raise ImportFailure(codes.LOAD_FAILED, "The reader's answer cannot be read") from None
        finally:
            await _end(process)

    async def _ask_for(self, request: Request) -> Process:
        # A list of objects needs no driver, but nobody has looked yet whether it is one.
        needs_driver = request.format in DRIVERS or request.format == "json"
        skip = await self._drivers_to_skip() if needs_driver else []
        fields = {name: getattr(request, name) for name in Request.__dataclass_fields__}
        return await self._ask({**fields, "skip": skip, "max_rows": self._limits.import_max_rows})

    async def _drivers_to_skip(self) -> list[str]:
        if self._skip is None:
            process = await self._ask({"format": "drivers"})
            try:
                found = json.loads(await _first_line(process))
            finally:
                await _end(process)
            self._skip = [str(name) for name in found["drivers"]]
        return self._skip

    async def _ask(self, request: dict[str, Any]) -> Process:
        process = await self._take()
        assert process.stdin is not None
        process.stdin.write(json.dumps(request).encode() + b"\n")
        # A child that dies at once is noticed where its answer is missed.
        with suppress(ConnectionError):
            await process.stdin.drain()
        return process

    async def _take(self) -> Process:
        if not self._spares and self._starting is not None:
            await self._starting
        while self._spares:
            process = self._spares.pop(0)
            if process.returncode is None:
                return process
        return await self._start()

    async def _prepare(self) -> None:
        while len(self._spares) < _SPARES and not self._closed:
            try:
                self._spares.append(await self._start())
            except OSError as error:
                # Whoever needs a child will try again, and be told if that fails too.
                logger.warning("No process could be started for the next imports: %s", error)
                return

    async def _start(self) -> Process:
        may_use = (self._limits.import_memory_bytes, round(self._limits.import_timeout))
        return await processes.start(
            *_COMMAND,
            *map(str, may_use),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            cwd=os.sep,
            env=without_secrets(_PARENT),
            limit=_LONGEST_LINE,
            start_new_session=True,
        )


async def _end(process: Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
    # Pipes that nobody reads would keep the wait from ending.
    await process.communicate()


async def _first_line(process: Process) -> bytes:
    assert process.stdout is not None
    try:
        line = await process.stdout.readline()
    except ValueError:
        raise ImportFailure(codes.TOO_MANY_COLUMNS) from None
    if not line.endswith(b"\n"):
        await _check_end(process)
        raise ImportFailure(codes.LOAD_FAILED, "The reader said nothing")
    return line


async def _check_end(process: Process) -> None:
    """See how the child, having said all, ended."""
    assert process.stderr is not None
    kept = b""
    while block := await process.stderr.read(BLOCK_BYTES):
        kept = (kept + block)[-_KEPT_OF_STDERR:]
    status = await process.wait()
    try:
        told = json.loads(kept.rstrip().rpartition(b"\n")[2])
        failed = "error" in told
        code, reason, encoding = told.get("error"), str(told.get("reason", "")), bool(told.get("encoding"))
    except (ValueError, AttributeError, TypeError):
        raise ImportFailure(codes.LOAD_FAILED, _death(status)) from None
    if encoding:
        raise WrongEncoding
    if failed:
        raise ImportFailure(code if code in codes.EXPLANATIONS else codes.LOAD_FAILED, reason[:500])
    if status != 0:
        raise ImportFailure(codes.LOAD_FAILED, _death(status))


def _death(status: int) -> str:
    return f"The process that read it was ended (status {status}): it took too much memory or time"


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
