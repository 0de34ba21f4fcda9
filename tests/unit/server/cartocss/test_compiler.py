"""Sheets, and what Mapnik is told to draw for them."""

import xml.etree.ElementTree as ET

import pytest

from carto_like.server.cartocss import CartoCssError, compile_style


def rules(sheet: str, style: str = "layer") -> list[ET.Element]:
    root = ET.fromstring(compile_style(sheet).xml)
    return root.findall(f"Style[@name='{style}']/Rule")


@pytest.mark.parametrize(
    ("declaration", "symbolizer", "attribute", "expected"),
    [
        ("marker-line-color: #f00", "MarkersSymbolizer", "stroke", "#ff0000"),
        ("marker-line-color: #f00", "MarkersSymbolizer", "stroke-width", "1"),
        ("marker-width: [pop] * 2", "MarkersSymbolizer", "width", "([pop]*2)"),
        ("marker-type: arrow", "MarkersSymbolizer", "marker-type", "arrow"),
        ("marker-fill: mix(#000, #fff, 50%)", "MarkersSymbolizer", "fill", "#808080"),
        ("marker-fill: lighten(maroon, 25%)", "MarkersSymbolizer", "fill", "#ff0000"),
        ("marker-fill: mix(black, white)", "MarkersSymbolizer", "fill", "#808080"),
        ("marker-fill: red + #0000ff", "MarkersSymbolizer", "fill", "#ff00ff"),
        ("marker-fill: fadeout(#000, 50%)", "MarkersSymbolizer", "fill", "rgba(0, 0, 0, 0.5)"),
        ("line-width: (1 + 2) * 3", "LineSymbolizer", "stroke-width", "9"),
        ("line-dasharray: 5, 2", "LineSymbolizer", "stroke-dasharray", "5,2"),
        ("line-join: round", "LineSymbolizer", "stroke-linejoin", "round"),
        ("polygon-fill: lighten(#800000, 25%)", "PolygonSymbolizer", "fill", "#ff0000"),
        ("polygon-fill: hsl(120, 100%, 50%)", "PolygonSymbolizer", "fill", "#00ff00"),
        ("polygon-fill: rgba(100%, 0, 51, 20%)", "PolygonSymbolizer", "fill", "rgba(255, 0, 51, 0.2)"),
        ("polygon-opacity: 0.5", "PolygonSymbolizer", "fill-opacity", "0.5"),
        ("polygon-fill: red", "PolygonSymbolizer", "clip", "true"),
    ],
)
def test_a_property_becomes_an_attribute(
    declaration: str, symbolizer: str, attribute: str, expected: str
) -> None:
    (rule,) = rules("#any { " + declaration + "; }")
    assert [element.get(attribute) for element in rule.findall(symbolizer)] == [expected]


@pytest.mark.parametrize(
    ("condition", "largest", "smallest"),
    [
        ("=4", "50000000", "25000000"),
        (">4", "25000000", None),
        (">=4", "50000000", None),
        ("<4", None, "50000000"),
        ("<=4", None, "25000000"),
    ],
)
def test_zoom_becomes_scales(condition: str, largest: str | None, smallest: str | None) -> None:
    (rule,) = rules(f"#l[zoom{condition}] {{ line-width: 1 }}")
    assert rule.findtext("MaxScaleDenominator") == largest
    assert rule.findtext("MinScaleDenominator") == smallest


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("[a > 5]", "([a] > 5)"),
        ("[a = 'it\\'s']", "([a] = 'it\\'s')"),
        ('[a =~ "^x"]', "([a].match('^x'))"),
        ("[a = null]", "([a] = null)"),
        ("[a != true]", "([a] != true)"),
        ("[a >= 1][b < 2e3]", "([a] >= 1) and ([b] < 2000)"),
        ("[a > 1][a > 3]", "([a] > 3)"),
        ('["mapnik::geometry_type"=1]', "([mapnik::geometry_type] = 1)"),
    ],
)
def test_conditions_become_a_filter(condition: str, expected: str) -> None:
    (rule,) = rules("#l" + condition + " { line-width: 1 }")
    assert rule.findtext("Filter") == expected


def test_overlapping_filters_combine_and_inherit() -> None:
    made = rules("#l { line-width: 1; [a>1] { line-color: #f00 } [b>1] { line-width: 2 } }")
    told = [(rule.findtext("Filter"), rule[-1].get("stroke"), rule[-1].get("stroke-width")) for rule in made]
    assert told == [
        ("([a] > 1) and ([b] > 1)", "#ff0000", "2"),
        ("([b] > 1)", None, "2"),
        ("([a] > 1)", "#ff0000", "1"),
        (None, None, "1"),
    ]


def test_contradictions_between_rules_are_dropped() -> None:
    made = rules("#l { [a=1] { line-width: 1 } [a=2] { line-width: 2 } }")
    assert [rule.findtext("Filter") for rule in made] == ["([a] = 2)", "([a] = 1)"]


