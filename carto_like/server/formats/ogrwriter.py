"""The process that writes a file through GDAL: rows come in on its standard input, the file stays behind.

A process of its own because GDAL keeps Python's lock while it works, for seconds when it builds an index;
and because a process can be stopped at any time. It knows no secrets and opens nothing but its own file.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyogrio
from pyogrio.errors import CRSError

from carto_like.pure.ewkb import Header, read_header, spatialite_blob, without_srid
from carto_like.server.formats.frames import BrokenOffError, frame, read_frames
from carto_like.server.formats.ogrcolumns import ARROW_TYPES, Column, column_of, finite, fit_for_xml
from carto_like.server.formats.ogrlayers import layer_of
from carto_like.server.formats.ogrspec import Spec
from carto_like.server.formats.outcome import FOLDER_PREFIX, REFUSAL, REFUSED, RESULT
from carto_like.server.formats.spatialite import add_columns

_BATCH_ROWS = 8192
_NO_ID = (None, "-1")
_WHOLE = ("int32", "int64")
_HELD_BYTES = 16 * 2**20
_GDALS_PREFIX = "Error while writing batch to OGR layer: "
# A number that some programs use for 3857.
_SAME_SYSTEM = {900913: 3857}

Rows = list[tuple[str | None, ...]]


class Export:
    """One file in the making."""

    def __init__(self, spec: Spec, batches: Iterator[Rows]) -> None:
        self._spec = spec
        self._header, self._batches = _look_ahead(spec, batches)
        self._layer = layer_of(spec, self._header)
        self._others = _Others(self._layer.shapes[1:])
        self._failure: Exception | None = None

    def write(self) -> Path:
        """Write the file; answers where it is.

        Raises:
            Exception: whatever GDAL refuses, or the rows' source.
        """
        schema = self._schema()
        for system in self._systems():
            try:
                self._write(schema, system)
            except CRSError:
                continue
            except RuntimeError as error:
                raise self._failure or error from error
            break
        self._others.add_to(self._layer.file, self._layer.name)
        return Path(self._layer.file)

    def _write(self, schema: Any, system: str | None) -> None:
        layer = self._layer
        pyogrio.raw.write_arrow(
            pa.RecordBatchReader.from_batches(schema, self._record_batches(schema)),
            layer.file,
            layer=layer.name,
            driver=layer.driver,
            geometry_name=layer.shapes[0] if layer.shapes else None,
            geometry_type="Unknown" if layer.shapes else None,
            crs=system,
            encoding="UTF-8" if self._spec.format == "shp" else None,
            layer_options=layer.layer_options,
            dataset_options=layer.dataset_options,
        )

    def _systems(self) -> list[str | None]:
        """Names under which GDAL may know the reference system; None for none at all."""
        srid = self._header.srid if self._header is not None else 0
        if not srid:
            return [None]
        srid = _SAME_SYSTEM.get(srid, srid)
        return [f"EPSG:{srid}", f"ESRI:{srid}", None]

    def _schema(self) -> Any:
        shapes = [pa.field(name, pa.binary()) for name in self._layer.shapes[:1]]
        kinds = (ARROW_TYPES[kind] for _, _, kind in self._spec.fields)
        return pa.schema([*shapes, *map(pa.field, self._layer.fields, kinds)])

    def _record_batches(self, schema: Any) -> Iterator[Any]:
        # What is raised in here reaches us as an error of GDAL's, which has lost what it was.
        try:
            for rows in _gathered(self._ordered()):
                columns = list(zip(*rows, strict=True))
                arrays = self._shapes(columns)
                arrays += [self._attribute(kind, columns[place]) for _, place, kind in self._spec.fields]
                yield pa.record_batch(arrays, schema=schema)
        except Exception as error:
            self._failure = error
            raise

    def _ordered(self) -> Iterator[Rows]:
        """The rows as they come; in a GeoPackage those without an id last, which to GDAL -1 means, too.

        They get a number that is free, and which numbers are free is only known after all others.
        """
        places = [place for name, place, kind in self._spec.fields if name == "cartodb_id" and kind in _WHOLE]
        if self._spec.format != "gpkg" or not places:
            yield from self._batches
            return
        late: Rows = []
        for rows in self._batches:
            others = [row for row in rows if row[places[0]] not in _NO_ID]
            if len(others) < len(rows) and len(late) < _BATCH_ROWS:
                late += [row for row in rows if row[places[0]] in _NO_ID]
                rows = others
            yield rows
        yield late

    def _attribute(self, kind: str, texts: tuple[str | None, ...]) -> Column:
        column = column_of(kind, texts)
        # A .dbf has no way to say "not a number" that other programs would read.
        if kind == "float64" and self._spec.format == "shp":
            return finite(column)
        return fit_for_xml(column) if kind == "text" and self._spec.format == "kml" else column

    def _shapes(self, columns: list[tuple[str | None, ...]]) -> list[Column]:
        """The layer's own geometries; those of other columns are put aside."""
        places = [place for _, place in self._spec.geometries[: len(self._layer.shapes)]]
        shapes = [
            [None if text is None else bytes.fromhex(text) for text in columns[place]] for place in places
        ]
        self._others.keep(shapes[1:])
        return (
            [pa.array([shape and without_srid(shape) for shape in shapes[0]], pa.binary())] if shapes else []
        )


