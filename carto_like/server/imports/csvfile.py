"""Delimited text: how it is written, what it holds, and its rows."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import IO, Any

from carto_like.pure.names import column_name
from carto_like.server.imports import codes
from carto_like.server.imports.delimiters import find_delimiter
from carto_like.server.imports.encodings import SAMPLE_BYTES, find_encoding, forced_encoding
from carto_like.server.imports.geotext import (
    GEOMETRY_NAMES,
    LATITUDES,
    LONGITUDES,
    kind_of_geometry,
)
from carto_like.server.imports.guessing import (
    BIGINT,
    BOOLEAN,
    DOUBLE,
    INTEGER,
    TEXT,
    clipped,
    is_number,
    needs_clipping,
    type_of,
    wider,
)
from carto_like.server.imports.rows import (
    BATCH,
    NULL,
    Cells,
    Clean,
    Column,
    Layout,
    Unreadable,
    as_text,
    as_trimmed_value,
    as_value,
    copy_block,
    numbers,
)

GUESSED_CHARACTERS = 20 * 2**20
MOST_COLUMNS = 1600 - 3
_CELL_CHARACTERS = 64 * 2**20
_QUOTE_MARK = "\x02"
# What people get instead of the file they asked for, and what others rename to try their luck.
_OTHER_FORMATS = re.compile(
    r"\s*<(\?xml|!doctype|html|head|body|ogrvrtdatasource|vrtdataset|kml|gpx|gml|osm|svg)\b", re.IGNORECASE
)
_BINARY = (b"PK\x03\x04", b"\x1f\x8b", b"%PDF", b"\x89PNG", b"\xd0\xcf\x11\xe0", b"SQLite format 3", b"GIF8")


@dataclass(frozen=True)
class Options:
    """How a file shall be read.

    Attributes:
        careful: look at the whole file for types, and at each value for what can be made of it.
        as_text: names of columns that are text whatever they look like.
        encoding: to read it in; empty to find out.
        max_rows: rows that are allowed; 0 for any number.
    """

    path: str
    file_name: str
    type_guessing: bool = True
    quoted_fields_guessing: bool = True
    careful: bool = False
    as_text: tuple[str, ...] = ()
    encoding: str = ""
    max_rows: int = 0


@dataclass
class _Guess:
    """What was seen of one column."""

    type: str | None = None
    first: str = ""
    blanks: bool = False
    clipping: bool = False
    quoted: bool = False
    empty: bool = False


@dataclass(frozen=True)
class _Named:
    """A cell of the header: as written, and as the column is called."""

    written: str
    name: str
    index: int = field(compare=False)


class CsvTable:
    """One delimited file; reading it may raise :class:`Unreadable`.

    Args:
        options: which file, and how.
        text: CSV that is read instead of the file.
    """

    def __init__(self, options: Options, text: str | None = None) -> None:
        csv.field_size_limit(_CELL_CHARACTERS)
        self._options = options
        self._text = text
        self._encoding = options.encoding or ("" if text is not None else _encoding_of(options))
        sample = self._sample()
        if not sample.strip():
            raise Unreadable(codes.EMPTY_FILE)
        if text is None and _OTHER_FORMATS.match(sample):
            raise Unreadable(codes.UNKNOWN_TYPE, "This is XML or HTML, not delimited text")
        self._delimiter = "," if text is not None else find_delimiter(io.StringIO(sample, newline=""))
        self._names, self._has_header = self._read_header()

    def layout(self) -> Layout:
        """Names and types of the columns, after a look at the data."""
        guesses = self._guess()
        point = self._point() if self._options.type_guessing else None
        geometry = None if point else self._geometry(guesses)
        columns: list[Column] = []
        named: tuple[str, str] | None = None
        for cell in self._names:
            guess = guesses[cell.index]
            if cell.name == "the_geom_webmercator":
                continue
            name = cell.name
            if geometry is not None and cell == geometry:
                kind = kind_of_geometry(guess.first)
                name = "the_geom" if kind else "invalid_the_geom"
                named = (name, kind) if kind else None
                columns.append(Column(self._free(name, cell), TEXT, cell.index, as_value_text))
                continue
            if name == "the_geom":
                name = self._free("the_geom_str", cell)
            columns.append(self._column(name, cell, guess, is_ordinate=bool(point) and cell in (point or ())))
        numbered = not any(column.name == "cartodb_id" for column in columns)
        if not columns:
            raise Unreadable(codes.BAD_HEADER, "There are no columns")
        names = (point[0].name, point[1].name) if point else None
        return Layout(tuple(columns), numbered, names, named)

    def blocks(self, layout: Layout) -> Iterator[tuple[int, bytes]]:
        """Number of rows and their text for COPY, in blocks."""
        width, count = len(self._names), 0
        for batch in self._batches():
            cells = _columns_of(batch, width)
            count += len(batch)
            if self._options.max_rows and count > self._options.max_rows:
                raise Unreadable(codes.TOO_MANY_ROWS, f"More than {self._options.max_rows} rows")
            out: list[Cells] = [column.clean(cells[column.index]) for column in layout.columns]
            if layout.numbered:
                out.insert(0, list(numbers(count - len(batch) + 1, len(batch))))
            yield len(batch), copy_block(out)

    def _sample(self) -> str:
        """Its beginning, which is longer in characters than what the encoding was found by."""
        with self._reading(), self._open() as file:
            return file.read(SAMPLE_BYTES)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except UnicodeError as error:
            raise Unreadable(
                codes.UNKNOWN_ENCODING, f"Not {self._encoding}: {error}", encoding=True
            ) from None

    def _open(self) -> IO[str]:
        if self._text is not None:
            return io.StringIO(self._text, newline="")
        return open(self._options.path, encoding=self._encoding, newline="")

    def _rows(self) -> Iterator[list[str]]:
        """The rows that are not empty, header included."""
        try:
            with self._reading(), self._open() as file:
                # Python 3.10 does not read lines with such characters.
                strips = self._options.careful or sys.version_info < (3, 11)
                lines: Any = (line.replace("\0", "") for line in file) if strips else file
                yield from filter(None, csv.reader(lines, delimiter=self._delimiter))
        except csv.Error as error:
            reason = "a quote is not closed" if "field larger" in str(error) else str(error)
            raise Unreadable(codes.LOAD_FAILED, reason) from None

    def _batches(self) -> Iterator[list[list[str]]]:
        rows = self._rows()
        if self._has_header:
            next(rows, None)
        while batch := list(islice(rows, BATCH)):
            yield batch

    def _read_header(self) -> tuple[list[_Named], bool]:
        header = next(self._rows(), [])
        cells = [cell.strip() for cell in header]
        if len(cells) > MOST_COLUMNS + 1:
            raise Unreadable(codes.TOO_MANY_COLUMNS, f"The header has {len(cells)} columns")
        is_header = not all(map(is_number, cells))
        written = _renamed(cells) if is_header else [f"field_{n}" for n in range(1, len(cells) + 1)]
        if len(written) > 1 and not cells[-1]:
            written.pop()
        if len(written) > MOST_COLUMNS:
            raise Unreadable(codes.TOO_MANY_COLUMNS, f"The header has {len(cells)} columns")
        names: dict[str, _Named] = {}
        for index, text in enumerate(written):
            name = column_name(text, names)
            names[name] = _Named(text, name, index)
        return list(names.values()), is_header

    def _guess(self) -> list[_Guess]:
        guesses = [_Guess() for _ in self._names]
        left = None if self._options.careful else GUESSED_CHARACTERS
        for batch in self._batches():
            for guess, cells in zip(guesses, _columns_of(batch, len(guesses)), strict=True):
                _look(guess, [cell or "" for cell in cells] if None in cells else cells)
            if left is not None:
                left -= sum(map(len, chain.from_iterable(batch)))
                if left < 0:
                    break
        if self._options.type_guessing and not self._options.quoted_fields_guessing:
            self._find_quoted(guesses)
        return guesses

    def _find_quoted(self, guesses: Sequence[_Guess]) -> None:
        """Note which columns hold quoted cells, which the csv module does not tell."""
        opening = re.compile(rf'(^|{re.escape(self._delimiter)})"')
        with self._open() as file:
            marked = (opening.sub(rf'\1"{_QUOTE_MARK}', line) for line in file)
            rows = filter(None, csv.reader(marked, delimiter=self._delimiter))
            if self._has_header:
                next(rows, None)
            left = GUESSED_CHARACTERS
            for row in rows:
                for guess, cell in zip(guesses, row, strict=False):
                    if cell.startswith(_QUOTE_MARK):
                        guess.quoted = True
                left -= sum(map(len, row))
                if left < 0 and not self._options.careful:
                    break

    def _point(self) -> tuple[_Named, _Named] | None:
        found = []
        for wanted in (LATITUDES, LONGITUDES):
            cells = [cell for cell in self._names if cell.written.lower() in wanted]
            found.append(min(cells, key=lambda cell: wanted.index(cell.written.lower()), default=None))
        latitude, longitude = found
        return (latitude, longitude) if latitude is not None and longitude is not None else None

    def _geometry(self, guesses: Sequence[_Guess]) -> _Named | None:
        found = [cell for cell in self._names if cell.written.lower() in GEOMETRY_NAMES]
        found.sort(
            key=lambda cell: (not guesses[cell.index].first, GEOMETRY_NAMES.index(cell.written.lower()))
        )
        return found[0] if found else None

    def _free(self, name: str, cell: _Named) -> str:
        return column_name(name, {other.name for other in self._names if other != cell})

    def _column(self, name: str, cell: _Named, guess: _Guess, *, is_ordinate: bool) -> Column:
        if name == "cartodb_id":
            return _key(cell, guess)
        if is_ordinate:
            doubtful = self._options.careful or guess.type not in _NUMBERS
            clean = _as_number if doubtful else as_value
            return Column(name, DOUBLE, cell.index, clean)
        unwanted = not self._options.type_guessing or guess.quoted or name in self._options.as_text
        kind = TEXT if unwanted else guess.type or TEXT
        return Column(name, kind, cell.index, self._cleaner(kind, guess))

    def _cleaner(self, kind: str, guess: _Guess) -> Clean:
        if kind == TEXT:
            return as_text
        if kind == BIGINT and guess.clipping:
            return _as_clipped
        if kind == BOOLEAN or not (self._options.careful or guess.blanks):
            return as_trimmed_value if guess.blanks else as_value
        return as_trimmed_value


_NUMBERS = (None, INTEGER, BIGINT, DOUBLE)


def as_value_text(cells: Cells) -> Cells:
    """Text of which nothing is NULL."""
    return [cell or NULL for cell in as_text(["" if cell is None else cell for cell in cells])]


def _as_number(cells: Cells) -> Cells:
    return [cell.strip() if cell and type_of([cell]) in _NUMBERS[1:] else NULL for cell in cells]


def _as_clipped(cells: Cells) -> Cells:
    return [clipped(cell) if cell and not cell.isspace() else NULL for cell in cells]


def _key(cell: _Named, guess: _Guess) -> Column:
    if guess.type not in (INTEGER, BIGINT) or guess.empty or guess.clipping:
        raise Unreadable(codes.BAD_KEY, "cartodb_id has values that are no whole numbers, or empty")
    return Column("cartodb_id", guess.type, cell.index, as_trimmed_value)


def _look(guess: _Guess, cells: Sequence[str]) -> None:
    if not guess.first:
        guess.first = next((cell for cell in cells if cell and not cell.isspace()), "")
    if not guess.empty:
        guess.empty = not all(cells)
    if not guess.blanks:
        guess.blanks = any(map(str.isspace, cells))
    if guess.type == TEXT:
        return
    guess.type = wider(guess.type, type_of(cells))
    if guess.type == BIGINT and not guess.clipping:
        guess.clipping = needs_clipping(cells)


def _columns_of(batch: Sequence[Sequence[str]], width: int) -> list[Cells]:
    """The cells of many rows by column; rows that are too long are cut, others filled with None."""
    if set(map(len, batch)) != {width}:
        filler: list[str | None] = [None] * width
        return list(zip(*([*row[:width], *filler[len(row) :]] for row in batch), strict=True))
    return list(zip(*batch, strict=True))


def _renamed(cells: Sequence[str]) -> list[str]:
    """Header cells, empty ones named by their position, repeated ones numbered from 2."""
    taken: set[str] = set()
    renamed = []
    for position, cell in enumerate(cells, 1):
        name = base = cell or f"field_{position}"
        number = 1
        while name.lower() in taken:
            number += 1
            name = f"{base}{number}"
        taken.add(name.lower())
        renamed.append(name)
    return renamed


def _encoding_of(options: Options) -> str:
    try:
        forced = forced_encoding(options.file_name)
    except LookupError as error:
        raise Unreadable(codes.UNKNOWN_ENCODING, str(error)) from None
    with open(options.path, "rb") as file:
        sample = file.read(SAMPLE_BYTES + 1)
    if not sample.strip():
        raise Unreadable(codes.EMPTY_FILE)
    if sample.startswith(_BINARY):
        raise Unreadable(codes.UNKNOWN_TYPE, "This is a binary file, not delimited text")
    return forced or find_encoding(sample[:SAMPLE_BYTES], is_whole=len(sample) <= SAMPLE_BYTES)
