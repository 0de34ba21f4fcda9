"""What uploaded and downloaded files are called, and what that says about them."""

from __future__ import annotations

import os
import re
from email.message import Message
from urllib.parse import parse_qsl, unquote, urlsplit

from carto_like.server.imports.formats import ARCHIVES, OF_EXTENSIONS, REFUSED

_KNOWN = frozenset(OF_EXTENSIONS) | frozenset(REFUSED) | frozenset(ARCHIVES)
# What a type allows; the first is what a name with another extension gets.
_TYPES = {
    "text/plain": (".txt", ".csv", ".tsv", ".kml", ".geojson", ".json", ".js", ".gpx", ".osm"),
    "text/csv": (".csv",),
    "text/tab-separated-values": (".tsv", ".txt", ".csv"),
    "application/vnd.geo+json": (".geojson",),
    "application/geo+json": (".geojson", ".json"),
    "application/json": (".json", ".geojson"),
    "application/vnd.ms-excel": (".xls", ".csv"),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": (".xlsx",),
    "application/vnd.oasis.opendocument.spreadsheet": (".ods",),
    "application/vnd.google-earth.kml+xml": (".kml",),
    "application/vnd.google-earth.kmz": (".kmz",),
    "application/gpx+xml": (".gpx",),
    "application/x-gzip": (".tgz", ".gz"),
    "application/vnd.openstreetmap.data+xml": (".osm",),
    "application/osm3s+xml": (".osm",),
    "application/geopackage+sqlite3": (".gpkg",),
    "application/vnd.apache.parquet": (".parquet", ".geoparquet"),
    "text/javascript": (".json", ".geojson"),
    "application/javascript": (".json", ".geojson"),
}
_GZIP, _GZIPPED = ("gzip", "x-gzip"), (".gz", ".tgz")
_LONGEST, _LONGEST_END = 200, 20
_REMOVED = re.compile("[()'\"&]")


def extension_of(name: str) -> str:
    """The extension, in lower case, with its dot."""
    return os.path.splitext(name)[1].lower()


def stem_of(name: str) -> str:
    """What a table made of a file of this name is called after."""
    stem = os.path.splitext(os.path.basename(name.replace("\\", "/")))[0]
    return _REMOVED.sub("", stem.lower().replace(" ", "_"))


def safe_name(name: str) -> str:
    """The name of an upload without its folders, and with no blanks."""
    base = os.path.basename(name.replace("\\", "/")).strip()
    cleaned = re.sub(r"[\x00-\x1f\x7f]", "", base).replace(" ", "_")
    # Of a long one the end stays, which says what it is.
    if len(cleaned) > _LONGEST:
        cleaned = cleaned[: _LONGEST - _LONGEST_END] + cleaned[-_LONGEST_END:]
    return cleaned


def name_of_download(url: str, headers: Message) -> str:
    """The file name of what was downloaded; one that came packed by gzip ends in ``.gz``."""
    name = _as_attachment(headers) or name_of_url(url)
    if coding_of(headers) not in _GZIP:
        return safe_name(_as_typed(name, headers))
    if extension_of(name) not in _GZIPPED:
        # What the type says is said of the file before it was packed.
        name = _as_typed(name, headers)
    return safe_name(name if extension_of(name) in _GZIPPED else f"{name}.gz")


def coding_of(headers: Message) -> str:
    """How an answer was packed for its way, or was already where it lay; empty for as it is."""
    coding = str(headers.get("Content-Encoding", "")).strip().lower()
    return "" if coding == "identity" else coding


def is_known_coding(coding: str) -> bool:
    """Whether what was packed so can be unpacked here."""
    return not coding or coding in _GZIP


def _as_typed(name: str, headers: Message) -> str:
    allowed = _TYPES.get(headers.get_content_type() if headers.get("Content-Type") else "", ())
    stem, extension = os.path.splitext(name)
    if allowed and extension.lower() not in allowed:
        known = extension.lower() in _KNOWN
        return (stem if known else name) + allowed[0]
    return name


def name_of_url(url: str) -> str:
    """What a download is called as long as only its address is known."""
    return safe_name(_in_url(url) or _in_path(url)) or "download"


def _as_attachment(headers: Message) -> str | None:
    name = headers.get_filename()
    return name if name and extension_of(name) else None


def _in_url(url: str) -> str | None:
    parts = urlsplit(url)
    last = _in_path(url)
    if last and extension_of(last) in _KNOWN:
        return last
    for _, value in parse_qsl(parts.query):
        name = os.path.basename(value)
        if extension_of(name) in _KNOWN:
            return name
    return None


def _in_path(url: str) -> str:
    return unquote(os.path.basename(urlsplit(url).path))