class _Others:
    """The geometries of further columns, kept on disk until the file is there."""

    def __init__(self, names: list[str]) -> None:
        self._headers = dict.fromkeys(names, Header(1, 0, False, False, 0))
        self._known: set[str] = set()
        self._file = tempfile.SpooledTemporaryFile(_HELD_BYTES) if names else None  # noqa: SIM115

    def keep(self, columns: list[list[bytes | None]]) -> None:
        """Keep the geometries of a batch of rows."""
        if self._file is None:
            return
        for name, column in zip(self._headers, columns, strict=True):
            first = next(filter(None, column), None)
            if name not in self._known and first is not None:
                self._known.add(name)
                self._headers[name] = read_header(first)
        blobs = [[shape and spatialite_blob(shape) for shape in column] for column in columns]
        self._file.write(frame(list(zip(*blobs, strict=True))))

    def add_to(self, file: str, table: str) -> None:
        """Put the columns into a finished SpatiaLite file."""
        if self._file is not None:
            self._file.seek(0)
            rows = chain.from_iterable(_replay(self._file))
            add_columns(file, table, self._headers, rows)


def _look_ahead(spec: Spec, batches: Iterator[Rows]) -> tuple[Header | None, Iterator[Rows]]:
    """The header of the first geometry, and all rows: those passed on the way are kept, on disk if many."""
    kind, has_z, has_m, srid = spec.declared
    declared = Header(1, kind, has_z, has_m, srid)
    if not spec.geometries:
        return None, batches
    place = spec.geometries[0][1]
    held = tempfile.SpooledTemporaryFile(_HELD_BYTES)  # noqa: SIM115
    header = declared
    for rows in batches:
        held.write(frame(rows))
        text = next((row[place] for row in rows if row[place] is not None), None)
        if text is not None:
            header = read_header(bytes.fromhex(text))
            break
    held.seek(0)
    return header, chain(_replay(held), batches)


def _replay(held: Any) -> Iterator[Any]:
    with held, suppress(BrokenOffError):
        yield from read_frames(held)


def _gathered(batches: Iterable[Rows]) -> Iterator[Rows]:
    """The rows in larger batches."""
    gathered: Rows = []
    for rows in batches:
        gathered += rows
        if len(gathered) >= _BATCH_ROWS:
            yield gathered
            gathered = []
    if gathered:
        yield gathered


def _zip(file: Path, name: str) -> Path:
    """The parts of a shapefile in one archive, under the name that was asked for."""
    target = Path("export.zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for suffix in (".shp", ".shx", ".dbf", ".prj", ".cpg"):
            part = file.with_suffix(suffix)
            if part.exists():
                archive.write(part, f"{name}{suffix}")
    return target


def main() -> int:
    """Write what standard input asks for into the working directory; answers the exit code."""
    folder = Path.cwd()
    if not folder.name.startswith(FOLDER_PREFIX):
        sys.exit(f"{folder} is no folder for an export: only the server starts this, in one that it made")
    frames = read_frames(sys.stdin.buffer)
    try:
        spec = Spec(**next(frames))
        file = Export(spec, frames).write()
        if spec.format == "shp":
            file = _zip(file, spec.name)
        file.rename(RESULT)
    except BrokenOffError:
        # Nobody is left to take the file or to remove what there is of it.
        shutil.rmtree(folder, ignore_errors=True)
        return 1
    except (RuntimeError, ValueError, OSError) as error:
        text = str(error).removeprefix(_GDALS_PREFIX).replace(f"{folder}/", "")
        Path(REFUSAL).write_text(text, "utf-8")
        return REFUSED
    return 0
