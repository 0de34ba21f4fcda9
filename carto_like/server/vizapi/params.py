"""What a list of visualizations is asked for in its query string."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from carto_like.server.errors import Problem
from carto_like.server.services.datasets import COMBINABLE_ORDERS, ORDERS, Page, Search
from carto_like.server.vizapi.shapes import Parts

Params = Mapping[str, str]

_LARGEST = 1_000_000_000
_SWITCHES = {
    "table": "show_table",
    "size_and_rows": "show_table_size_and_row_count",
    "permission": "show_permission",
    "liked": "show_liked",
    "synchronization": "show_synchronization",
    "uses_builder_features": "show_uses_builder_features",
    "auth_tokens": "show_auth_tokens",
    "user": "fetch_user",
}
_ASKED_FOR_ONE = {"permission": "show_permission", "liked": "show_liked", "user": "fetch_user"}
# Nothing here has been liked, taken from a data catalogue, or shared by somebody else.
_NEVER_MET = ("only_liked", "subscribed", "sample")


def flag(params: Params, name: str, default: bool = False) -> bool:
    """A switch: ``true`` or ``false`` in any case; anything else is as if it were not there."""
    return {"true": True, "false": False}.get(params.get(name, "").strip().lower(), default)


def parts_of_list(params: Params) -> Parts:
    """The parts that a listed visualization shall have: most of them, unless refused."""
    everything = Parts(permission=True, liked=True)
    return replace(
        everything,
        **{part: flag(params, name, getattr(everything, part)) for part, name in _SWITCHES.items()},
    )


def parts_of_one(params: Params) -> Parts:
    """The parts that a single visualization shall have: the costly ones only when asked for."""
    asked = {part: flag(params, name) for part, name in _ASKED_FOR_ONE.items()}
    return replace(Parts(related_tables=True), **asked)


def page_of(params: Params, orders: Callable[[Params], tuple[tuple[str, bool], ...]]) -> Page:
    """Page, size and order.

    Raises:
        Problem: 400 when one of them is not what it must be.
    """
    return Page(natural(params, "page", 1), natural(params, "per_page", 20), orders(params))


def natural(params: Params, name: str, default: int) -> int:
    """A whole number from 1; Problem 400 for anything else."""
    text = params.get(name)
    if text is None or text == "":
        return default
    if not re.fullmatch(r"[0-9]{1,10}", text) or not 1 <= int(text) <= _LARGEST:
        raise Problem(400, f"Wrong '{name}' parameter value: it must be a whole number from 1")
    return int(text)


def viz_orders(params: Params) -> tuple[tuple[str, bool], ...]:
    """``order`` and ``order_direction``, each one value or several with commas between."""
    orders = _list(params.get("order", "")) or ["updated_at"]
    directions = _list(params.get("order_direction", "").lower()) or ["desc"]
    allowed = ORDERS if len(orders) == 1 else COMBINABLE_ORDERS
    for order in orders:
        if order not in allowed:
            raise Problem(400, f"Wrong 'order' parameter value. Valid values are one of {', '.join(allowed)}")
    for direction in directions:
        if direction not in ("asc", "desc"):
            raise Problem(400, "Wrong 'order_direction' parameter value. Valid values are one of asc, desc")
    directions += directions[-1:] * len(orders)
    return tuple((order, directions[place] == "desc") for place, order in enumerate(orders))


def search_of(params: Params, *, is_owner: bool) -> Search:
    """Which datasets are wanted; without the owner's key only public ones.

    Raises:
        Problem: 400 when ``bbox`` is not four numbers, or is given for something else than datasets.
    """
    types = _list(params.get("types", "")) or [params.get("type") or "derived"]
    box = params.get("bbox")
    if box and types != ["table"]:
        raise Problem(400, "'bbox' can only be used with type=table")
    locked = params.get("locked", "").lower()
    return Search(
        text=params.get("q", "").replace("\0", "").strip(),
        privacy=(params.get("privacy") or "").lower() or None if is_owner else "public",
        tags=tuple(_list(params.get("tags", "").replace("\0", ""))),
        locked=locked == "true" if locked in ("true", "false") else None,
        with_display_name=flag(params, "only_with_display_name"),
        within=_box(box) if box else None,
        nothing="table" not in types or _only_shared(params) or any(flag(params, n) for n in _NEVER_MET),
    )


def _only_shared(params: Params) -> bool:
    shared = params.get("shared", "").lower()
    if shared in ("no", "only", "yes"):
        return shared == "only"
    return flag(params, "only_shared")


def _box(text: str) -> tuple[float, float, float, float]:
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise Problem(400, "'bbox' must be four numbers: minx,miny,maxx,maxy") from None
    if not all(math.isfinite(value) for value in (west, south, east, north)):
        raise Problem(400, "'bbox' must be four finite numbers")
    return west, south, east, north


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
