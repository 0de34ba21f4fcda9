"""Writes declarations as attributes of Mapnik's XML, each checked against the reference."""

from __future__ import annotations

import difflib
import re
import xml.etree.ElementTree as ET
from typing import NoReturn

from . import tree
from .parser import parse_value
from .problem import fail
from .reference import (
    COMP_OPS,
    FACES,
    FALLBACK_FACE,
    FILES,
    IMAGE_FILTERS,
    KNOWN_FAMILIES,
    LARGEST,
    LARGEST_NUMBER,
    MAP,
    PROPERTIES,
    SHORTEST_DASHES,
    STYLE,
    Property,
)
from .values import Evaluator, color_of, columns_of, css, expression, number, quoted

_TRANSFORM = re.compile(
    r"\s*(?:(?:scale|rotate|translate|skewX|skewY|matrix)\((?:[-\d.,\s]|\[[\w ]+\])+\)[\s,]*)+"
)
_MOST_DASHES = 32
# Each goes over every pixel.
_MOST_FILTERS = 8
_PLACEMENTS = re.compile(r"(?:(?:N|S|E|W|NE|SE|NW|SW|X)|\d+)(?:,(?:(?:N|S|E|W|NE|SE|NW|SW|X)|\d+))*")
_FIELD = re.compile(r"\[([^\]\[]+)\]")


