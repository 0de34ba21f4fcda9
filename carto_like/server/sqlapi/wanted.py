"""What a request to ``/sql`` asks for, read from its parameters and checked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import PurePosixPath

from carto_like.pure.pgtext import window
from carto_like.server.errors import Problem
from carto_like.server.formats.catalog import FORMATS
from carto_like.server.sqlapi.family import is_callback
from carto_like.server.sqlapi.parameters import Parameters
from carto_like.server.sqlapi.scanning import scan

_UNFIT = re.compile(r"[;()\[\]<>'\"\s\\\x00-\x1f\x7f]|[^\x00-\x7f]")
_DEFAULT_NAME = "cartodb-query"


@dataclass(frozen=True)
class Wanted:
    """What a request to ``/sql`` asks for, checked."""

    sql: str
    format: str
    file_name: str
    attachment: bool
    skip: frozenset[str]
    decimals: int
    persist: bool
    callback: str | None

    @property
    def headers(self) -> dict[str, str]:
        """The headers that do not depend on the result."""
        kind = "attachment" if self.attachment else "inline"
        date = formatdate(usegmt=True)
        name = f"{self.file_name}.{FORMATS[self.format].extension}"
        return {
            "Content-Type": FORMATS[self.format].content_type,
            "Content-Disposition": f'{kind}; filename={name}; modification-date="{date}";',
        }


async def read_wanted(parameters: Parameters) -> Wanted:
    """Check the parameters of ``/sql``; raises Problem 400."""
    sql = parameters.get("q")
    if not isinstance(sql, str):
        raise Problem(400, "You must indicate a sql query")
    given_name = parameters.last_text("filename")
    callback = parameters.last_text("callback")
    if callback and not is_callback(callback):
        raise Problem(400, "The callback must be the name of a function")
    name = _format(parameters)
    decimals = parameters.integer("dp")
    return Wanted(
        sql=await _windowed(sql, parameters),
        format=name,
        file_name=_file_name(given_name or _DEFAULT_NAME),
        attachment=bool(given_name or parameters.last_text("format")),
        skip=frozenset(name for text in parameters.texts("skipfields") for name in text.split(",") if name),
        decimals=6 if decimals is None else min(max(decimals, 0), 20),
        persist=parameters.text("cache_policy") == "persist",
        callback=callback if FORMATS[name].calls_back else None,
    )


def _format(parameters: Parameters) -> str:
    given = parameters.get("format")
    name = parameters.last_text("format") or "json"
    name = name if isinstance(given, list) else name.lower()
    if name not in FORMATS:
        raise Problem(400, f"Invalid format: {name}")
    return name


def _file_name(name: str) -> str:
    base = PurePosixPath(name).name
    stem = base.rpartition(".")[0] or base
    return _UNFIT.sub("_", stem) or _DEFAULT_NAME


async def _windowed(sql: str, parameters: Parameters) -> str:
    page, size = parameters.integer("page"), parameters.integer("rows_per_page")
    paged = page is not None and size is not None
    direction = (parameters.text("sort_order") or "").lower()
    try:
        return await scan(
            window,
            sql,
            order_by=parameters.text("order_by"),
            descending={"asc": False, "desc": True}.get(direction),
            limit=size if paged else None,
            offset=(page or 0) * (size or 0),
        )
    except ValueError as error:
        raise Problem(400, str(error)) from error
