"""From a sheet to a map document of Mapnik."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field

from . import tree
from .cascade import Cascade, Rule
from .conditions import Conditions, Test
from .parser import parse
from .problem import CartoCssError, fail
from .properties import Writer
from .values import Evaluator, number

GEOMETRY_TYPE = "mapnik::geometry_type"
# Of a marker, what does not depend on where the feature is or how many points it has.
_OF_MARKERS = {
    *("width", "height", "marker-type", "fill", "fill-opacity", "opacity", "stroke", "stroke-width"),
    *("stroke-opacity", "allow-overlap", "ignore-placement", "clip", "comp-op"),
}


@dataclass(frozen=True)
class MapnikStyle:
    """A compiled sheet.

    Attributes:
        xml: a whole Mapnik map document in EPSG:3857 with one layer, which has no data source yet.
        columns: the columns that filters and expressions read.
        background: the colour of ``Map { background-color }``, as Mapnik reads it.
        buffer: the pixels of ``Map { buffer-size }``.
        in_turn: whether each feature is drawn once, after those before it, so that they may come in parts.
        points_join: whether points with the same attributes look the same as one feature of many points.
        tests: of columns that filters alone read, all that they are compared with, where that is numbers, or
            texts that they are equal to or not.
        repeats: whether something is drawn again and again along lines, however far they go.
    """

    xml: str
    columns: frozenset[str]
    background: str | None = None
    buffer: int | None = None
    in_turn: bool = False
    points_join: bool = False
    tests: Mapping[str, frozenset[float] | frozenset[str]] = field(default_factory=dict, hash=False)
    repeats: bool = False


def compile_style(cartocss: str, layer: str = "layer") -> MapnikStyle:
    """Compile a sheet for one layer; every ``#name`` in it means this layer.

    Nothing is read but the sheet, and nothing in the result makes Mapnik open a file or an address.
    Raises ``CartoCssError`` with line and column.
    """
    try:
        return _compiled(cartocss, layer)
    except RecursionError:
        raise CartoCssError("the style is nested too deep") from None


def _compiled(cartocss: str, layer: str) -> MapnikStyle:
    sheet = parse(cartocss)
    evaluator = Evaluator(cartocss, sheet.variables)
    cascade = Cascade(cartocss, sheet, evaluator)
    writer = Writer(cartocss, evaluator)
    root = ET.Element("Map", {"srs": "epsg:3857"})
    options = ET.Element("Map")
    for declaration in cascade.map:
        writer.map_attribute(options, declaration)
    names = []
    tests: set[Test] = set()
    for attachment, rules in cascade.rules():
        tests.update(*(rule.conditions.tests for rule in rules))
        name = f"{layer}-{attachment}" if attachment else layer
        style = ET.SubElement(root, "Style", {"name": name, "filter-mode": "first"})
        _style(style, rules, writer)
        names.append(name)
    for index, faces in enumerate(writer.fonts):
        fonts = ET.Element("FontSet", {"name": f"fontset-{index}"})
        for face in faces:
            ET.SubElement(fonts, "Font", {"face-name": face})
        root.insert(index, fonts)
    element = ET.SubElement(root, "Layer", {"name": layer, "srs": "epsg:3857"})
    for name in names:
        ET.SubElement(element, "StyleName").text = name
    buffer = options.get("buffer-size")
    return MapnikStyle(
        ET.tostring(root, "unicode"),
        frozenset(writer.columns | {column for column, _, _ in tests} - {GEOMETRY_TYPE}),
        background=options.get("background-color"),
        buffer=round(float(buffer)) if buffer else None,
        in_turn=len(names) < 2 and not any(_blends(element) for element in root.iter()),
        points_join=all(_is_drawn_by_point(element) for element in root.iter()),
        tests=_told_apart({test for test in tests if test[0] not in {*writer.columns, GEOMETRY_TYPE}}),
        repeats=any(_repeats(element) for element in root.iter()),
    )


def _told_apart(tests: set[Test]) -> dict[str, frozenset[float] | frozenset[str]]:
    found: dict[str, frozenset[float] | frozenset[str]] = {}
    for column in {column for column, _, _ in tests}:
        signs = {sign for name, sign, _ in tests if name == column}
        values = {value for name, _, value in tests if name == column}
        # As Mapnik reads them, after they were written.
        numbers = frozenset(float(number(value)) for value in values if isinstance(value, float))
        texts = frozenset(value for value in values if isinstance(value, str))
        if all(isinstance(value, float) for value in values):
            found[column] = numbers
        elif len(texts) == len(values) and signs <= {"=", "!="}:
            found[column] = texts
    return found


def _blends(element: ET.Element) -> bool:
    """Whether this makes more of a picture than a feature laid over those before it."""
    whole = {"opacity", "image-filters", "direct-image-filters"} & element.attrib.keys()
    return "comp-op" in element.attrib or (element.tag == "Style" and bool(whole))


def _repeats(element: ET.Element) -> bool:
    """Whether this goes along lines, and takes the longer the longer they are, also out of sight."""
    is_whole = element.get("clip") == "false"
    return element.get("placement") == "line" or ("stroke-dasharray" in element.attrib and is_whole)


def _is_drawn_by_point(element: ET.Element) -> bool:
    """Whether this draws each point of a feature as it would draw it alone."""
    if element.tag == "MarkersSymbolizer":
        return element.attrib.keys() <= _OF_MARKERS
    names = element.tag in ("Map", "Style", "Rule", "Layer", "StyleName") or "Denominator" in element.tag
    return names or (element.tag == "Filter" and "mapnik::" not in (element.text or ""))


def _style(style: ET.Element, rules: list[Rule], writer: Writer) -> None:
    for rule in rules:
        element = ET.SubElement(style, "Rule")
        _conditions(element, rule.conditions)
        _symbolizers(style, element, list(rule.declarations.values()), writer)


def _conditions(rule: ET.Element, conditions: Conditions) -> None:
    if conditions.tests:
        ET.SubElement(rule, "Filter").text = conditions.filter
    largest, smallest = conditions.scales
    if largest is not None:
        ET.SubElement(rule, "MaxScaleDenominator").text = number(largest)
    if smallest is not None:
        ET.SubElement(rule, "MinScaleDenominator").text = number(smallest)


def _symbolizers(
    style: ET.Element, rule: ET.Element, declarations: list[tree.Declaration], writer: Writer
) -> None:
    made: dict[tuple[str, str], ET.Element] = {}
    for declaration in sorted(declarations, key=lambda item: item.position):
        if writer.style_attribute(style, declaration):
            continue
        found = writer.known(declaration)
        key = (declaration.instance, found.symbolizer)
        if key not in made:
            made[key] = ET.SubElement(rule, found.symbolizer)
        writer.attribute(made[key], declaration, found)
    for (instance, symbolizer), element in made.items():
        _complete(element, symbolizer)
        if symbolizer == "TextSymbolizer" and "fontset-name" not in element.attrib:
            first = next(
                item for item in declarations if item.instance == instance and item.name.startswith("text-")
            )
            fail(writer.text, first.position, "Property text-face-name required for defining text styles.")


def _complete(element: ET.Element, symbolizer: str) -> None:
    """What sheets written for Mapnik 2 rely on when they do not say it."""
    if symbolizer in ("MarkersSymbolizer", "LineSymbolizer", "PolygonSymbolizer", "TextSymbolizer"):
        element.attrib.setdefault("clip", "true")
    if symbolizer == "TextSymbolizer":
        element.attrib.setdefault("label-position-tolerance", "0")
        if "placements" in element.attrib:
            element.attrib.setdefault("placement-type", "simple")
    if symbolizer == "MarkersSymbolizer" and {"stroke", "stroke-opacity"} & element.attrib.keys():
        element.attrib.setdefault("stroke-width", "1")


__all__ = ["CartoCssError", "MapnikStyle", "compile_style"]
