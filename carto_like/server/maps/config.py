"""Map configurations: what a client sends, checked, and the layers it means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .problems import MapProblem, bad

DEFAULT_BUFFER = 64
_VERSION = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})\.([0-9]{1,9})")
_OLDEST, _NEWEST = (1, 0, 0), (1, 8, 0)
_MIXED = (
    "The `mapnik` or `cartodb` layers must be consistent: `cartocss` option is either present or voided in "
    "all layers. Mixing is not allowed."
)


@dataclass(frozen=True)
class Layer:
    """One layer of a map.

    Attributes:
        index: its place among all layers.
        type: ``mapnik``, ``plain``, ``http``, ``torque``, or whatever the client wrote.
        id: by which filters and vector tiles name it.
        options: as sent.
    """

    index: int
    type: str
    id: str
    options: Mapping[str, Any] = field(repr=False)

    @property
    def context(self) -> dict[str, Any]:
        """The layer as errors name it."""
        return {"layer": {"id": self.id, "index": self.index, "type": self.type}}

    @property
    def is_styled(self) -> bool:
        """Whether it can be drawn as a picture."""
        return "cartocss" in self.options

    @property
    def geom_column(self) -> str:
        """The column that is drawn."""
        return str(self.options.get("geom_column") or "the_geom_webmercator")

    @property
    def sql(self) -> str:
        """The query, in its wrap if it has one."""
        query = str(self.options["sql"]).rstrip("; \t\r\n")
        wrap = self.options.get("sql_wrap")
        return re.sub(r"<%=\s*sql\s*%>", lambda _: query, str(wrap)) if wrap else query

    @property
    def interactivity(self) -> list[str]:
        """The columns of its grid."""
        given = self.options.get("interactivity")
        names = given.split(",") if isinstance(given, str) else given or []
        return [str(name).strip() for name in names if str(name).strip()]

    def is_shown_at(self, zoom: int) -> bool:
        """Whether the layer is part of tiles of a zoom."""
        lowest, highest = self.options.get("minzoom", 0), self.options.get("maxzoom", 30)
        return bool(lowest <= zoom <= highest)


@dataclass(frozen=True)
class MapConfig:
    """A checked configuration."""

    layers: tuple[Layer, ...]
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def mapnik(self) -> list[Layer]:
        """The layers that are read from the database."""
        return [layer for layer in self.layers if layer.type == "mapnik"]

    @property
    def is_vector(self) -> bool:
        """Whether no layer has a style."""
        return not any(layer.is_styled for layer in self.mapnik)

    @property
    def stat_tag(self) -> str | None:
        """What the client wants to count its views by."""
        tag = self.raw.get("stat_tag")
        return tag if isinstance(tag, str) else None

    def has_buffer(self, format_name: str) -> bool:
        """Whether the map itself says how many pixels."""
        return format_name in self.raw.get("buffersize", {})

    def buffer(self, format_name: str) -> float:
        """Pixels round a tile that are read, too."""
        value = self.raw.get("buffersize", {}).get(format_name, DEFAULT_BUFFER)
        return min(max(float(value), 0.0), 8192.0)

    @property
    def extents(self) -> tuple[int, int]:
        """Units of a vector tile's side, and of the raster that its geometries are simplified to."""
        given = [layer.options.get("vector_extent") for layer in self.mapnik]
        extent = given[0] if given and given[0] is not None else 4096
        simplify = [layer.options.get("vector_simplify_extent") for layer in self.mapnik]
        own = simplify[0] if simplify and simplify[0] is not None else None
        return extent, own if own is not None else extent if given and given[0] is not None else 256


def read_config(raw: Mapping[str, Any]) -> MapConfig:
    """Check a configuration.

    Raises:
        Problem: 400 in the contract's words for the first thing that is wrong.
    """
    _check_version(raw.get("version", "1.0.0"))
    _check_buffers(raw.get("buffersize", {}))
    layers = raw.get("layers")
    if not isinstance(layers, list):
        raise bad("Missing layers array from layergroup config", "mapconfig")
    counts: dict[str, int] = {}
    found = tuple(_layer(index, layer, counts) for index, layer in enumerate(layers))
    config = MapConfig(found, raw)
    mapnik = config.mapnik
    if len({layer.is_styled for layer in mapnik}) > 1:
        raise bad(_MIXED, "mapconfig")
    _check_extents(config)
    return config


