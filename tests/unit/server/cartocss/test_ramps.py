"""Ramps become a default and conditions."""

import re

import pytest

from carto_like.server.cartocss import (
    Breaks,
    CartoCssError,
    Found,
    RampError,
    compile_style,
    expand,
    wanted_breaks,
)
from carto_like.server.raster.breaks import natural_breaks


def made(ramp: str, *breaks: float | str) -> str:
    sheet = "#l{p: " + ramp + "}"
    found = {each: Found(breaks) for each in wanted_breaks(sheet)}
    return re.sub(r"\s+", "", expand(sheet, found)[0])


@pytest.mark.parametrize(
    ("ramp", "breaks", "expected"),
    [
        ("ramp([v],(2,4,6),(10,20,30))", [], '#l{p:2;["v">10]{p:4}["v">20]{p:6}}'),
        ("ramp([v],(2,4,6),(10,20,30),>=)", [], '#l{p:2;["v">=10]{p:4}["v">=20]{p:6}}'),
        ("ramp([v],(2,4,6),(10,20,30),<)", [], '#l{p:6;["v"<20]{p:4}["v"<10]{p:2}}'),
        (
            'ramp([c],(red,blue,grey),("a","b"),=)',
            [],
            '#l{p:grey;["c"="a"]{p:red}["c"="b"]{p:blue}}',
        ),
        ('ramp([c],(red,blue),("a","b"),=)', [], '#l{["c"="a"]{p:red}["c"="b"]{p:blue}}'),
        ("ramp([v],1,3,3)", [5, 7.5, 9], '#l{p:1;["v">5]{p:2}["v">7.5]{p:3}}'),
        ("ramp([v],range(1,5),equal(3))", [5, 7, 9], '#l{p:1;["v">5]{p:3}["v">7]{p:5}}'),
        ("ramp([v],(1,2,3),headtails)", [5, 7, 9], '#l{p:1;["v">7]{p:2}}'),
        ("ramp([v],(1,2,3),headtails(3))", [5, 7, 9], '#l{p:3;["v"<7]{p:2}["v"<5]{p:1}}'),
        ("ramp([c],(1,2,3),category)", ["a", "b", "c"], '#l{p:1;["c"="b"]{p:2}["c"="c"]{p:3}}'),
        ("ramp([c],(1,2,3),category(2))", ["a", "b"], '#l{p:3;["c"="a"]{p:1}["c"="b"]{p:2}}'),
        ("ramp([v],(1,2,3),jenks)", [], "#l{p:1;}"),
        ("ramp([v],colorbrewer(Reds,3),(1,2,3))", [], '#l{p:#fee0d2;["v">1]{p:#fc9272}["v">2]{p:#de2d26}}'),
    ],
)
def test_a_ramp_is_a_default_and_conditions(ramp: str, breaks: list[float | str], expected: str) -> None:
    assert made(ramp, *breaks) == expected


@pytest.mark.parametrize(
    ("ramp", "expected"),
    [
        ("ramp([v],(1,2,3))", Breaks("v", "quantiles", 3)),
        ("ramp([v],cartocolor(Bold))", Breaks("v", "quantiles", 5)),
        ("ramp([v],cartocolor(Bold,4),jenks)", Breaks("v", "jenks", 4)),
        ("ramp([v],(1,2,3),equal(7))", Breaks("v", "equal", 7)),
        ("ramp([v],1,9,jenks())", Breaks("v", "jenks", 5)),
        ("ramp([v],(1,2),category,=)", Breaks("v", "category", 2)),
    ],
)
def test_what_must_be_known_of_the_data(ramp: str, expected: Breaks) -> None:
    assert list(wanted_breaks("@r: " + ramp + "; #l { [zoom > 3] { marker-width: @r } }")) == [expected]


def test_palettes_are_no_larger_than_they_are() -> None:
    sheet, _ = expand("#l{p: ramp([v],cartocolor(Sunset,50),(1,2,3,4,5,6,7,8,9))}", {})
    assert len(re.findall("#[0-9a-f]{6}", sheet)) == 7


def test_an_expanded_sheet_compiles_with_what_stands_around_the_ramp() -> None:
    sheet = "#l { a/line-width: ramp([v], (1, 2), (5, 6)); line-color: red; [zoom > 4] { line-width: 9 } }"
    xml = compile_style(expand(sheet, {})[0]).xml
    assert 'stroke-width="2"' in xml
    assert xml.count('stroke="#ff0000"') == 4


def test_ramps_are_described() -> None:
    sheet = "#l [zoom > 2] { marker-width: ramp([v], (1, 2, 3), equal) }"
    _, (rule,) = expand(sheet, {Breaks("v", "equal", 3): Found((4.0, 7.0, 10.0), 1.0, 10.0, 5.5)})
    assert rule == {
        "selector": "#l [zoom > 2]",
        "prop": "marker-width",
        "column": "v",
        "mapping": ">",
        "buckets": [
            {"filter": {"type": "range", "start": 1.0, "end": 4.0}, "value": "1"},
            {"filter": {"type": "range", "start": 4.0, "end": 7.0}, "value": "2"},
            {"filter": {"type": "range", "start": 7.0, "end": 10.0}, "value": "3"},
        ],
        "stats": {"filter_avg": 5.5},
    }


@pytest.mark.parametrize(
    ("ramp", "why"),
    [
        ("ramp([v])", "invalid number of arguments"),
        ("ramp()", "invalid number of arguments"),
        ("ramp([v],(1,2),equal,>,7)", "invalid number of arguments"),
        (
            "ramp([v],(1,2),x)",
            'Invalid method "x", valid methods: [quantiles,equal,jenks,headtails,category]',
        ),
        ("ramp([v],colorbrewer(Nope))", 'Invalid colorbrewer scheme: "Nope"'),
        ("ramp([v],(1,2),jenks(1000))", "the number of buckets must be between 1 and 100"),
        ("ramp(3,(1,2))", "the first argument must be a column in brackets"),
    ],
)
def test_mistakes_in_ramps(ramp: str, why: str) -> None:
    with pytest.raises(RampError) as caught:
        wanted_breaks("#l {\n  marker-fill: " + ramp + "; }")
    assert caught.value.message == f'Failed to process "marker-fill" property: {why}'
    assert caught.value.source["start"] == {"line": 2, "column": 3}
    assert caught.value.source["end"] == {"line": 2, "column": 16 + len(ramp)}


def test_a_category_cannot_leave_its_quotes() -> None:
    sheet, _ = expand(
        "#l{line-width: ramp([c],(1,2),category(1))}",
        {Breaks("c", "category", 1): Found(('"] {} Map { background-color: red } \\',))},
    )
    style = compile_style(sheet)
    assert style.background is None
    assert "Map { background-color: red }" in style.xml


def test_a_ramp_that_was_not_expanded_is_an_error() -> None:
    with pytest.raises(CartoCssError, match="ramp"):
        compile_style("#l { line-width: ramp([v], (1, 2)) }")


def test_natural_breaks_lie_in_the_gaps() -> None:
    assert natural_breaks([1, 2, 3, 10, 11, 12, 50, 51], 3) == [3, 12, 51]
    assert natural_breaks([1, 2], 5) == [1, 2]