class Writer:
    """Writes the declarations of one sheet, and notes the columns and fonts they ask for."""

    def __init__(self, text: str, evaluator: Evaluator) -> None:
        self.text = text
        self.columns: set[str] = set()
        self.fonts: list[tuple[str, ...]] = []
        self._evaluator = evaluator

    def known(self, declaration: tree.Declaration) -> Property:
        """The property of this name; raises ``CartoCssError`` with the nearest name."""
        found = PROPERTIES.get(declaration.name)
        if found:
            return found
        if declaration.name in FILES:
            fail(self.text, declaration.position, f"{declaration.name} is not allowed: it names a file")
        message = f"Unrecognized rule: {declaration.name}."
        near = difflib.get_close_matches(declaration.name, [*PROPERTIES, *STYLE, *MAP], 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        return fail(self.text, declaration.position, message + hint)

    def map_attribute(self, root: ET.Element, declaration: tree.Declaration) -> None:
        """Write a declaration of ``Map {}``."""
        if declaration.name not in MAP:
            self.known(declaration)
            fail(self.text, declaration.position, f"{declaration.name} is no property of Map")
        self._write(root, declaration, Property("Map", declaration.name, MAP[declaration.name]))

    def style_attribute(self, style: ET.Element, declaration: tree.Declaration) -> bool:
        """Write a declaration that is about the whole style; False when it is not."""
        if declaration.name not in STYLE:
            return False
        self._write(style, declaration, Property("Style", declaration.name, STYLE[declaration.name]))
        return True

    def attribute(self, element: ET.Element, declaration: tree.Declaration, found: Property) -> None:
        """Write a declaration on its symbolizer."""
        self._write(element, declaration, found)

    def _write(self, element: ET.Element, declaration: tree.Declaration, found: Property) -> None:
        value = self._evaluator.value(declaration.value)
        if found.kind == "text":
            element.text = self._label(value, declaration)
        elif found.kind == "faces":
            element.set("fontset-name", self._fontset(value, declaration))
        else:
            element.set(found.attribute, self._attribute(value, declaration, found.kind))
        self.columns |= columns_of(value)

    def _attribute(self, value: tree.Value, declaration: tree.Declaration, kind: str) -> str:
        if isinstance(value, tree.Expression) and kind in ("number", "color"):
            return value.text
        if isinstance(value, tree.Number) and kind == "number":
            return self._number(value, declaration)
        color = color_of(value)
        if kind == "color" and color:
            return css(color)
        if kind == "numbers":
            return self._numbers(value, declaration)
        if kind == "filters":
            return self._filters(value, declaration)
        if not isinstance(value, (tree.Word, tree.Text)):
            return self._wrong(value, declaration, kind)
        if kind == "string":
            return value.value
        patterns = {"transform": _TRANSFORM, "placements": _PLACEMENTS}
        if kind in patterns:
            fits = bool(patterns[kind].fullmatch(value.value))
        elif kind == "bool":
            fits = value.value in ("true", "false")
        else:
            fits = value.value in (COMP_OPS if kind == "word" else kind.split("|"))
        if fits and kind == "transform":
            self.columns.update(_FIELD.findall(value.value))
        return value.value if fits else self._wrong(value, declaration, kind)

    def _number(self, value: tree.Number, declaration: tree.Declaration) -> str:
        given = value.value / 100 if value.unit == "%" else value.value
        most = LARGEST.get(declaration.name, LARGEST_NUMBER)
        if abs(given) > most:
            fail(self.text, declaration.position, f"{declaration.name} is at most {number(most)}")
        return number(given)

    def _filters(self, value: tree.Value, declaration: tree.Declaration) -> str:
        items = value.items if isinstance(value, tree.Several) else (value,)
        if len(items) > _MOST_FILTERS:
            fail(self.text, declaration.position, f"{declaration.name} takes at most {_MOST_FILTERS} filters")
        return ",".join(self._filter(item, declaration) for item in items)

    def _filter(self, item: tree.Value, declaration: tree.Declaration) -> str:
        name = item.name if isinstance(item, tree.Call) else getattr(item, "value", "")
        if not isinstance(item, (tree.Call, tree.Word)) or name not in IMAGE_FILTERS:
            options = ", ".join(sorted(IMAGE_FILTERS))
            fail(self.text, declaration.position, f"{declaration.name} takes functions (options: {options})")
        parts = []
        for argument in item.arguments if isinstance(item, tree.Call) else ():
            color = color_of(argument)
            if color:
                parts.append(css(color))
            elif isinstance(argument, tree.Number):
                parts.append(self._number(argument, declaration))
            else:
                fail(self.text, declaration.position, f"{name}() takes colors and numbers")
        return f"{name}({','.join(parts)})" if parts else name

    def _numbers(self, value: tree.Value, declaration: tree.Declaration) -> str:
        items = value.items if isinstance(value, tree.Several) else (value,)
        numbers = [item.value for item in items if isinstance(item, tree.Number) and item.value >= 0]
        if len(numbers) != len(items) or len(items) > _MOST_DASHES:
            self._wrong(value, declaration, "numbers")
        if sum(numbers) < SHORTEST_DASHES:
            least = number(SHORTEST_DASHES)
            fail(
                self.text,
                declaration.position,
                f"the lengths of {declaration.name} must make {least} or more",
            )
        # Mapnik takes pairs of a dash and a gap.
        return ",".join(number(item) for item in (numbers if len(numbers) % 2 == 0 else numbers * 2))

    def _label(self, value: tree.Value, declaration: tree.Declaration) -> str:
        if isinstance(value, tree.Text):
            inner = parse_value(value.value) if "[" in value.value else None
            found = self._evaluator.value(inner) if inner else None
            if not isinstance(found, tree.Expression):
                return quoted(value.value)
            self.columns |= found.columns
            return found.text
        if isinstance(value, (tree.Expression, tree.Number)):
            return expression(value)
        return self._wrong(value, declaration, "text")

    def _fontset(self, value: tree.Value, declaration: tree.Declaration) -> str:
        items = value.items if isinstance(value, tree.Several) else (value,)
        faces = [item.value for item in items if isinstance(item, tree.Text)]
        if len(faces) != len(items):
            self._wrong(value, declaration, "string")
        if not any(face in FACES or face.split(" ")[0].lower() in KNOWN_FAMILIES for face in faces):
            near = difflib.get_close_matches(faces[0] if faces else "", sorted(FACES), 1, 0.3)
            hint = f" Did you mean {near[0]}?" if near else ""
            fail(
                self.text,
                declaration.position,
                f"text-face-name: there is no font '{', '.join(faces)}'.{hint}",
            )
        fonts = tuple(dict.fromkeys([*filter(FACES.__contains__, faces), FALLBACK_FACE]))
        if fonts not in self.fonts:
            self.fonts.append(fonts)
        return f"fontset-{self.fonts.index(fonts)}"

    def _wrong(self, value: tree.Value, declaration: tree.Declaration, kind: str) -> NoReturn:
        if isinstance(value, tree.Call):
            fail(self.text, value.position, f"{value.name}() is no function that {declaration.name} takes")
        options = COMP_OPS if kind == "word" else kind.split("|")
        expected = f"type {kind} is"
        if len(options) > 1:
            expected = (
                f"type keyword (options: {', '.join(sorted(options) if kind == 'word' else options)}) is"
            )
        given = value.value if isinstance(value, (tree.Word, tree.Text)) else type(value).__name__.lower()
        was = f"{given} (of type {'keyword' if isinstance(value, tree.Word) else 'value'})  was given."
        message = f"Invalid value for {declaration.name}, the {expected} expected. {was}"
        fail(self.text, declaration.position, message)
