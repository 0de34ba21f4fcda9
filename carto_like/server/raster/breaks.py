"""Finds, in a layer's data, the breaks that the ramps of its style ask for."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any, NoReturn

import psycopg

from carto_like.pure.pgtext import quote_identifier, without_semicolon

from ..cartocss.ramps import Breaks, Found, RampError, expand, wanted_breaks
from .query import Connection, substitute
from .renderer import View

_WORLD = 20037508.342789244
# Natural breaks take time that grows with the square of this.
_REPRESENTATIVES = 256


async def without_ramps(connection: Connection, sql: str, cartocss: str) -> tuple[str, list[dict[str, Any]]]:
    """The style with every ``ramp()`` replaced by conditions, and the ``cartocss_meta`` rules that say how.

    Args:
        connection: one that may read the layer's data, in a transaction (see ``read_only``).
        sql: the layer's SQL; its tokens are replaced as for the whole world.
        cartocss: the style.

    Raises:
        CartoCssError: the style cannot be read; a ``RampError`` when a ramp cannot be made.
        psycopg.errors.QueryCanceled: the data took too long.
    """
    found: dict[Breaks, Found] = {}
    wanted = await asyncio.to_thread(wanted_breaks, cartocss)
    for breaks, error in wanted.items():
        try:
            found[breaks] = await _find(connection, sql, breaks)
        except psycopg.errors.QueryCanceled:
            raise
        except psycopg.Error as failure:
            _fail(error, failure)
    return await asyncio.to_thread(expand, cartocss, found)


def _fail(error: RampError, failure: psycopg.Error) -> NoReturn:
    error.args = (f"{error.message}, {failure.diag.message_primary or failure}",)
    error.message = error.args[0]
    raise error from failure


async def _find(connection: Connection, sql: str, breaks: Breaks) -> Found:
    column = quote_identifier(breaks.column)
    query = substitute(without_semicolon(sql), View((-_WORLD, -_WORLD, _WORLD, _WORLD)))
    source = f"(SELECT {column} AS v FROM ({query}\n) AS q WHERE {column} IS NOT NULL) AS s"
    if breaks.method == "category":
        rows = await _rows(
            connection,
            f"SELECT v, count(*) FROM {source} GROUP BY v ORDER BY 2 DESC, v::text LIMIT {breaks.count}",
        )
        return Found(tuple(_category(row[0]) for row in rows))
    finite = f"(SELECT v::float8 AS v FROM {source}) AS f WHERE v NOT IN ('NaN', 'Infinity', '-Infinity')"
    ((lowest, highest, average),) = await _rows(connection, f"SELECT min(v), max(v), avg(v) FROM {finite}")
    if lowest is None:
        return Found(())
    cuts = await _cuts(connection, finite, breaks, lowest, highest, average)
    return Found(tuple(cuts), lowest, highest, average)


async def _cuts(
    connection: Connection, finite: str, breaks: Breaks, lowest: float, highest: float, average: float
) -> Sequence[float]:
    count = breaks.count
    if breaks.method == "equal":
        return [lowest + (highest - lowest) * index / count for index in range(1, count)] + [highest]
    if breaks.method == "headtails":
        return await _head_tails(connection, finite, count, average)
    size = count if breaks.method == "quantiles" else _REPRESENTATIVES
    shares = ", ".join(repr(index / size) for index in range(1, size + 1))
    ((quantiles,),) = await _rows(
        connection, f"SELECT percentile_disc(ARRAY[{shares}]) WITHIN GROUP (ORDER BY v) FROM {finite}"
    )
    if breaks.method == "quantiles":
        return list(quantiles)
    return await asyncio.to_thread(natural_breaks, sorted({lowest, *quantiles}), count)


async def _head_tails(connection: Connection, finite: str, count: int, average: float) -> list[float]:
    means = [average]
    while len(means) < count:
        above = f"SELECT avg(v) FROM {finite} AND v > {means[-1]!r}"
        ((mean,),) = await _rows(connection, above)
        if mean is None or mean <= means[-1]:
            break
        means.append(mean)
    return means


async def _rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    # In the extended protocol (binary) a second statement is an error, whatever the layer's SQL closes.
    cursor = await connection.execute(query.encode(), binary=True)
    return await cursor.fetchall()


def _category(value: Any) -> float | str:
    if isinstance(value, (str, bool)):
        return value if isinstance(value, str) else str(value).lower()
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return str(value)


def natural_breaks(values: Sequence[float], count: int) -> list[float]:
    """The upper ends of ``count`` classes of ascending values with the least variance inside (Jenks)."""
    if len(values) <= count:
        return list(values)
    sums = [0.0, *itertools.accumulate(values)]
    squares = [0.0, *itertools.accumulate(value * value for value in values)]

    def variance(start: int, end: int) -> float:
        total = sums[end] - sums[start]
        return squares[end] - squares[start] - total * total / (end - start)

    size = len(values)
    best = [0.0, *(variance(0, end) for end in range(1, size + 1))]
    splits: list[list[int]] = []
    for classes in range(2, count + 1):
        following, split = [0.0] * (size + 1), [0] * (size + 1)
        for end in range(classes, size + 1):
            start = min(range(classes - 1, end), key=lambda at: best[at] + variance(at, end))
            following[end], split[end] = best[start] + variance(start, end), start
        best = following
        splits.append(split)
    ends = [size]
    for split in reversed(splits):
        ends.append(split[ends[-1]])
    return [values[end - 1] for end in reversed(ends)]
