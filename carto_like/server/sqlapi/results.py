"""Results as libpq hands them out, as batches of rows of text between beginnings and ends of statements."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import pq
from psycopg.adapt import AdaptersMap, Transformer
from psycopg.types.string import TextLoader

Row = tuple[str | None, ...]

ENCODING_CHANGED = "client_encoding must stay UTF8: answers are sent in UTF-8"
_ROWS = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.SINGLE_TUPLE, pq.ExecStatus.TUPLES_CHUNK)
_BATCH_ROWS = 256
# libpq reads 16 KiB at a time, or one row when that is larger: this bounds a batch of wide rows.
_BATCH_READS = 4


@dataclass(frozen=True)
class Columns:
    """The columns of the rows that follow: names, type oids and type modifiers."""

    names: tuple[str, ...]
    oids: tuple[int, ...]
    mods: tuple[int, ...]


@dataclass(frozen=True)
class Done:
    """The end of one statement: its command tag, and the count in it, if it has one."""

    tag: str
    count: int | None


Event = Columns | list[Row] | Done


class _Texts:
    """What psycopg's loader needs to know to give every value as text."""

    connection = None

    def __init__(self) -> None:
        self.adapters = AdaptersMap()
        self.adapters.register_loader(0, TextLoader)


_TEXTS = _Texts()


class Reader:
    """Gathers rows into batches and notes where statements begin and end."""

    def __init__(self) -> None:
        self._transformer = Transformer(_TEXTS)
        self._rows: list[Row] = []
        self._within = False
        self._reads = 0

    def take(self, result: pq.abc.PGresult) -> list[Event]:
        """The events that ``result`` completes."""
        if result.status in _ROWS:
            return self._take_rows(result)
        gathered = self._flush()
        if result.status == pq.ExecStatus.COMMAND_OK:
            gathered.append(_done(result))
        elif result.status == pq.ExecStatus.EMPTY_QUERY:
            gathered.append(Done("", None))
        return gathered

    def _take_rows(self, result: pq.abc.PGresult) -> list[Event]:
        events: list[Event] = []
        if self._within:
            self._transformer.set_pgresult(result, set_loaders=False)
        else:
            self._transformer.set_pgresult(result)
            self._within = True
            events.append(columns_of(result))
        try:
            self._load(result)
        except UnicodeDecodeError as error:
            raise psycopg.DataError(ENCODING_CHANGED) from error
        if result.status == pq.ExecStatus.TUPLES_OK:
            events += self._flush()
            events.append(_done(result))
            self._within = False
        elif len(self._rows) >= 4 * _BATCH_ROWS:
            events += self._flush()
        return events

    def _load(self, result: pq.abc.PGresult) -> None:
        if result.ntuples == 1:
            row: Row | None = self._transformer.load_row(0, tuple)
            if row is not None:
                self._rows.append(row)
        elif result.ntuples:
            self._rows += self._transformer.load_rows(0, result.ntuples, tuple)

    def due(self) -> list[Event]:
        """The rows gathered so far when they are enough to be worth a batch."""
        self._reads += 1
        if len(self._rows) >= _BATCH_ROWS or self._reads >= _BATCH_READS:
            return self._flush()
        return []

    def _flush(self) -> list[Event]:
        self._reads = 0
        if not self._rows:
            return []
        rows, self._rows = self._rows, []
        return [rows]


def columns_of(result: pq.abc.PGresult) -> Columns:
    """The columns of a result; raises psycopg.DataError when the client changed the encoding."""
    places = range(result.nfields)
    try:
        names = tuple((result.fname(i) or b"").decode() for i in places)
    except UnicodeDecodeError as error:
        raise psycopg.DataError(ENCODING_CHANGED) from error
    return Columns(
        names,
        tuple(result.ftype(i) for i in places),
        tuple(result.fmod(i) for i in places),
    )


def _done(result: pq.abc.PGresult) -> Done:
    return Done((result.command_status or b"").decode(), result.command_tuples)
