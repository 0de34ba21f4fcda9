"""Exports through GDAL: a process of its own writes the file while the rows arrive."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
import tempfile
from contextlib import aclosing, suppress
from pathlib import Path
from typing import IO

import psycopg

import carto_like
from carto_like.pure.pgtext import without_semicolon
from carto_like.server import processes
from carto_like.server.errors import Problem
from carto_like.server.formats import outcome
from carto_like.server.formats.frames import END, frame
from carto_like.server.formats.ogrdescribe import make_spec
from carto_like.server.formats.ogrspec import Spec
from carto_like.server.services.answers import Query
from carto_like.server.services.export import ERROR_PREFIX, run_problem
from carto_like.server.sqlapi.guard import Gone, Stopped
from carto_like.server.sqlapi.scanning import scan
from carto_like.server.sqlapi.types import Types
from carto_like.server.sqlapi.wire import Connection, describe, events

logger = logging.getLogger(__name__)

_WRITER = "carto_like.server.formats.ogrprocess"
_ROOT = Path(carto_like.__file__).resolve().parents[1]
_LOG_CHARACTERS = 500


class Writers:
    """The processes of one server that write files.

    Args:
        most: how many there may be at once.
    """

    def __init__(self, most: int) -> None:
        self._free = asyncio.Semaphore(most)

    async def start(self, spec: Spec) -> Writer:
        """A process for one file, when there is room for it; it must be finished or abandoned."""
        await self._free.acquire()
        try:
            return await self._start(spec)
        except BaseException:
            self._free.release()
            raise

    async def _start(self, spec: Spec) -> Writer:
        folder = Path(tempfile.mkdtemp(prefix=outcome.FOLDER_PREFIX))
        try:
            process = await _start_process(folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        writer = Writer(process, folder, self._free)
        try:
            await writer.send(spec.plain())
        except BaseException:
            await writer.abandon()
            raise
        return writer


async def _start_process(folder: Path) -> asyncio.subprocess.Process:
    # Nothing of our own environment goes along: it may hold secrets.
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": str(_ROOT),
        "TMPDIR": str(folder),
        "LC_ALL": "C.UTF-8",
        "PROJ_NETWORK": "OFF",
        "GDAL_PAM_ENABLED": "NO",
        "OGR_SQLITE_SYNCHRONOUS": "OFF",
    }
    with (folder / outcome.LOG).open("wb") as log:
        return await processes.start(
            *(sys.executable, "-W", "ignore", "-s", "-m", _WRITER),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=log,
            cwd=folder,
            env=environment,
            # A Ctrl-C for the server is no reason to break off what it is about to send.
            start_new_session=True,
        )


class Writer:
    """A process that writes one file."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path, free: asyncio.Semaphore) -> None:
        self._process = process
        self._folder = folder
        self._free = free
        self._closed = False

    async def send(self, value: object) -> None:
        """Send a frame; waits while the process is busy.

        Raises:
            Problem: the process has refused what it got before.
        """
        await self._write(frame(value))

    async def _write(self, data: bytes) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        # Not every event loop takes what is written after the other end has gone.
        if not stdin.is_closing():
            stdin.write(data)
            with suppress(BrokenPipeError, ConnectionResetError):
                await stdin.drain()
        # A process that is done with all it got may be gone before we look.
        if stdin.is_closing() and await self._process.wait():
            raise self._failure()

    async def finish(self, gone: Gone, seconds: float | None) -> IO[bytes]:
        """The file, complete, open at its beginning and gone from its folder.

        Args:
            gone: returns when the client has left.
            seconds: how long it may take still, None for any time.

        Raises:
            Problem: 400, the format cannot hold the rows.
            Stopped: the client left, or the time is up.
        """
        try:
            await self._wait(gone, seconds)
            if self._process.returncode:
                raise self._failure()
            return (self._folder / outcome.RESULT).open("rb")
        finally:
            await self.abandon()

    async def _wait(self, gone: Gone, seconds: float | None) -> None:
        leaving = asyncio.ensure_future(gone())
        ending = asyncio.ensure_future(self._end())
        try:
            await asyncio.wait({leaving, ending}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if not ending.done():
                raise Stopped("gone" if leaving.done() else "late")
            ending.result()
        finally:
            leaving.cancel()
            ending.cancel()

    async def _end(self) -> None:
        await self._write(END)
        await self._process.wait()

    async def abandon(self) -> None:
        """End the process and remove its folder; nothing happens when that was done."""
        if self._closed:
            return
        self._closed = True
        self._free.release()
        with suppress(ProcessLookupError):
            self._process.kill()
        await asyncio.shield(self._clear())

    async def _clear(self) -> None:
        await self._process.wait()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def _failure(self) -> Problem:
        if self._process.returncode == outcome.REFUSED:
            told = (self._folder / outcome.REFUSAL).read_text("utf-8")
            return Problem(400, f"{ERROR_PREFIX}{told}")
        log = (self._folder / outcome.LOG).read_text("utf-8", errors="replace")
        logger.error("the export ended with %s: %s", self._process.returncode, log[-_LOG_CHARACTERS:])
        return Problem(500, "The file could not be written")


async def feed(
    conn: Connection, query: Query, types: Types, writers: Writers, *, format: str, name: str
) -> Writer:
    """A process that has got all rows of a query, and is about to finish its file.

    Args:
        conn: the connection; it is free again afterwards.
        query: the query.
        types: the types of the database.
        writers: where the process comes from.
        format: ``kml``, ``shp``, ``gpkg`` or ``spatialite``.
        name: the file's name without its extension.

    Raises:
        Problem: the query fails, in PostgreSQL's own words when it was refused before it ran; or the
            format cannot hold its rows.
    """
    sql = f"SELECT * FROM (\n{await scan(without_semicolon, query.sql)}\n) AS q"
    try:
        columns = await describe(conn, sql)
    except psycopg.Error as error:
        raise query.explain(error) from error
    writer = await writers.start(make_spec(format, name, columns, query.skip, types))
    try:
        await _send_rows(conn, sql, query, writer)
    except psycopg.Error as error:
        await writer.abandon()
        raise run_problem(error, query) from error
    except BaseException:
        await writer.abandon()
        raise
    return writer


async def _send_rows(conn: Connection, sql: str, query: Query, writer: Writer) -> None:
    async with aclosing(events(conn, sql, chunk=query.chunk)) as stream:
        async for event in stream:
            if isinstance(event, list):
                query.count(event)
                await writer.send(event)
