"""Which rows a style draws alike, whatever their attributes are: those that pass the same of its tests."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import groupby
from typing import Any, TypeAlias

from .renderer import Batch

Known: TypeAlias = Collection[float] | Collection[str]
# Where it is looked whether neighbours are alike, at how many, and how often they may differ: one feature
# less for every two rows is worth the search.
_PLACES_LOOKED_AT, _NEIGHBOURS, _MOST_RUNS = 8, 32, 160
# Up to here a whole number is the same number as a float.
_EXACT = 2**53
_ANOTHER = object()


class Likeness:
    """Tells neighbours apart that a style may draw in different ways.

    Args:
        columns: that the style reads, in the order in which rows have them after their geometry.
        tests: of columns that are read by tests alone, what their values are compared with: numbers, or texts
            that they are equal to or not. Of other columns each value is a kind of its own.
    """

    def __init__(
        self, columns: Sequence[str], tests: Mapping[str, Collection[float] | Collection[str]]
    ) -> None:
        self._kinds = [_kind_of(tests.get(column)) for column in columns]

    def runs(self, rows: Batch) -> Sequence[int] | None:
        """How many rows side by side are alike, again and again to the last; None when few are."""
        if not self._kinds:
            return [len(rows)] if rows else []
        step = max(len(rows) // _PLACES_LOOKED_AT, _NEIGHBOURS)
        sample = [row for start in range(0, len(rows), step) for row in rows[start : start + _NEIGHBOURS]]
        if len(self._counted(sample)) > _MOST_RUNS:
            return None
        return self._counted(rows)

    def _counted(self, rows: Batch) -> list[int]:
        kinds = [map(kind, [row[at] for row in rows]) for at, kind in enumerate(self._kinds, 1)]
        together = kinds[0] if len(kinds) == 1 else zip(*kinds, strict=True)
        return [sum(1 for _ in run) for _, run in groupby(together)]


def _kind_of(known: Known | None) -> Callable[[Any], Any]:
    if not known:
        return _itself
    values: list[Any] = sorted(known)
    return _by_words(frozenset(values)) if isinstance(values[0], str) else _by_numbers(values)


def _itself(value: Any) -> Any:
    # True equals 1, and is drawn otherwise.
    return type(value), value


def _by_numbers(limits: list[float]) -> Callable[[Any], Any]:
    def kind(value: Any) -> Any:
        if type(value) in (int, float) and -_EXACT < value < _EXACT:
            return bisect_left(limits, value) + bisect_right(limits, value)
        return type(value), value

    return kind


def _by_words(words: frozenset[str]) -> Callable[[Any], Any]:
    def kind(value: Any) -> Any:
        return _ANOTHER if type(value) is str and value not in words else (type(value), value)

    return kind