def test_attachments_are_styles_over_the_base_and_instances_are_symbolizers() -> None:
    sheet = "#l::top { line-width: 1 } #l { line-width: 9; a/line-width: 3; polygon-fill: red }"
    root = ET.fromstring(compile_style(sheet).xml)
    assert [style.text for style in root.findall("Layer/StyleName")] == ["layer", "layer-top"]
    kinds = [element.tag for element in root.findall("Style[@name='layer']/Rule/*")]
    assert kinds == ["LineSymbolizer", "LineSymbolizer", "PolygonSymbolizer"]


def test_columns_are_those_of_filters_expressions_and_labels() -> None:
    sheet = "#l[a>1] { marker-width: [b]; text-name: '[c]'; text-face-name: 'DejaVu Sans Book' }"
    assert compile_style(sheet).columns == {"a", "b", "c"}


def test_variables_comments_and_the_map() -> None:
    made = compile_style(
        "// one\n@w: 2; /* two */ Map { background-color: #fff; buffer-size: 128 } #l { line-width: @w }"
    )
    assert (made.background, made.buffer) == ("#ffffff", 128)
    root = ET.fromstring(made.xml)
    assert root.find("Style/Rule/LineSymbolizer[@stroke-width='2']") is not None


def test_an_unknown_face_is_replaced() -> None:
    root = ET.fromstring(compile_style("#l { text-name: [a]; text-face-name: 'Open Sans Bold' }").xml)
    assert [font.get("face-name") for font in root.findall("FontSet/Font")] == ["DejaVu Sans Book"]


@pytest.mark.parametrize(
    ("label", "expected", "columns"),
    [
        ("[name]", "[name]", {"name"}),
        ("'[name]'", "[name]", {"name"}),
        ("\"[a] + ', ' + [b]\"", "(([a]+', ')+[b])", {"a", "b"}),
        ("'no column'", "'no column'", set()),
        ("'[not closed'", "'[not closed'", set()),
        ("'[a] [b]'", "'[a] [b]'", set()),
    ],
)
def test_a_label_is_a_column_an_expression_or_a_text(label: str, expected: str, columns: set[str]) -> None:
    style = compile_style("#l { text-name: " + label + "; text-face-name: 'DejaVu Sans Book' }")
    assert ET.fromstring(style.xml).findtext("Style/Rule/TextSymbolizer") == expected
    assert style.columns == columns


def test_effects_of_a_style_and_turned_markers() -> None:
    style = compile_style(
        "#l { image-filters: agg-stack-blur(2, 3), invert; marker-width: 4; marker-transform: 'rotate([r])' }"
    )
    element = ET.fromstring(style.xml).find("Style")
    assert element is not None
    assert element.get("image-filters") == "agg-stack-blur(2,3),invert"
    assert style.columns == {"r"}
    assert not style.in_turn


@pytest.mark.parametrize(
    ("sheet", "expected"),
    [
        (
            "#l{text-name:[a];text-face-name:'DejaVu Sans'}",
            "style0:1:18 text-face-name: there is no font 'DejaVu Sans'. Did you mean DejaVu Sans Book?",
        ),
        ("#l{line-dasharray:0,0}", "style0:1:4 the lengths of line-dasharray must make 0.5 or more"),
        ("#l{line-width:1e9}", "style0:1:4 line-width is at most 100000"),
        ("#layer{marker-wdth:3}", "style0:1:8 Unrecognized rule: marker-wdth. Did you mean marker-width?"),
        ("#layer{ marker-width: 3", "style0:1:7 missing closing `}`"),
        (
            "#l{line-join:blah}",
            "style0:1:4 Invalid value for line-join, the type keyword (options: miter, miter-revert, round, "
            "bevel) is expected. blah (of type keyword)  was given.",
        ),
        ("#l{text-name:[a]}", "style0:1:4 Property text-face-name required for defining text styles."),
        ("#l[a=x]{line-width:1}", "style0:1:3 x is not a valid keyword in a filter expression"),
        ("#l[zoom=26]{line-width:1}", "style0:1:3 Only zoom levels between 0 and 25 supported."),
        ("#l{line-width:@x}", "style0:1:15 variable @x is undefined"),
        ("@x:@x;#l{line-width:@x}", "style0:1:4 variable @x is defined by itself"),
        ("#l[a=1][a=2]{line-width:1}", "style0:1:8 [a] produces an invalid filter"),
        (
            "#l{marker-file:url(/etc/passwd)}",
            "style0:1:16 url() is not allowed: a style may name no file and no address",
        ),
        ("#l{marker-file:'/etc/passwd'}", "style0:1:4 marker-file is not allowed: it names a file"),
        ("Map{font-directory:'/'}", "style0:1:5 font-directory is not allowed: it names a file"),
        ("#l{line-width:1/0}", "style0:1:16 division by zero"),
        ("\n" * 39 + "#l { line-width 1 }", "style0:40:6 expected `property: value`"),
    ],
)
def test_mistakes_are_named_with_their_place(sheet: str, expected: str) -> None:
    with pytest.raises(CartoCssError) as caught:
        compile_style(sheet)
    assert caught.value.at_layer(0) == expected


def test_too_many_combinations_are_refused() -> None:
    lists = "".join(f"[{column}>{n}]{{line-width:{n}}}" for column in "abcd" for n in range(1, 11))
    with pytest.raises(CartoCssError, match="combine to more than"):
        compile_style("#l{" + lists + "}")
