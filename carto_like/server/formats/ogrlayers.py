"""How each file format wants its layer: driver, options, and the names of layer and fields."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from carto_like.pure.ewkb import Header
from carto_like.server.formats.ogrspec import Spec

_DBF_NAME = 10
_NOT_IN_XML = re.compile("[\x00-\x1f\ufffe\uffff]")
# By the kinds of EWKB: lines, polygons and the curved ones count as the shapefile's own few kinds.
_SHAPES = {
    1: "POINT",
    4: "MULTIPOINT",
    **dict.fromkeys((2, 5, 8, 9, 11), "ARC"),
    **dict.fromkeys((3, 6, 10, 12), "POLYGON"),
}


@dataclass(frozen=True)
class Layer:
    """A layer as GDAL is to make it.

    Attributes:
        driver: GDAL's name of the format.
        file: name of the file.
        name: name of the layer.
        fields: names of the attributes, in the order of the export's.
        shapes: names of the geometry columns that are kept.
        layer_options: options of the driver for a layer.
        dataset_options: options of the driver for a file.
    """

    driver: str
    file: str
    name: str
    fields: list[str]
    shapes: list[str]
    layer_options: dict[str, str] = field(default_factory=dict)
    dataset_options: dict[str, str] = field(default_factory=dict)


def layer_of(spec: Spec, header: Header | None) -> Layer:
    """The layer for an export.

    Args:
        spec: the export.
        header: of the first geometry; None when there is none and none was declared.
    """
    return _LAYERS[spec.format](spec, header)


def _kml(spec: Spec, _: Header | None) -> Layer:
    name = re.sub(r"[^A-Za-z0-9]", "_", spec.name)
    # GDAL writes names into the document as they are, values it makes fit for XML.
    fields = [escape(_NOT_IN_XML.sub("_", field), {'"': "&quot;"}) for field in unique_names(_names(spec))]
    return Layer("KML", "export.kml", name, fields, _shapes(spec)[:1])


def _shp(spec: Spec, header: Header | None) -> Layer:
    options = {}
    if not spec.geometries:
        options["SHPT"] = "NULL"
    elif header is not None and header.kind in _SHAPES:
        options["SHPT"] = _SHAPES[header.kind] + "Z" * header.has_z + "M" * header.has_m
    fields = unique_names(_names(spec), limit=_DBF_NAME)
    return Layer("ESRI Shapefile", "export.shp", "export", fields, _shapes(spec)[:1], options)


def _gpkg(spec: Spec, _: Header | None) -> Layer:
    shapes = _shapes(spec)[:1]
    options = {"FID": "cartodb_id"}
    if shapes:
        options["GEOMETRY_NAME"] = shapes[0]
    whole = any(name == "cartodb_id" and kind in ("int32", "int64") for name, _, kind in spec.fields)
    taken = shapes if whole else [*shapes, "cartodb_id"]
    fields = unique_names(_names(spec), taken=taken)
    return Layer("GPKG", "export.gpkg", spec.name, fields, shapes, options)


def _spatialite(spec: Spec, _: Header | None) -> Layer:
    # SpatiaLite refuses quotes in the name of a geometry column.
    shapes = unique_names([re.sub("[\"']", "_", name.lower()) for name in _shapes(spec)], taken=["ogc_fid"])
    fields = unique_names([name.lower() for name in _names(spec)], taken=["ogc_fid", *shapes])
    options = {"FID": "ogc_fid", "LAUNDER": "NO"}
    if shapes:
        options["GEOMETRY_NAME"] = shapes[0]
    name = spec.name.lower().replace("-", "_")
    return Layer("SQLite", "export.sqlite", name, fields, shapes, options, {"SPATIALITE": "YES"})


_LAYERS = {"kml": _kml, "shp": _shp, "gpkg": _gpkg, "spatialite": _spatialite}
FORMATS = frozenset(_LAYERS)


def _names(spec: Spec) -> list[str]:
    return [name for name, _, _ in spec.fields]


def _shapes(spec: Spec) -> list[str]:
    return [name for name, _ in spec.geometries]


def unique_names(names: Iterable[str], *, taken: Iterable[str] = (), limit: int = 0) -> list[str]:
    """The names, a number appended to those that differ from an earlier one in case only.

    Args:
        names: the names.
        taken: names that are in use.
        limit: bytes that a name may have, 0 for any.
    """
    used = {name.lower() for name in taken}
    found = []
    for name in names:
        candidate = _cut(name, limit)
        number = 0
        while candidate.lower() in used:
            number += 1
            suffix = f"_{number}"
            candidate = _cut(name, limit - len(suffix) if limit else 0) + suffix
        used.add(candidate.lower())
        found.append(candidate)
    return found


def _cut(name: str, limit: int) -> str:
    return name.encode()[:limit].decode(errors="ignore") if limit else name
