"""Plain layers: one colour, drawn as the background of a map without rows, or one picture."""

from __future__ import annotations

import re
from typing import Any

from carto_like.server.cartocss import CartoCssError, MapnikStyle, compile_style

from .config import Layer
from .problems import MapProblem

_TEXT = re.compile(r"[A-Za-z]+|#[0-9A-Fa-f]{3}|#[0-9A-Fa-f]{6}")


def is_paved(layer: Layer) -> bool:
    """Whether a plain layer is a picture that is repeated, rather than a colour."""
    return layer.options.get("color") is None and isinstance(layer.options.get("imageUrl"), str)


def plain_style(layer: Layer) -> MapnikStyle:
    """What draws a plain layer.

    Raises:
        Problem: 400 for a colour that is none, and for one that is missing.
    """
    color = layer.options.get("color")
    if color is None:
        text = "Plain layer: at least one of the options, `color` or `imageUrl`, must be provided."
        if layer.options.get("imageUrl") is not None:
            text = "Invalid imageUrl for 'plain' layer: it must be text"
        raise MapProblem(400, text, kind="layer", more=layer.context)
    try:
        return compile_style(f"Map {{ background-color: {_as_css(color)}; }}")
    except (CartoCssError, ValueError) as error:
        text = f"Invalid color for 'plain' layer: {error}"
        raise MapProblem(400, text, kind="layer", more=layer.context) from error


def _as_css(color: Any) -> str:
    if isinstance(color, list):
        if len(color) not in (3, 4) or not all(isinstance(part, (int, float)) for part in color):
            raise ValueError("invalid integer array")
        red, green, blue = (min(max(round(part), 0), 255) for part in color[:3])
        alpha = min(max(float(color[3]), 0.0), 1.0) if len(color) == 4 else 1.0
        return f"rgba({red}, {green}, {blue}, {alpha})"
    if not isinstance(color, str) or not _TEXT.fullmatch(color):
        raise ValueError(f'"{color}" is no color')
    return color
