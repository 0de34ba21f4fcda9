"""Files that GDAL reads, which has no other driver than the one for their format."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from carto_like.pure.names import column_name
from carto_like.server.imports import codes
from carto_like.server.imports.encodings import SAMPLE_BYTES, find_encoding
from carto_like.server.imports.formats import DRIVERS
from carto_like.server.imports.guessing import BIGINT, BOOLEAN, DATE, DOUBLE, INTEGER, TEXT, TIME, TIMESTAMP
from carto_like.server.imports.jsontext import check_complete
from carto_like.server.imports.rows import Column, Layout, Unreadable, as_text

MOST_COLUMNS = 1600 - 3
MOST_LAYERS = 50
_BATCH = 16_384
_DEFAULT_SRID = 4326
_TYPES = {
    "OFTInteger": INTEGER,
    "OFTInteger64": BIGINT,
    "OFTReal": DOUBLE,
    "OFTString": TEXT,
    "OFTDate": DATE,
    "OFTDateTime": TIMESTAMP,
    "OFTTime": TIME,
}
# The layer that would be third to last, but holds nothing that a table can.
_UNWANTED = {"osm": ("other_relations",)}
_LINK_CHARACTERS = 1000
# Nodes in .pbf are packed some ten times as densely as GDAL keeps them.
_LEAST_OSM_MEGABYTES, _OSM_GROWTH, _MOST_OSM_MEGABYTES = 50, 20, 1000


@dataclass(frozen=True)
class Source:
    """Which layer of which file is to be read.

    Attributes:
        path: with the extension that belongs to the format.
        format: one of :data:`DRIVERS`.
        layer: its name; the first one when empty.
        broken: the code for a file that is damaged.
        max_rows: rows that are allowed; 0 for any number.
    """

    path: str
    format: str
    layer: str = ""
    broken: int = codes.UNKNOWN_TYPE
    max_rows: int = 0


def drivers() -> list[str]:
    """All drivers that GDAL has now."""
    import pyogrio

    return sorted(pyogrio.list_drivers())


def leave_only(format: str, path: str = "") -> None:
    """Keep GDAL from every driver but the one for this file; to be called before it opens one.

    Raises:
        Unreadable: it has others all the same, or not that one.
    """
    import pyogrio
    from pyogrio.core import _register_drivers

    kept = DRIVERS[format]
    pyogrio.set_gdal_config_options(
        {
            "GDAL_SKIP": ",".join(name for name in drivers() if name != kept),
            # OSM's nodes stay in memory, as the process may not write files.
            "OSM_MAX_TMPFILE_SIZE": str(_osm_megabytes(path)),
            "OGR_XLSX_HEADERS": "FORCE",
            "OGR_XLSX_FIELD_TYPES": "STRING",
        }
    )
    # It looks at what it is to skip when it makes its list of drivers, and it can be asked to do so again.
    _register_drivers()
    left = drivers()
    if left != [kept]:
        raise Unreadable(codes.MISSING_TOOL, f"drivers are {', '.join(left)} and not {kept} alone")


def _osm_megabytes(path: str) -> int:
    """Room for the nodes of a file. It is taken at once, and for a small file that takes the longest."""
    size = os.path.getsize(path) if path else 0
    return min(_LEAST_OSM_MEGABYTES + _OSM_GROWTH * size // 2**20, _MOST_OSM_MEGABYTES)


def layers_of(source: Source) -> list[str]:
    """The names of the layers that have rows.

    Raises:
        Unreadable: the file is none of its format, or has too many layers.
    """
    import pyogrio

    if source.format == "kml":
        _check_no_link(source)
    try:
        names = [str(name) for name, _ in pyogrio.list_layers(source.path)]
        if len(names) > MOST_LAYERS:
            raise Unreadable(codes.TOO_MANY_LAYERS, f"It has {len(names)} layers, {MOST_LAYERS} are allowed")
        names = [name for name in names if name not in _UNWANTED.get(source.format, ())]
        if source.format == "osm":
            # It is read to its end to count a layer, and has the same four always.
            return names
        return [name for name in names if _has_rows(source, name)]
    except Unreadable:
        raise
    except Exception as error:
        # GDAL's reader has an exception of its own for each kind of damage.
        raise Unreadable(source.broken, first_line(error)) from None


def _has_rows(source: Source, name: str) -> bool:
    import pyogrio

    return bool(pyogrio.read_info(source.path, layer=name, force_feature_count=True)["features"])


class OgrTable:
    """One layer of one file; reading it may raise :class:`Unreadable`."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._layer: Any = source.layer or 0
        self._options: dict[str, Any] = {}
        if source.format == "geojson":
            check_complete(source.path, source.broken)
        if source.format == "shp":
            self._options = _shapefile_options(source.path)
        self._fields: list[Column] = []
        self._has_geometry = True
        self._numbered = True

    def layout(self) -> Layout:
        """Names and types of the columns."""
        import pyogrio

        try:
            info = pyogrio.read_info(self._source.path, layer=self._layer, **self._options)
        except Exception as error:
            raise Unreadable(self._source.broken, first_line(error)) from None
        if len(info["fields"]) > MOST_COLUMNS:
            raise Unreadable(codes.TOO_MANY_COLUMNS, f"There are {len(info['fields'])} columns")
        self._fields = _columns(info)
        self._numbered = not any(column.name == "cartodb_id" for column in self._fields)
        self._has_geometry = info["geometry_type"] is not None
        if not self._has_geometry:
            return Layout(tuple(self._fields), self._numbered)
        srid = _srid_of(info["crs"], self._source.format)
        geometry = Column("the_geom", TEXT, -1, as_text)
        kind = "wkb" if srid == _DEFAULT_SRID else "hex"
        return Layout((*self._fields, geometry), self._numbered, None, ("the_geom", kind), srid)

    def blocks(self, layout: Layout) -> Iterator[tuple[int, bytes]]:
        """Number of rows and their text for COPY, in blocks."""
        from carto_like.server.imports.arrowcells import block_of, cells_of, numbers
        from carto_like.server.imports.geometries import geometry_cells

        count = 0
        for batch, geometry in self._batches():
            size, count = batch.num_rows, count + batch.num_rows
            if self._source.max_rows and count > self._source.max_rows:
                raise Unreadable(codes.TOO_MANY_ROWS, f"More than {self._source.max_rows} rows")
            cells = [cells_of(batch.column(column.index)) for column in self._fields]
            if self._numbered:
                cells.insert(0, numbers(count - size + 1, size))
            if geometry is not None:
                cells.append(geometry_cells(geometry))
            yield size, block_of(cells)

    def _batches(self) -> Iterator[tuple[Any, Any]]:
        from pyogrio.raw import open_arrow

        try:
            with open_arrow(
                self._source.path,
                layer=self._layer,
                use_pyarrow=True,
                batch_size=_BATCH,
                datetime_as_string=True,
                **self._options,
            ) as (meta, reader):
                name = meta["geometry_name"] or "wkb_geometry"
                for batch in reader:
                    yield batch, batch.column(name) if self._has_geometry else None
        except Unreadable:
            raise
        except Exception as error:
            raise Unreadable(self._source.broken, first_line(error)) from None