def _layer(index: int, given: Any, counts: dict[str, int]) -> Layer:
    options = given.get("options") if isinstance(given, dict) else None
    if not isinstance(options, dict):
        raise bad(f"Missing options from layer {index} of layergroup config", "layer")
    kind = given.get("type") or "mapnik"
    kind = "mapnik" if kind == "cartodb" else str(kind)
    number = counts[kind] = counts.get(kind, -1) + 1
    default = f"layer{number}" if kind == "mapnik" else f"{kind}-layer{number}"
    own = given.get("id")
    layer = Layer(index, kind, own if isinstance(own, str) and own else default, options)
    if kind == "mapnik":
        _check_mapnik(layer)
    return layer


def _check_mapnik(layer: Layer) -> None:
    index, options = layer.index, layer.options

    def wrong(message: str) -> MapProblem:
        return MapProblem(400, message, kind="layer", more=layer.context)

    if not isinstance(options.get("sql"), str) or not options["sql"].strip("; \t\r\n"):
        raise wrong(f"Missing sql for layer {index} options")
    for one, other in (("cartocss", "cartocss_version"), ("cartocss_version", "cartocss")):
        if one in options and options.get(other) is None:
            raise wrong(f"Missing {other} for layer {index} options")
    if layer.is_styled and not isinstance(options["cartocss"], str):
        raise wrong(f"style{index}: CartoCSS must be text")
    if layer.is_styled and not options["cartocss"].strip():
        raise wrong(f"style{index}: CartoCSS is empty")
    for name in ("minzoom", "maxzoom"):
        if name in options and not _is_number(options[name]):
            raise wrong(f"Invalid {name} for layer {index}: it must be a number")
    for name in ("geom_column", "sql_wrap"):
        if options.get(name) is not None and not isinstance(options[name], str):
            raise wrong(f"Invalid {name} for layer {index}: it must be text")
    srid = options.get("srid", 3857)
    if not _is_integer(srid) or not 0 <= srid < 2**31:
        raise wrong(f"Invalid srid for layer {index}: it must be a number of a reference system")
    _check_columns(layer, wrong)


def _check_columns(layer: Layer, wrong: Any) -> None:
    if not isinstance(layer.options.get("interactivity"), (str, list, type(None))):
        raise wrong(f"Invalid interactivity for layer {layer.index}: it must be a list of columns")
    attributes = layer.options.get("attributes")
    if attributes is None:
        return
    named = isinstance(attributes, dict) and isinstance(attributes.get("id"), str)
    columns = attributes.get("columns") if named else None
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns) or not columns:
        raise wrong(f"Invalid attributes for layer {layer.index}: they need an id and a list of columns")


def _check_version(version: Any) -> None:
    match = _VERSION.fullmatch(version) if isinstance(version, str) else None
    if match is None or not _OLDEST <= tuple(map(int, match.groups())) <= _NEWEST:
        raise bad(f"Unsupported layergroup configuration version {version}", "mapconfig")


def _check_buffers(buffers: Any) -> None:
    if not isinstance(buffers, dict):
        raise bad("The buffersize must be an object of numbers by format", "mapconfig")
    for name, value in buffers.items():
        if not _is_number(value):
            raise bad(f'Buffer size of format "{name}" must be a number', "mapconfig")


def _check_extents(config: MapConfig) -> None:
    layers = config.mapnik
    given = [layer.options.get("vector_extent", 4096) for layer in layers]
    if len(set(map(str, given))) > 1:
        raise bad(f"Multiple extent values in mapConfig ({','.join(map(str, given))})", "mapconfig")
    for value in given[:1]:
        if not _is_integer(value) or not 1 <= value < 2**31:
            raise bad("Invalid vector_extent. Must be between 1 and 2147483647", "mapconfig")
    simplify = [layer.options.get("vector_simplify_extent") for layer in layers]
    if len(set(map(str, simplify))) > 1:
        shown = ",".join(str(config.extents[1] if one is None else one) for one in simplify)
        raise bad(f"Multiple simplify extent values in mapConfig ({shown})", "mapconfig")
    for value in [value for value in simplify[:1] if value is not None]:
        if not _is_integer(value) or not 1 <= value <= given[0]:
            text = f"Must be between 1 and vector_extent [{given[0]}]"
            raise bad(f"Invalid vector_simplify_extent ({value}). {text}", "mapconfig")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
