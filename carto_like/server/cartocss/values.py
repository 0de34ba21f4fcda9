"""Evaluates values: variables, arithmetic, colours."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable, Mapping

from . import tree
from .colornames import COLORS
from .problem import fail

_DEPTH = 60
# Variables that use others twice and twice again would never come to an end. All values of a sheet share it.
MAX_STEPS = 200_000


class Evaluator:
    """Evaluates the values of one sheet, whose text is needed to say where a mistake is."""

    def __init__(self, text: str, variables: Mapping[str, tree.Value]) -> None:
        self._text = text
        self._variables = variables
        self._steps = 0

    def value(self, value: tree.Value) -> tree.Value:
        """The value without variables and arithmetic; raises ``CartoCssError``."""
        return self._value(value, 0)

    def _value(self, value: tree.Value, depth: int) -> tree.Value:
        self._steps += 1
        if self._steps > MAX_STEPS:
            fail(self._text, getattr(value, "position", 0), "the value is too long")
        if isinstance(value, tree.Variable):
            if value.name not in self._variables:
                fail(self._text, value.position, f"variable @{value.name} is undefined")
            if depth > _DEPTH:
                fail(self._text, value.position, f"variable @{value.name} is defined by itself")
            return self._value(self._variables[value.name], depth + 1)
        if isinstance(value, tree.Several):
            return tree.Several(tuple(self._value(item, depth) for item in value.items))
        if isinstance(value, tree.Operation):
            return self._operation(value, self._value(value.left, depth), self._value(value.right, depth))
        if isinstance(value, tree.Call):
            return self._call(value, [self._value(argument, depth) for argument in value.arguments])
        return value

    def _operation(self, node: tree.Operation, left: tree.Value, right: tree.Value) -> tree.Value:
        if isinstance(left, tree.Number) and isinstance(right, tree.Number):
            return tree.Number(self._calculate(node, left.value, right.value), left.unit or right.unit)
        left, right = _meant(left), _meant(right)
        if isinstance(left, tree.Color) and isinstance(right, (tree.Color, tree.Number)):
            other = right if isinstance(right, tree.Color) else _colored([right.value] * 3)
            pairs = zip(_channels(left), _channels(other), strict=True)
            return _colored([self._calculate(node, a, b) for a, b in pairs], left.alpha)
        if isinstance(left, tree.Expression) or isinstance(right, tree.Expression):
            columns = columns_of(left) | columns_of(right)
            return tree.Expression(f"({expression(left)}{node.sign}{expression(right)})", columns)
        if node.sign == "+" and isinstance(left, tree.Text) and isinstance(right, tree.Text):
            return tree.Text(left.value + right.value)
        return fail(self._text, node.position, f"these values cannot be joined by {node.sign}")

    def _calculate(self, node: tree.Operation, left: float, right: float) -> float:
        if node.sign in "/%" and right == 0:
            fail(self._text, node.position, "division by zero")
        signs: dict[str, Callable[[], float]] = {
            "+": lambda: left + right,
            "-": lambda: left - right,
            "*": lambda: left * right,
            "/": lambda: left / right,
            "%": lambda: math.fmod(left, right),
        }
        result = signs[node.sign]()
        return result if math.isfinite(result) else fail(self._text, node.position, "the number is too large")

    def _call(self, call: tree.Call, arguments: list[tree.Value]) -> tree.Value:
        if call.name in ("rgb", "rgba", "hsl", "hsla"):
            return self._made(call, arguments)
        if call.name == "mix":
            return self._mixed(call, [*map(_meant, arguments)])
        change = _CHANGES.get(call.name)
        if not change:
            return tree.Call(call.name, tuple(arguments), call.position)
        color = _meant(arguments[0]) if len(arguments) == 2 else None
        if not isinstance(color, tree.Color):
            fail(self._text, call.position, f"{call.name}() takes a color and an amount")
        (amount,) = self._numbers(call, arguments[1:], 1)
        return change(color, amount)

    def _numbers(self, call: tree.Call, arguments: list[tree.Value], count: int) -> list[float]:
        numbers = [item for item in arguments if isinstance(item, tree.Number)]
        if len(arguments) != count or len(numbers) != count:
            fail(self._text, call.position, f"{call.name}() takes {count} numbers here")
        return [item.value / 100 if item.unit == "%" else item.value for item in numbers]

    def _made(self, call: tree.Call, arguments: list[tree.Value]) -> tree.Color:
        numbers = self._numbers(call, arguments, 3 + call.name.endswith("a"))
        alpha = numbers[3] if len(numbers) == 4 else 1.0
        if call.name.startswith("rgb"):
            shares = [isinstance(part, tree.Number) and part.unit == "%" for part in arguments]
            channels = zip(numbers[:3], shares[:3], strict=True)
            return _colored([part * 255 if share else part for part, share in channels], alpha)
        return _from_hsl(numbers[0] / 360, numbers[1], numbers[2], alpha)

    def _mixed(self, call: tree.Call, arguments: list[tree.Value]) -> tree.Color:
        if len(arguments) not in (2, 3):
            fail(self._text, call.position, "mix() takes two colors and an amount")
        first, second = arguments[:2]
        if not isinstance(first, tree.Color) or not isinstance(second, tree.Color):
            fail(self._text, call.position, "mix() takes two colors and an amount")
        share = self._numbers(call, arguments[2:], 1)[0] if len(arguments) == 3 else 0.5
        pairs = zip((*_channels(first), first.alpha), (*_channels(second), second.alpha), strict=True)
        return tree.Color(*[a * share + b * (1 - share) for a, b in pairs])


def _colored(channels: list[float], alpha: float = 1.0) -> tree.Color:
    red, green, blue = channels
    return tree.Color(red, green, blue, alpha)


def _channels(color: tree.Color) -> tuple[float, float, float]:
    return color.red, color.green, color.blue


def _clamp(value: float, top: float = 1.0) -> float:
    return min(max(value, 0.0), top)


def _from_hsl(hue: float, saturation: float, lightness: float, alpha: float) -> tree.Color:
    parts = colorsys.hls_to_rgb(hue % 1.0, _clamp(lightness), _clamp(saturation))
    return _colored([part * 255 for part in parts], _clamp(alpha))


def _shift(hue: float = 0, saturation: float = 0, lightness: float = 0, alpha: float = 0) -> _Change:
    def change(color: tree.Color, amount: float) -> tree.Color:
        parts = colorsys.rgb_to_hls(*[_clamp(part, 255) / 255 for part in _channels(color)])
        return _from_hsl(
            parts[0] + hue * amount,
            parts[2] + saturation * amount,
            parts[1] + lightness * amount,
            color.alpha + alpha * amount,
        )

    return change


_Change = Callable[[tree.Color, float], tree.Color]
_CHANGES: dict[str, _Change] = {
    "lighten": _shift(lightness=1),
    "darken": _shift(lightness=-1),
    "saturate": _shift(saturation=1),
    "desaturate": _shift(saturation=-1),
    "fadein": _shift(alpha=1),
    "fadeout": _shift(alpha=-1),
    "spin": _shift(hue=1 / 360),
}


def columns_of(value: tree.Value) -> frozenset[str]:
    """The columns that an evaluated value reads."""
    return value.columns if isinstance(value, tree.Expression) else frozenset()


def number(value: float) -> str:
    """A number as XML has it, without needless digits."""
    return str(int(value)) if value == int(value) else f"{value:.10g}"


def quoted(text: str) -> str:
    """A string of Mapnik's expression language."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def expression(value: tree.Value) -> str:
    """A value as an operand of Mapnik's expression language."""
    if isinstance(value, tree.Expression):
        return value.text
    if isinstance(value, tree.Number):
        return number(value.value)
    return quoted(value.value if isinstance(value, (tree.Text, tree.Word)) else "")


def color_of(value: tree.Value) -> tree.Color | None:
    """The colour that this is, if it is one."""
    if isinstance(value, tree.Color):
        return value
    name = value.value.lower() if isinstance(value, (tree.Word, tree.Text)) else ""
    if name == "transparent":
        return tree.Color(0, 0, 0, 0)
    if name not in COLORS:
        return None
    code = COLORS[name]
    return tree.Color(code >> 16, code >> 8 & 255, code & 255)


def _meant(value: tree.Value) -> tree.Value:
    """The colour that a word names, or what it is otherwise."""
    return (color_of(value) or value) if isinstance(value, tree.Word) else value


def css(color: tree.Color) -> str:
    """The colour as Mapnik reads it."""
    parts = [round(_clamp(part, 255)) for part in _channels(color)]
    if color.alpha >= 1:
        return "#" + "".join(f"{part:02x}" for part in parts)
    return f"rgba({parts[0]}, {parts[1]}, {parts[2]}, {number(_clamp(color.alpha))})"
