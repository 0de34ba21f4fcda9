"""Formats that can be imported: what their files are called, and which driver of GDAL reads them."""

from __future__ import annotations

from typing import Final

DRIVERS: Final = {
    "geojson": "GeoJSON",
    "shp": "ESRI Shapefile",
    "tab": "MapInfo File",
    "kml": "LIBKML",
    "gpx": "GPX",
    "gpkg": "GPKG",
    "fgb": "FlatGeobuf",
    "gdb": "OpenFileGDB",
    "osm": "OSM",
    "ods": "ODS",
    "xlsx": "XLSX",
}
"""GDAL's driver by format; the process that reads a file has no other."""

OF_EXTENSIONS: Final = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".geojson": "geojson",
    ".js": "geojson",
    ".json": "json",
    ".shp": "shp",
    ".tab": "tab",
    ".kml": "kml",
    ".gpx": "gpx",
    ".gpkg": "gpkg",
    ".fgb": "fgb",
    ".gdb": "gdb",
    ".osm": "osm",
    ".pbf": "osm",
    ".ods": "ods",
    ".xlsx": "xlsx",
    ".parquet": "parquet",
    ".geoparquet": "parquet",
}
"""Format by extension."""

LAYERED: Final = frozenset({"kml", "gpx", "gpkg", "gdb", "osm"})
"""Formats of which one file can become several tables."""

REFUSED: Final = {
    ".xls": "Files of Excel before 2007 cannot be read: save it as .xlsx",
    ".carto": "Maps cannot be imported yet: unpack it and import the .gpkg files in it",
    ".tif": "Rasters cannot be imported",
    ".tiff": "Rasters cannot be imported",
    ".rar": "RAR archives cannot be unpacked here: use .zip",
}
"""What people try, and what they are told."""

ARCHIVES: Final = (".zip", ".kmz", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tbz2", ".gz", ".bz2")
"""What is unpacked first, by the end of its name."""
