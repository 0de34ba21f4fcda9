"""The formats that ``/sql`` can answer in."""

from __future__ import annotations

from dataclasses import dataclass

_JSON = "application/json; charset=utf-8"


@dataclass(frozen=True)
class Format:
    """How an answer in a format is sent.

    Attributes:
        content_type: value of the header.
        extension: of the file's name.
        calls_back: whether ``callback`` makes it a call of a function.
        by_tool: whether clients know it as an export, with a time limit of its own.
    """

    content_type: str
    extension: str
    calls_back: bool = False
    by_tool: bool = False


FORMATS = {
    "json": Format(_JSON, "json", calls_back=True),
    "geojson": Format(_JSON, "geojson", calls_back=True),
    "topojson": Format(_JSON, "topojson", calls_back=True),
    "svg": Format("image/svg+xml; charset=utf-8", "svg"),
    "arraybuffer": Format("application/octet-stream", "arraybuffer"),
    "csv": Format("text/csv; charset=utf-8; header=present", "csv", by_tool=True),
    "kml": Format("application/kml; charset=utf-8", "kml", by_tool=True),
    "shp": Format("application/zip; charset=utf-8", "zip", by_tool=True),
    "gpkg": Format("application/x-sqlite3; charset=utf-8", "gpkg", by_tool=True),
    "spatialite": Format("application/x-sqlite3; charset=utf-8", "sqlite", by_tool=True),
    "parquet": Format("application/vnd.apache.parquet", "parquet", by_tool=True),
    "arrow": Format("application/vnd.apache.arrow.stream", "arrows", by_tool=True),
}
