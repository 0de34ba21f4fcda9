"""Ready-made lists of colours, by the names that styles give them."""

from __future__ import annotations

import functools
import importlib
import re

_FAMILIES = {"colorbrewer": "palettable.colorbrewer", "cartocolor": "palettable.cartocolors"}
_KINDS = ("sequential", "diverging", "qualitative")
_SIZED = re.compile(r"([A-Za-z0-9]+?)_(\d+)")

FAMILIES = frozenset(_FAMILIES)


class PaletteUnavailable(RuntimeError):
    """Colours were asked for, and the extra ``[maps]`` is not installed."""


def colors(family: str, name: str, count: int) -> list[str]:
    """The colours of a palette in hexadecimal; its nearest size, when it has none of this one.

    Raises:
        KeyError: there is no palette of that name.
        PaletteUnavailable: palettable is absent.
    """
    sizes = _palettes(family)[name.lower()]
    return sizes[min(sizes, key=lambda size: abs(size - count))]


@functools.cache
def _palettes(family: str) -> dict[str, dict[int, list[str]]]:
    found: dict[str, dict[int, list[str]]] = {}
    for kind in _KINDS:
        try:
            module = importlib.import_module(f"{_FAMILIES[family]}.{kind}")
        except ModuleNotFoundError as error:
            raise PaletteUnavailable("palettes need palettable: pip install 'carto-like[maps]'") from error
        for entry, palette in vars(module).items():
            named = _SIZED.fullmatch(entry)
            if named:
                found.setdefault(named[1].lower(), {})[int(named[2])] = list(palette.hex_colors)
    return found
