"""Looking through a client's SQL without keeping everybody else waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

# A scanner takes about a second per megabyte of the worst text.
_LONG = 32 * 1024

P = ParamSpec("P")
T = TypeVar("T")


async def scan(function: Callable[Concatenate[str, P], T], sql: str, *args: P.args, **options: P.kwargs) -> T:
    """``function(sql, ...)``, in a thread when the text is long."""
    if len(sql) < _LONG:
        return function(sql, *args, **options)
    return await asyncio.to_thread(function, sql, *args, **options)