def _columns(info: dict[str, Any]) -> list[Column]:
    fields = [str(field) for field in info["fields"]]
    kinds = zip(info["ogr_types"], info["ogr_subtypes"], strict=True)
    names: dict[str, None] = {"the_geom": None, "the_geom_webmercator": None}
    if not _has_key(fields, info["ogr_types"]):
        names["cartodb_id"] = None
    columns = []
    for index, (field, (kind, subtype)) in enumerate(zip(fields, kinds, strict=True)):
        name = column_name(field, names)
        names[name] = None
        of_type = BOOLEAN if str(subtype) == "OFSTBoolean" else _TYPES.get(str(kind), TEXT)
        columns.append(Column(name, of_type, index, as_text))
    return columns


def _has_key(fields: list[str], kinds: Any) -> bool:
    """Whether the file has a key of its own; one that is no number is a column like others."""
    whole = ("OFTInteger", "OFTInteger64")
    return any(
        field.lower() == "cartodb_id" and str(kind) in whole
        for field, kind in zip(fields, kinds, strict=True)
    )


def _srid_of(crs: str | None, format: str) -> int:
    if not crs:
        return _DEFAULT_SRID
    match = re.fullmatch(r"EPSG:(\d+)", crs)
    if match:
        return int(match.group(1))
    is_projected = "PROJC" in crs
    if "CRS84" in crs or (not is_projected and ("WGS 84" in crs or "GCS_WGS_1984" in crs)):
        return _DEFAULT_SRID
    code = codes.UNKNOWN_SHAPE if format in ("shp", "tab") else codes.UNKNOWN_PROJECTION
    raise Unreadable(code, "The file's projection has no EPSG code")


def _shapefile_options(path: str) -> dict[str, Any]:
    """How the text of a shapefile is encoded, where nothing in it says so."""
    stem = os.path.splitext(path)[0]
    missing = [name for name in (".dbf", ".shx") if not os.path.exists(stem + name)]
    if missing:
        raise Unreadable(codes.INCOMPLETE_SHAPE, f"There is no {' and no '.join(missing)} beside the .shp")
    if os.path.exists(stem + ".cpg"):
        return {}
    if os.path.exists(stem + ".cst"):
        with open(stem + ".cst", encoding="ascii", errors="replace") as file:
            return {"encoding": file.read(40).strip()}
    with open(stem + ".dbf", "rb") as dbf:
        sample = dbf.read(SAMPLE_BYTES)
    language_driver = sample[29:30]
    if language_driver not in (b"", b"\0"):
        return {}
    return {"encoding": find_encoding(sample[32:].replace(b"\0", b" "), is_whole=False)}


def _check_no_link(source: Source) -> None:
    with open(source.path, "rb") as file:
        if b"NetworkLink" in file.read(_LINK_CHARACTERS):
            raise Unreadable(codes.ONLY_A_LINK)


def _said(error: Exception) -> str:
    # What follows is advice to whoever can choose a driver.
    return str(error).partition("\n")[0].partition("; It might help")[0]


def first_line(error: Exception) -> str:
    """What an exception says, without the folders that files are in."""
    return re.sub(r"'?(/[^\s']*/)+[^\s']*'?", "the file", _said(error))[:300]
