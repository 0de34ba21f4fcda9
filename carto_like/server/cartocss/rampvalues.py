"""The second argument of a ramp: a list, a palette, or numbers between two ends."""

from __future__ import annotations

from dataclasses import dataclass, replace

from . import tree
from .palettes import FAMILIES, colors

MAX_VALUES = 100


@dataclass(frozen=True)
class Values:
    """The values of a ramp.

    Attributes:
        count: how many there shall be; None where the buckets say it.
    """

    count: int | None
    items: tuple[tree.Value, ...] = ()
    palette: tuple[str, str] | None = None
    ends: tuple[float, float] | None = None

    def sized(self, count: int) -> Values:
        """As many values as there are buckets, where the style does not list them."""
        if self.palette:
            made: list[tree.Value] = [_color(each) for each in colors(*self.palette, count)]
        elif self.ends:
            first, last = self.ends
            step = (last - first) / max(count - 1, 1)
            made = [tree.Number(first + step * index) for index in range(count)]
        else:
            return self
        return replace(self, count=len(made), items=tuple(made))


def read_values(arguments: list[tree.Value]) -> tuple[Values, list[tree.Value]]:
    """The values, and the arguments after them; raises ValueError for what are none."""
    first, *rest = arguments or [tree.Several(())]
    if isinstance(first, tree.Number):
        return _between(first, rest)
    if isinstance(first, tree.Call):
        return _called(first), rest
    items = first.items if isinstance(first, tree.Several) else (first,)
    plain = (tree.Number, tree.Color, tree.Text, tree.Word)
    if not 1 <= len(items) <= MAX_VALUES or not all(isinstance(item, plain) for item in items):
        raise ValueError("invalid values")
    return Values(len(items), items), rest


def _between(first: tree.Number, rest: list[tree.Value]) -> tuple[Values, list[tree.Value]]:
    last, *after = rest or [tree.Several(())]
    if not isinstance(last, tree.Number):
        raise ValueError("invalid number of arguments")
    count = None
    if after and isinstance(after[0], tree.Number):
        count = _counted(after.pop(0))
    return Values(count, ends=(first.value, last.value)), after


def _called(call: tree.Call) -> Values:
    count = _counted(call.arguments[-1]) if len(call.arguments) == 2 and call.name in FAMILIES else None
    if call.name == "range":
        ends = [item.value for item in call.arguments if isinstance(item, tree.Number)]
        if len(ends) != 2 or len(call.arguments) != 2:
            raise ValueError("invalid number of arguments")
        return Values(None, ends=(ends[0], ends[1]))
    if call.name not in FAMILIES:
        raise ValueError(f'Invalid method "{call.name}", valid methods: [range,colorbrewer,cartocolor]')
    if not 1 <= len(call.arguments) <= 2 or not isinstance(call.arguments[0], (tree.Word, tree.Text)):
        raise ValueError("invalid number of arguments")
    palette = (call.name, call.arguments[0].value)
    try:
        available = colors(*palette, count or 5)
    except KeyError:
        raise ValueError(f'Invalid {call.name} scheme: "{palette[1]}"') from None
    return Values(len(available) if count else None, palette=palette)


def _counted(value: tree.Value) -> int:
    if not isinstance(value, tree.Number) or not 1 <= value.value <= MAX_VALUES:
        raise ValueError(f"the number of values must be between 1 and {MAX_VALUES}")
    return int(value.value)


def _color(code: str) -> tree.Value:
    red, green, blue = bytes.fromhex(code.removeprefix("#"))
    return tree.Color(red, green, blue)
