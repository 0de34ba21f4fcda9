"""Turns ``property: ramp([column], values, buckets, mapping)`` into a default and blocks with conditions.

``wanted_breaks(sheet)`` says what must be known of the data, ``expand(sheet, found)`` gives the sheet without
ramps and a description of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from . import tree
from .parser import parse
from .problem import CartoCssError, place
from .rampvalues import Values, read_values
from .values import Evaluator, css, number

METHODS = ("quantiles", "equal", "jenks", "headtails", "category")
DEFAULT_COUNT = 5
MAX_COUNT = 100
_MAPPINGS = (">", ">=", "<", "<=", "=")

Break = float | str


class RampError(CartoCssError):
    """A ramp that cannot be made; ``source`` is where it starts and ends."""

    def __init__(self, text: str, declaration: tree.Declaration, why: str) -> None:
        start, end = place(text, declaration.position), place(text, declaration.end)
        super().__init__(f'Failed to process "{declaration.name}" property: {why}', *start)
        self.source = {
            name: {"line": line, "column": column}
            for name, (line, column) in (("start", start), ("end", end))
        }


@dataclass(frozen=True)
class Breaks:
    """What a ramp asks about its column: where to cut its values, or which are the most frequent."""

    column: str
    method: str
    count: int


@dataclass(frozen=True)
class Found:
    """The answer: breaks in order, and what lies around them."""

    breaks: tuple[Break, ...]
    lowest: float | None = None
    highest: float | None = None
    average: float | None = None


@dataclass(frozen=True)
class _Ramp:
    selector: str
    declaration: tree.Declaration
    column: str
    values: Values
    listed: tuple[Break, ...] | None
    breaks: Breaks | None
    mapping: str
    word: str = ""


def wanted_breaks(sheet: str) -> dict[Breaks, RampError]:
    """What the ramps of a sheet ask, with the error to raise when it cannot be answered.

    Raises:
        CartoCssError: the sheet cannot be read; a ``RampError`` when a ramp is the reason.
    """
    if "ramp" not in sheet:
        return {}
    return {
        ramp.breaks: RampError(sheet, ramp.declaration, "unable to compute ramp")
        for ramp in _read_all(sheet)
        if ramp.breaks
    }


def expand(sheet: str, found: Mapping[Breaks, Found]) -> tuple[str, list[dict[str, Any]]]:
    """The sheet without its ramps, and a description of each of them."""
    if "ramp" not in sheet:
        return sheet, []
    ramps = _read_all(sheet)
    described = [_described(ramp, found) for ramp in ramps]
    for ramp in sorted(ramps, key=lambda ramp: ramp.declaration.position, reverse=True):
        declaration = ramp.declaration
        after = sheet[declaration.end :]
        written = _written(ramp, found)
        sheet = sheet[: declaration.position] + written + after.lstrip().removeprefix(";")
    return sheet, described


def _read_all(text: str) -> list[_Ramp]:
    try:
        return list(_ramps(text))
    except RecursionError:
        raise CartoCssError("the style is nested too deep") from None


def _ramps(text: str) -> Iterator[_Ramp]:
    sheet = parse(text)
    evaluator = Evaluator(text, sheet.variables)
    for selector, declaration in _declarations(sheet.blocks, ""):
        value = declaration.value
        if isinstance(value, tree.Variable):
            value = evaluator.value(value)
        if isinstance(value, tree.Call) and value.name == "ramp":
            yield _Reader(text, evaluator, declaration).read(selector, value)


def _declarations(blocks: Sequence[tree.Block], above: str) -> Iterator[tuple[str, tree.Declaration]]:
    for block in blocks:
        selector = above + ", ".join(each.text for each in block.selectors)
        for declaration in block.declarations:
            yield selector, declaration
        yield from _declarations(block.blocks, selector)


class _Reader:
    """Reads the arguments of one ramp."""

    def __init__(self, text: str, evaluator: Evaluator, declaration: tree.Declaration) -> None:
        self._text, self._evaluator, self._declaration = text, evaluator, declaration

    def read(self, selector: str, call: tree.Call) -> _Ramp:
        arguments = [self._evaluator.value(argument) for argument in call.arguments]
        if len(arguments) < 2:
            self._fail("invalid number of arguments")
        column, rest = arguments[0], arguments[1:]
        if not isinstance(column, tree.Expression) or len(column.columns) != 1 or "(" in column.text:
            self._fail("the first argument must be a column in brackets")
        mapping = ""
        last = rest[-1]
        if isinstance(last, tree.Word) and last.value in _MAPPINGS:
            mapping = last.value
            rest.pop()
        try:
            values, rest = read_values(rest)
        except ValueError as error:
            self._fail(str(error))
        if len(rest) > 1:
            self._fail("invalid number of arguments")
        (name,) = column.columns
        return self._with_buckets(
            selector, name, values, rest[0] if rest else tree.Word("quantiles"), mapping
        )

    def _with_buckets(
        self, selector: str, column: str, values: Values, buckets: tree.Value, mapping: str
    ) -> _Ramp:
        declaration = self._declaration
        if isinstance(buckets, tree.Word):
            count = values.count or DEFAULT_COUNT
            breaks = Breaks(column, self._method(buckets.value), count)
            default = {"category": "="}.get(buckets.value, ">")
            values = values.sized(count)
            return _Ramp(
                selector, declaration, column, values, None, breaks, mapping or default, buckets.value
            )
        if isinstance(buckets, tree.Call):
            count = self._count(buckets)
            breaks = Breaks(column, self._method(buckets.name), count)
            default = {"category": "=", "headtails": "<"}.get(buckets.name, ">")
            values = values.sized(values.count or count)
            return _Ramp(selector, declaration, column, values, None, breaks, mapping or default)
        items = buckets.items if isinstance(buckets, tree.Several) else (buckets,)
        listed = tuple(self._break(item) for item in items)
        values = values.sized(values.count or len(listed))
        return _Ramp(selector, declaration, column, values, listed, None, mapping or ">")

    def _method(self, name: str) -> str:
        if name not in METHODS:
            self._fail(f'Invalid method "{name}", valid methods: [{",".join(METHODS)}]')
        return name

    def _count(self, call: tree.Call) -> int:
        if not call.arguments:
            return DEFAULT_COUNT
        value = self._evaluator.value(call.arguments[0])
        if len(call.arguments) > 1 or not isinstance(value, tree.Number):
            self._fail("invalid number of arguments")
        if not 1 <= value.value <= MAX_COUNT or value.value != int(value.value):
            self._fail(f"the number of buckets must be between 1 and {MAX_COUNT}")
        return int(value.value)

    def _break(self, item: tree.Value) -> Break:
        if isinstance(item, tree.Number):
            return item.value
        if isinstance(item, (tree.Text, tree.Word)):
            return item.value
        return self._fail("buckets must be numbers or texts")

    def _fail(self, why: str) -> NoReturn:
        raise RampError(self._text, self._declaration, why)


def _cases(
    ramp: _Ramp, found: Mapping[Breaks, Found]
) -> tuple[tree.Value | None, list[tuple[Break, tree.Value]]]:
    """The default, and a value for each break, those that decide last."""
    breaks = list(ramp.listed or ()) if ramp.breaks is None else list(found[ramp.breaks].breaks)
    values = list(ramp.values.items)
    if ramp.mapping == "=":
        if ramp.word == "category":
            return values[0], list(zip(breaks[1:], values[1:], strict=False))
        default = values[len(breaks)] if len(values) > len(breaks) else None
        return default, list(zip(breaks, values, strict=False))
    if ramp.word == "headtails":
        breaks = breaks[1:]
    count = max(min(len(values), len(breaks)) - 1, 0)
    if ramp.mapping.startswith(">"):
        return values[0], list(zip(breaks[:count], values[1:], strict=False))
    return values[-1], list(zip(breaks[:count], values, strict=False))[::-1]


def _written(ramp: _Ramp, found: Mapping[Breaks, Found]) -> str:
    default, cases = _cases(ramp, found)
    declaration = ramp.declaration
    name = f"{declaration.instance}/{declaration.name}" if declaration.instance else declaration.name
    parts = [] if default is None else [f"{name}: {_text(default)};"]
    column = f'"{ramp.column}"'
    parts += [
        f"[{column} {ramp.mapping} {_text_of_break(limit)}]{{ {name}: {_text(value)} }}"
        for limit, value in cases
    ]
    return " ".join(parts)


def _text(value: tree.Value) -> str:
    if isinstance(value, tree.Number):
        return number(value.value) + value.unit
    if isinstance(value, tree.Color):
        return css(value)
    if isinstance(value, tree.Text):
        return _text_of_break(value.value)
    return value.value if isinstance(value, tree.Word) else ""


def _text_of_break(value: Break) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value) if value != int(value) else str(int(value))


def _described(ramp: _Ramp, found: Mapping[Breaks, Found]) -> dict[str, Any]:
    default, cases = _cases(ramp, found)
    known = found[ramp.breaks] if ramp.breaks else Found(())
    buckets: list[dict[str, Any]] = []
    if ramp.mapping == "=":
        buckets = [
            {"filter": {"type": "category", "name": name}, "value": _text(each)} for name, each in cases
        ]
        if default is not None:
            buckets.append({"filter": {"type": "default"}, "value": _text(default)})
    else:
        ordered = sorted(cases, key=lambda case: float(case[0]) if not isinstance(case[0], str) else 0.0)
        edges = [known.lowest, *(limit for limit, _ in ordered), known.highest]
        values = [value for _, value in ordered]
        assert default is not None
        values = [default, *values] if ramp.mapping.startswith(">") else [*values, default]
        buckets = [
            {"filter": {"type": "range", "start": start, "end": end}, "value": _text(value)}
            for start, end, value in zip(edges, edges[1:], values, strict=False)
        ]
    return {
        "selector": ramp.selector,
        "prop": ramp.declaration.name,
        "column": ramp.column,
        "mapping": ramp.mapping,
        "buckets": buckets,
        "stats": {"filter_avg": known.average},
    }
