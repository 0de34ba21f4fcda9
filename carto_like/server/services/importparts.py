"""What an uploaded or downloaded file consists of: the tables that are to be made of it."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carto_like.server.imports import codes
from carto_like.server.imports.archives import Bounds, is_archive, unpack
from carto_like.server.imports.codes import ImportFailure
from carto_like.server.imports.filenames import extension_of, stem_of
from carto_like.server.imports.formats import LAYERED, OF_EXTENSIONS, REFUSED
from carto_like.server.imports.reader import ImportReaders, Request
from carto_like.server.settings import Limits

MOST_TABLES = 26
"""Tables that one import makes; what is beyond is left out, with a warning."""


@dataclass(frozen=True)
class Part:
    """One table to be made.

    Attributes:
        request: what is read.
        wanted: text that the table's name is made of.
        file_stem: of the file that it comes from.
    """

    request: Request
    wanted: str
    file_stem: str


@dataclass(frozen=True)
class Parts:
    """All tables to be made of a file, and what is known already to go wrong."""

    parts: list[Part]
    failures: list[ImportFailure]


def files_of(file: Path, name: str, limits: Limits) -> list[Path]:
    """The files to be read: the file itself, or those that were in it.

    Raises:
        ImportFailure: it is an archive that cannot be unpacked.
    """
    if is_archive(name):
        bounds = Bounds(limits.import_unpacked_max_bytes, limits.import_unpacked_ratio)
        return unpack(file, name, file.parent / "unpacked", bounds)
    # GDAL goes by extensions, and uploads have none.
    extension = extension_of(name)
    linked = file.parent / f"data{extension}"
    if not extension or not extension.isascii() or os.sep in extension:
        return [file]
    linked.unlink(missing_ok=True)
    os.link(file, linked)
    return [linked]


async def parts_of(
    readers: ImportReaders, files: list[Path], name: str, options: dict[str, Any], *, is_archive: bool
) -> Parts:
    """The tables that files become, in their order.

    Args:
        readers: look into files that have layers.
        files: to be read.
        name: of the upload or download.
        options: of the import.
        is_archive: whether the files' own names count, and not the one above.
    """
    parts: list[Part] = []
    failures: list[ImportFailure] = []
    for path in files:
        given = path.name if is_archive else name
        try:
            request = request_for(path, given, options)
            parts += await _parts(readers, request, _stem(given))
        except ImportFailure as failure:
            failures.append(failure)
    return Parts(parts, failures)


async def _parts(readers: ImportReaders, request: Request, stem: str) -> list[Part]:
    if request.format not in LAYERED:
        return [Part(request, stem, stem)]
    layers = await readers.layers(request)
    if not layers:
        raise ImportFailure(codes.EMPTY_FILE, "No layer of it has rows")
    found = []
    for layer in layers:
        wanted = stem
        if len(layers) > 1:
            # A folder of KML has a name that means something by itself.
            wanted = stem_of(layer + ".x") if request.format == "kml" else f"{stem}_{layer}"
        found.append(Part(request.of_layer(layer), wanted, stem))
    return found


def request_for(path: Path, name: str, options: dict[str, Any]) -> Request:
    """How a file of this name is read.

    Raises:
        ImportFailure: there is none, it is empty, or of no format that is known.
    """
    if path.is_file() and path.stat().st_size == 0:
        raise ImportFailure(codes.EMPTY_FILE)
    extension = extension_of(name)
    if extension == ".xls":
        raise ImportFailure(codes.BAD_SHEET, REFUSED[extension])
    if extension in REFUSED:
        raise ImportFailure(codes.UNKNOWN_TYPE, REFUSED[extension])
    if extension not in OF_EXTENSIONS:
        raise ImportFailure(codes.UNKNOWN_TYPE, f"'{extension}' is no extension of a format known here")
    return Request(
        str(path),
        name,
        OF_EXTENSIONS[extension],
        broken=codes.BAD_JSON if extension == ".json" else codes.UNKNOWN_TYPE,
        type_guessing=options.get("type_guessing", True),
        quoted_fields_guessing=options.get("quoted_fields_guessing", True),
    )


async def prepared(
    readers: ImportReaders, file: Path, name: str, options: dict[str, Any], limits: Limits
) -> Parts:
    """The tables to be made of an uploaded or downloaded file.

    Raises:
        ImportFailure: there is none, or it is an archive that cannot be unpacked.
    """
    files = await asyncio.to_thread(files_of, file, name, limits)
    return await parts_of(readers, files, name, options, is_archive=is_archive(name))


def _stem(name: str) -> str:
    stem = stem_of(name)
    # .osm.pbf is one extension in two parts.
    return stem.removesuffix(".osm")
