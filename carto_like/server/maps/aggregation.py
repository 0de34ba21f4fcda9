"""Points gathered into the cells of a grid, so that a tile of millions stays a tile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from carto_like.pure.pgtext import quote_identifier, quote_literal

from .config import Layer
from .coordinates import Bounds, Tile, pixel_size
from .layersql import Source, with_tokens
from .problems import MapProblem

THRESHOLD = 100_000
_PLACEMENTS = ("centroid", "point-grid", "point-sample")
_FUNCTIONS = ("count", "avg", "sum", "min", "max", "mode")
_OPERATORS = {
    "equal": "=",
    "not_equal": "<>",
    "in": "IN",
    "not_in": "NOT IN",
    "less_than": "<",
    "less_than_or_equal_to": "<=",
    "greater_than": ">",
    "greater_than_or_equal_to": ">=",
}
COUNT = "_cdb_feature_count"
_SAMPLE = "(array_agg(_cdb_g ORDER BY cartodb_id))[1]"


@dataclass(frozen=True)
class Aggregation:
    """How a layer is aggregated.

    Attributes:
        threshold: rows from which on it is.
        resolution: side of a cell, in 1/256 of a tile.
        placement: where a cell's point is; None for the row with the lowest id, with all its columns.
        columns: ``name: (function, column)`` of each result.
        dimensions: ``name: column`` of what is told apart within a cell.
        having: SQL conditions on results.
    """

    threshold: float = THRESHOLD
    resolution: float = 1
    placement: str | None = None
    columns: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    dimensions: Mapping[str, str] = field(default_factory=dict)
    having: tuple[str, ...] = ()

    @property
    def is_default(self) -> bool:
        """Whether a cell is told by one of its rows."""
        return self.placement is None and not (self.columns or self.dimensions or self.having)


def read_aggregation(layer: Layer) -> Aggregation | None:
    """What a layer's options ask for; None when it shall not be aggregated.

    Raises:
        Problem: 400 for options that are wrong.
    """
    given = layer.options.get("aggregation")
    if given is False or (given is None and layer.is_styled):
        return None
    if given is None or given is True:
        return Aggregation()
    return _Reader(layer).read(given)


class _Reader:
    def __init__(self, layer: Layer) -> None:
        self._layer = layer

    def read(self, given: Any) -> Aggregation:
        if not isinstance(given, dict):
            raise self._wrong("Invalid aggregation: it must be true, false or an object")
        placement = given.get("placement")
        if placement is not None and placement not in _PLACEMENTS:
            raise self._wrong(f"Invalid placement. Valid values: {', '.join(_PLACEMENTS)}")
        columns = self._columns(given.get("columns") or {})
        dimensions = self._dimensions(given.get("dimensions") or {})
        expressions = {
            COUNT: "count(*)",
            **{name: _result(*what) for name, what in columns.items()},
            **{name: quote_identifier(column) for name, column in dimensions.items()},
        }
        return Aggregation(
            self._number(given, "threshold", THRESHOLD, zero=True),
            self._number(given, "resolution", 1),
            placement,
            columns,
            dimensions,
            tuple(self._having(given.get("filters") or {}, expressions)),
        )

    def _wrong(self, message: str) -> MapProblem:
        return MapProblem(400, message, kind="layer", more=self._layer.context)

    def _number(self, given: Mapping[str, Any], name: str, default: float, *, zero: bool = False) -> float:
        value = given.get(name, default)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not 0 <= value <= 1e15 or (not value and not zero):
            raise self._wrong(f"Invalid {name}, should be a number greather than 0")
        return float(value)

    def _columns(self, given: Any) -> dict[str, tuple[str, str]]:
        found = {}
        for name, what in self._items(given):
            function = what.get("aggregate_function") if isinstance(what, dict) else None
            if function not in _FUNCTIONS:
                valid = ", ".join(_FUNCTIONS)
                raise self._wrong(f"Unsupported aggregation function {function}, valid ones: {valid}")
            column = what.get("aggregated_column")
            if function == "count" and column is None:
                column = "*"
            found[name] = (function, self._named(column))
        return found

    def _dimensions(self, given: Any) -> dict[str, str]:
        return {
            name: self._named(what.get("column") if isinstance(what, dict) else what)
            for name, what in self._items(given)
        }

    def _items(self, given: Any) -> list[tuple[str, Any]]:
        if not isinstance(given, dict) or not all(name and "\0" not in name for name in given):
            raise self._wrong("Invalid column name, should be a non empty string")
        return list(given.items())

    def _named(self, column: Any) -> str:
        if not isinstance(column, str) or not column or "\0" in column:
            raise self._wrong("Invalid aggregated column, should be a non empty string")
        return column

    def _having(self, filters: Any, expressions: Mapping[str, str]) -> list[str]:
        if not isinstance(filters, dict):
            raise self._wrong("Invalid filters: they must be an object by column")
        found = []
        for column, conditions in filters.items():
            if column not in expressions:
                raise self._wrong(f"Invalid filtered column: {column}")
            any_of = conditions if isinstance(conditions, list) else [conditions]
            parts = [self._condition(expressions[column], condition) for condition in any_of]
            if parts:
                found.append(f"({' OR '.join(parts)})")
        return found

    def _condition(self, expression: str, condition: Any) -> str:
        if not isinstance(condition, dict):
            raise self._wrong(f"Invalid filter parameter name: {condition}")
        parts = []
        for operator, value in condition.items():
            if operator not in _OPERATORS:
                raise self._wrong(f"Invalid filter parameter name: {operator}")
            if operator in ("in", "not_in"):
                values = value if isinstance(value, list) else [value]
                # A list with NULL alone is one that nothing is in.
                constant = f"({', '.join([*map(self._constant, values)] or ['NULL'])})"
            else:
                constant = self._constant(value)
            parts.append(f"{expression} {_OPERATORS[operator]} {constant}")
        return f"({' AND '.join(parts) or 'true'})"

    def _constant(self, value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, (int, float)):
            return repr(value)
        if isinstance(value, str) and "\0" not in value:
            return quote_literal(value)
        raise self._wrong("Invalid filter value: it must be text, a number or a truth")


def _result(function: str, column: str) -> str:
    if column == "*":
        return "count(*)"
    name = quote_identifier(column)
    return f"mode() WITHIN GROUP (ORDER BY {name})" if function == "mode" else f"{function}({name})"


def aggregated(source: Source, how: Aggregation, tile: Tile, bounds: Bounds) -> str:
    """The query whose rows are the cells of a part of the world, as ``source.sql`` gives them its rows."""
    side = repr(how.resolution * pixel_size(tile.z))
    column = quote_identifier(source.geom_column)
    west, south, east, north = bounds
    cells = (
        f"SELECT *, {source.geometry} AS _cdb_g, floor(ST_X({source.geometry}) / {side}) AS _cdb_x, "
        f"floor(ST_Y({source.geometry}) / {side}) AS _cdb_y "
        f"FROM (\n{with_tokens(source.sql, tile, bounds)}\n) AS _cdb_query "
        f"WHERE {source.near(reach(how, tile, bounds))}"
    )
    # A cell is whole or absent; it starts where it includes its edge, so no two tiles share one.
    whole = (
        f"WHERE _cdb_x >= floor({west!r} / {side}) AND _cdb_x < ceil({east!r} / {side}) "
        f"AND _cdb_y >= floor({south!r} / {side}) AND _cdb_y < ceil({north!r} / {side})"
    )
    if how.is_default:
        names = ", ".join(
            f"r._cdb_g AS {column}" if name == source.geom_column else f"r.{quote_identifier(name)}"
            for name, _ in source.columns
            if name != COUNT
        )
        return (
            f"WITH _cdb_rows AS MATERIALIZED ({cells}), _cdb_cells AS (SELECT min(cartodb_id) AS cartodb_id, "
            f"count(*) AS {COUNT} FROM _cdb_rows {whole} GROUP BY _cdb_x, _cdb_y) "
            f"SELECT {names}, c.{COUNT} FROM _cdb_cells c JOIN _cdb_rows r USING (cartodb_id)"
        )
    places = {
        "centroid": "ST_SetSRID(ST_MakePoint(avg(ST_X(_cdb_g)), avg(ST_Y(_cdb_g))), 3857)",
        "point-grid": f"ST_SetSRID(ST_MakePoint((_cdb_x + 0.5) * {side}, (_cdb_y + 0.5) * {side}), 3857)",
    }
    selected = [
        f"{places.get(how.placement or '', _SAMPLE)} AS {column}",
        "min(cartodb_id) AS cartodb_id",
        f"count(*) AS {COUNT}",
        *(f"{quote_identifier(of)} AS {quote_identifier(name)}" for name, of in how.dimensions.items()),
        *(f"{_result(*what)} AS {quote_identifier(name)}" for name, what in how.columns.items()),
    ]
    groups = ", ".join(["_cdb_x", "_cdb_y", *map(quote_identifier, how.dimensions.values())])
    having = f" HAVING {' AND '.join(how.having)}" if how.having else ""
    return f"SELECT {', '.join(selected)} FROM ({cells}) AS _cdb_rows {whole} GROUP BY {groups}{having}"


def reach(how: Aggregation, tile: Tile, bounds: Bounds) -> Bounds:
    """The box from which rows of the cells of a part of the world come."""
    west, south, east, north = bounds
    side = how.resolution * pixel_size(tile.z)
    return west - side, south - side, east + side, north + side
