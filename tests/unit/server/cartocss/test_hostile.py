"""Sheets made to harm: none does more than raise an error, and what compiles is loaded by Mapnik."""

import time
import xml.etree.ElementTree as ET

import mapnik
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carto_like.server.cartocss import CartoCssError, Found, compile_style, expand, wanted_breaks
from carto_like.server.cartocss.reference import MAP, PROPERTIES, STYLE

_TOKENS = """
#l .c Map :: ::a { } [ ] ( ) , ; : / * // /* */ @v @v: = != > < >= <= =~ + - % " ' \\ zoom a marker-width
line-color text-name text-face-name line-dasharray image-filters red #fff #12 1 2.5 1e308 1e999 50% px null
true rgba( hsl( lighten( mix( ramp( url( [a] [zoom>3] {line-width:1} colorbrewer(Reds) jenks < & é
"""
PIECES = [*_TOKENS.split(), "\n", " ", "\x00", "\u2028"]
VALUES = {
    "color": "[c]", "bool": "true", "numbers": "4, 2", "word": "multiply", "transform": '"rotate([a], 1, 2)"',
    "placements": '"N,S,12"', "text": "[a] + ' ' + [b]", "faces": '"Open Sans Bold", "DejaVu Sans Book"',
    "filters": "agg-stack-blur(2, 2), colorize-alpha(red, #0f0)", "string": '" "',
}  # fmt: skip


def problems(sheet: str) -> list[CartoCssError]:
    try:
        data = {wanted: Found((1.0, 2.0)) for wanted in wanted_breaks(sheet)}
        ET.fromstring(compile_style(expand(sheet, data)[0]).xml)
    except CartoCssError as error:
        return [error]
    return []


@settings(max_examples=120, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join) | st.text(max_size=60))
def test_no_text_raises_another_error(sheet: str) -> None:
    lines = sheet.count("\n") + 1
    for error in problems(sheet):
        assert 1 <= error.line <= lines
        assert error.column >= 1


@pytest.mark.parametrize(
    "sheet",
    [
        "#l{" * 100_000,
        "#l{line-width:" + "(" * 100_000,
        "#l{line-width:" + "-" * 100_000 + "1}",
        "#l{line-width:" + "1+" * 100_000 + "1}",
        "#l{line-width:1}" * 20_000,
        "".join(f"@v{n}:@v{n + 1}+@v{n + 1};" for n in range(50)) + "@v50:1;#l{line-width:@v0}",
        ",".join(f"#l[a>{n}]" for n in range(5000)) + "{line-width:1}",
        "#l,#l,#l,#l,#l,#l,#l,#l,#l,#l{" * 30 + "line-width:1" + "}" * 30,
        "".join(f"#l[{c}>{n}]{{line-width:{n}}}" for c in "abcdef" for n in range(100)),
        "".join(f"#l[zoom>={n}][c{m}=1]{{line-width:{n}}}" for n in range(25) for m in range(60)),
        "#l{line-width:1} " + "/*" * 100_000,
        "#l{a:" + '"' + "\\" * 100_001,
        "x" * 10_000_000,
        "#l{line-dasharray:0.0001,0}",
        "#l{line-dasharray:0,0}",
        "Map{buffer-size:1000000}",
        "#l{text-size:1000000}",
        "#l{line-width:1e300}",
        "#l{line-width:1e999}",
        "#l{marker-transform:'" + "rotate(1)" * 5000 + "x'}",
    ],
    ids=range(20),
)
def test_what_would_take_long_is_refused_soon(sheet: str) -> None:
    started = time.process_time()
    assert problems(sheet)
    assert time.process_time() - started < 3


@pytest.mark.parametrize(
    "text", ["</Filter><Style/>", "]]>", "&amp;", "' or [x] = '", "\\' or [x] = \\'", "\n"]
)
def test_no_text_becomes_markup_or_another_expression(text: str) -> None:
    written = text.replace("\\", "\\\\").replace('"', '\\"')
    sheet = f'#l[a="{written}"] {{ text-name: "{written}"; text-face-name: "DejaVu Sans Book" }}'
    style = compile_style(sheet)
    root = ET.fromstring(style.xml)
    assert [element.tag for element in root] == ["FontSet", "Style", "Layer"]
    assert style.columns == {"a"}
    loaded = mapnik.Map(1, 1)
    mapnik.load_map_from_string(loaded, style.xml, True)
    expression = mapnik.Expression(root.findtext("Style/Rule/Filter") or "")
    context = mapnik.Context()
    context.push("a")
    feature = mapnik.Feature(context, 1)
    for value, holds in ((text, True), ("other", False)):
        feature["a"] = value
        assert expression.evaluate(feature) is holds


def value_of(kind: str) -> str:
    return "3" if kind == "number" else VALUES.get(kind, kind.split("|")[-1])


def test_mapnik_knows_every_property() -> None:
    for name, found in PROPERTIES.items():
        value = value_of(found.kind)
        sheet = f"#l {{ {name}: {value}; }}"
        if name.startswith("text-"):
            sheet += " #l { text-name: [a]; text-face-name: 'DejaVu Sans Book' }"
        style = compile_style(sheet)
        mapnik.load_map_from_string(mapnik.Map(1, 1), style.xml, True)
    for name, kind in STYLE.items():
        style = compile_style(f"#l {{ line-width: 1; {name}: {value_of(kind)} }}")
        mapnik.load_map_from_string(mapnik.Map(1, 1), style.xml, True)
        assert not style.in_turn
    assert MAP.keys() == {"background-color", "buffer-size"}
