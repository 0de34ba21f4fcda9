"""The parent's side of the child processes that open files: starting them, and hearing what they say.

Starting a Python takes longer than reading a small file, and loading GDAL longer than reading one of its
files. So children wait, ready and used by nobody, for the next files. Each serves a single one.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import carto_like
from carto_like.server import processes
from carto_like.server.imports import codes
from carto_like.server.imports.codes import ImportFailure
from carto_like.server.imports.confine import without_secrets
from carto_like.server.settings import Limits

logger = logging.getLogger(__name__)

BLOCK_BYTES = 256 * 1024
COMMAND: Final = (sys.executable, "-s", "-m", "carto_like.server.imports.child")
_BREATH_SECONDS = 0.05
# The second is for the file that comes while the first is being replaced.
_SPARES = 2
# One that holds GDAL has some 35 MB that it shares with nobody, so there is one, once it was needed.
_EQUIPPED_SPARES = 1
_PARENT = str(Path(carto_like.__file__).resolve().parents[1])
_LONGEST_LINE = 1 << 20
_KEPT_OF_STDERR = 64 * 1024


class WrongEncoding(Exception):
    """The file is not in the encoding that its beginning seemed to be in."""


class Child:
    """A process that opens one file.

    All that it says on its standard error is heard while it reads, and the end of it kept: one that finds
    much to complain about would wait for ever for somebody to listen.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self._last_words = b""
        self._listening = asyncio.create_task(self._listen())

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended, as far as is known."""
        return self._process.returncode is None

    async def tell(self, message: Mapping[str, Any]) -> None:
        """Give it something to do."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        # A child that dies at once is noticed where its answer is missed.
        with suppress(ConnectionError):
            await self._process.stdin.drain()

    async def line(self) -> bytes:
        """The next line that it answers.

        Raises:
            ImportFailure: it cannot read the file.
            WrongEncoding: another encoding is needed.
        """
        assert self._process.stdout is not None
        try:
            line = await self._process.stdout.readline()
        except ValueError:
            raise ImportFailure(codes.TOO_MANY_COLUMNS) from None
        if not line.endswith(b"\n"):
            await self.check_end()
            raise ImportFailure(codes.LOAD_FAILED, "The reader said nothing")
        return line

    async def block(self) -> bytes:
        """The next bytes that it answers; none at the end."""
        assert self._process.stdout is not None
        return await self._process.stdout.read(BLOCK_BYTES)

    async def check_end(self) -> None:
        """See how it, having said all, ended; raises what :meth:`line` does."""
        await self._listening
        status = await self._process.wait()
        try:
            told = json.loads(self._last_words.rstrip().rpartition(b"\n")[2])
            failed = "error" in told
            code, reason = told.get("error"), str(told.get("reason", ""))
            encoding = bool(told.get("encoding"))
        except (ValueError, AttributeError, TypeError):
            raise ImportFailure(codes.LOAD_FAILED, _death(status)) from None
        if encoding:
            raise WrongEncoding
        if failed:
            raise ImportFailure(code if code in codes.EXPLANATIONS else codes.LOAD_FAILED, reason[:500])
        if status != 0:
            raise ImportFailure(codes.LOAD_FAILED, _death(status))

    async def end(self) -> None:
        """Be rid of it, whatever it is doing."""
        if self.is_alive:
            with suppress(ProcessLookupError):
                self._process.kill()
        assert self._process.stdin is not None
        self._process.stdin.close()
        # Pipes that nobody reads would keep the wait from ending.
        while await self.block():
            pass
        await self._listening
        await self._process.wait()

    async def _listen(self) -> None:
        assert self._process.stderr is not None
        while block := await self._process.stderr.read(BLOCK_BYTES):
            self._last_words = (self._last_words + block)[-_KEPT_OF_STDERR:]


class Children:
    """Children, some of them in waiting: plain ones, and equipped ones that have loaded GDAL and Arrow.

    Args:
        limits: what each of them may use.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._spares: dict[bool, list[Child]] = {False: [], True: []}
        self._wanted = {False: _SPARES, True: 0}
        self._starting: asyncio.Task[None] | None = None
        self._is_warm = False
        self._closed = False

    @property
    def waiting(self) -> list[int]:
        """The numbers of those in waiting, the plain ones first."""
        return [child.pid for spares in self._spares.values() for child in spares]

    def warm_up_soon(self) -> None:
        """Start children for the next files when those who wait for the last one have been answered."""
        # A fork stops the event loop for a moment, and a starting Python takes a processor for longer.
        asyncio.get_running_loop().call_later(_BREATH_SECONDS, self.warm_up)

    def warm_up(self) -> None:
        """Start children for the next files; to be called when nobody waits for the processor."""
        self._is_warm = True
        if not self._closed and (self._starting is None or self._starting.done()):
            self._starting = asyncio.create_task(self._prepare())

    def equip(self) -> None:
        """Start an equipped child for a file that is on its way; nothing where no files are read."""
        if self._is_warm:
            self._wanted[True] = _EQUIPPED_SPARES
            self.warm_up()

    async def ready(self) -> None:
        """Wait until those that are wanted have been started."""
        if self._starting is not None:
            await self._starting

    async def close(self) -> None:
        """End the children that wait."""
        self._closed = True
        await self.ready()
        for spares in self._spares.values():
            while spares:
                await spares.pop().end()

    async def take(self, *, equipped: bool) -> Child:
        """A child that nobody else has.

        Args:
            equipped: whether it will need GDAL or Arrow; any child can load them, which takes it a while.
        """
        if equipped:
            # Who reads one such file will read more.
            self._wanted[True] = _EQUIPPED_SPARES
        spares = self._spares[equipped]
        if not spares:
            await self.ready()
        while spares:
            child = spares.pop(0)
            if child.is_alive:
                return child
            await child.end()
        return await self.start(equipped=equipped)

    async def _prepare(self) -> None:
        for equipped, wanted in self._wanted.items():
            while len(self._spares[equipped]) < wanted and not self._closed:
                try:
                    self._spares[equipped].append(await self.start(equipped=equipped))
                except OSError as error:
                    # Whoever needs a child will try again, and be told if that fails too.
                    logger.warning("No process could be started for the next imports: %s", error)
                    return

    async def start(self, *, equipped: bool) -> Child:
        """A new one, at once."""
        may_use = (self._limits.import_memory_bytes, round(self._limits.import_timeout))
        process = await processes.start(
            *COMMAND,
            *map(str, may_use),
            *(["equipped"] if equipped else []),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            cwd=os.sep,
            env=without_secrets(_PARENT),
            limit=_LONGEST_LINE,
            start_new_session=True,
        )
        return Child(process)


def _death(status: int) -> str:
    return f"The process that read it was ended (status {status}): it took too much memory or time"
