"""Exported files read back with GDAL."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyogrio
from pyogrio.raw import read

from carto_like.pure.ewkb import read_header, without_srid


@dataclass(frozen=True)
class Layer:
    """What GDAL finds in the first layer of a file.

    Attributes:
        names: the layers of the file.
        info: what pyogrio says of the layer.
        ids: the rows' numbers.
        geometries: in WKB.
        rows: the attributes of each row.
    """

    names: list[str]
    info: dict[str, Any]
    ids: list[int]
    geometries: list[bytes | None]
    rows: list[dict[str, Any]]


def read_layer(path: Path, layer: str | None = None) -> Layer:
    """Read a file that an export made."""
    meta, ids, geometries, columns = read(path, layer=layer, return_fids=True)
    rows = [
        dict(zip(meta["fields"], values, strict=True))
        for values in zip(*(column.tolist() for column in columns), strict=True)
    ]
    shapes = [None] * len(ids) if geometries is None else list(geometries)
    return Layer(
        names=[str(name) for name, _ in pyogrio.list_layers(path)],
        info=pyogrio.read_info(path, layer=layer),
        ids=[int(number) for number in ids],
        geometries=shapes,
        rows=rows,
    )


def save(folder: Path, content: bytes, name: str) -> Path:
    """Keep an answer as a file."""
    path = folder / name
    path.write_bytes(content)
    return path


def unpack(folder: Path, content: bytes) -> list[str]:
    """Unpack an archive; answers the names of its members."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)
        return archive.namelist()


def wkb(hexadecimal: str) -> bytes:
    """A geometry as PostgreSQL prints it, in the form in which GDAL gives it."""
    data = bytes.fromhex(hexadecimal)
    assert read_header(data).order == 1
    return without_srid(data)
