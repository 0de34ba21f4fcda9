"""The properties a style may use, the kind of value each takes, and its XML name."""

from __future__ import annotations

from dataclasses import dataclass

_ON_PATH = "comp-op:word clip:bool smooth:number simplify:number geometry-transform:transform"
_SYMBOLIZERS = {
    "marker": (
        "MarkersSymbolizer",
        "width:number height:number fill:color fill-opacity:number opacity:number line-color=stroke:color "
        "line-width=stroke-width:number line-opacity=stroke-opacity:number type=marker-type:ellipse|arrow "
        "placement:point|line|interior|vertex-first|vertex-last multi-policy:each|whole|largest "
        "allow-overlap:bool ignore-placement:bool spacing:number max-error:number offset:number "
        "transform:transform " + _ON_PATH,
    ),
    "line": (
        "LineSymbolizer",
        "color=stroke:color width=stroke-width:number opacity=stroke-opacity:number "
        "join=stroke-linejoin:miter|miter-revert|round|bevel cap=stroke-linecap:butt|round|square "
        "dasharray=stroke-dasharray:numbers dash-offset=stroke-dashoffset:number "
        "miterlimit=stroke-miterlimit:number gamma=stroke-gamma:number "
        "rasterizer:full|fast offset:number " + _ON_PATH,
    ),
    "polygon": (
        "PolygonSymbolizer",
        "fill:color opacity=fill-opacity:number gamma:number " + _ON_PATH,
    ),
    "text": (
        "TextSymbolizer",
        "name:text face-name:faces size:number fill:color opacity:number halo-fill:color halo-radius:number "
        "halo-opacity:number dx:number dy:number placement:point|line|vertex|interior "
        "placement-type:dummy|simple placements:placements allow-overlap:bool "
        "label-position-tolerance:number wrap-width:number wrap-character:string line-spacing:number "
        "character-spacing:number "
        "spacing:number min-distance=minimum-distance:number min-padding=minimum-padding:number "
        "align=justify-alignment:left|right|center|auto horizontal-alignment:left|middle|right|auto "
        "vertical-alignment:top|middle|bottom|auto transform=text-transform:none|uppercase|lowercase|"
        "capitalize orientation:number avoid-edges:bool clip:bool comp-op:word",
    ),
    "dot": ("DotSymbolizer", "fill:color width:number height:number opacity:number comp-op:word"),
    "building": ("BuildingSymbolizer", "fill:color fill-opacity:number height:number"),
}
_COMP_OPS = """
clear src dst src-over dst-over src-in dst-in src-out dst-out src-atop dst-atop xor plus minus multiply
screen overlay darken lighten color-dodge color-burn hard-light soft-light difference exclusion contrast
invert grain-merge grain-extract hue saturation color value
"""
COMP_OPS = frozenset(_COMP_OPS.split())
# Mapnik opens what these name.
FILES = frozenset(
    [
        *("marker-file", "point-file", "polygon-pattern-file", "line-pattern-file", "shield-file"),
        *("font-directory", "background-image"),
    ]
)
# The faces in Mapnik's wheel; it loads no style that names another one.
FACES = frozenset(
    [
        "DejaVu Math TeX Gyre Regular",
        *("DejaVu Sans " + kind for kind in ("Bold", "Bold Oblique", "Book", "ExtraLight", "Oblique")),
        *("DejaVu Sans Condensed" + kind for kind in ("", " Bold", " Bold Oblique", " Oblique")),
        *("DejaVu Sans Mono " + kind for kind in ("Bold", "Bold Oblique", "Book", "Oblique")),
        *("DejaVu Serif " + kind for kind in ("Bold", "Bold Italic", "Book", "Condensed", "Italic")),
        *("DejaVu Serif Condensed " + kind for kind in ("Bold", "Bold Italic", "Italic")),
    ]
)
# What a label is drawn in when none of its faces is there.
FALLBACK_FACE = "DejaVu Sans Book"
# Families of styles made elsewhere; their labels are drawn in a face that is there.
_KNOWN_FAMILIES = """
arial azo courier georgia graduate gravitas helvetica lato montserrat noto old open playfair roboto times
unica vollkorn
"""
KNOWN_FAMILIES = frozenset(_KNOWN_FAMILIES.split())
STYLE = {
    "opacity": "number",
    "comp-op": "word",
    "image-filters": "filters",
    "direct-image-filters": "filters",
}
_IMAGE_FILTERS = """
agg-stack-blur blur color-to-alpha colorize-alpha edge-detect emboss gray invert scale-hsla sharpen sobel
x-gradient y-gradient
"""
IMAGE_FILTERS = frozenset(_IMAGE_FILTERS.split())
MAP = {"background-color": "color", "buffer-size": "number"}
# What larger numbers ask for takes long to draw, and shows nothing.
LARGEST = {
    "buffer-size": 1024.0,
    "text-size": 1000.0,
    "marker-width": 1000.0,
    "marker-height": 1000.0,
}
LARGEST_NUMBER = 100_000.0
SHORTEST_DASHES = 0.5


@dataclass(frozen=True)
class Property:
    """One property: its symbolizer, the attribute in XML, and the kind of value."""

    symbolizer: str
    attribute: str
    kind: str


def _table() -> dict[str, Property]:
    table = {}
    for prefix, (symbolizer, properties) in _SYMBOLIZERS.items():
        for entry in properties.split():
            names, kind = entry.split(":", 1)
            name, _, attribute = names.partition("=")
            table[f"{prefix}-{name}"] = Property(symbolizer, attribute or name, kind)
    return table


PROPERTIES = _table()
