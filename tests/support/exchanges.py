"""The exchanges in ``tests/contract``: read, filled in and compared; see the README beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "contract"

Exchange = dict[str, Any]


def exchanges(platform: str) -> list[Exchange]:
    """All exchanges with one platform."""
    return [
        {**exchange, "name": f"{file.stem}: {exchange['name']}"}
        for file in sorted((FOLDER / platform).glob("*.json"))
        for exchange in json.loads(file.read_text("utf-8"))
    ]


def filled(exchange: Exchange, value_of: Callable[[Mapping[str, Any]], str]) -> Exchange:
    """The exchange with the values of its ``given`` in place of their examples."""
    text = json.dumps({name: member for name, member in exchange.items() if name != "given"})
    for wanted in exchange.get("given", ()):
        text = text.replace(json.dumps(wanted["example"])[1:-1], value_of(wanted))
    filled_in: Exchange = json.loads(text)
    return filled_in


def differences(expected: Any, found: Any, varying: list[str], *, more: bool, path: str = "") -> list[str]:
    """Where ``found`` is not what was expected, as dotted paths; of what varies only the kind counts.

    Args:
        expected: JSON as documented.
        found: JSON as it came.
        varying: paths of values that differ each time.
        more: whether objects may have members beyond those that are expected.
        path: where in the document these two are.
    """
    if path in varying:
        same = type(expected) is type(found)
        return [] if same else [f"{path}: {found!r} is not of the kind of {expected!r}"]
    if isinstance(expected, dict) and isinstance(found, dict):
        surplus = [] if more else [f"{path}: unexpected {name}" for name in found.keys() - expected.keys()]
        missing = [f"{path}: no {name}" for name in expected.keys() - found.keys()]
        pairs = [(name, expected[name], found[name]) for name in expected.keys() & found.keys()]
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        surplus, missing = [], []
        pairs = [(str(place), *pair) for place, pair in enumerate(zip(expected, found, strict=True))]
    else:
        return [] if expected == found else [f"{path}: {found!r} instead of {expected!r}"]
    deeper = (
        differences(one, other, varying, more=more, path=f"{path}.{name}".lstrip("."))
        for name, one, other in pairs
    )
    return [*surplus, *missing, *(text for texts in deeper for text in texts)]
