"""Reading JSON, by orjson where it is installed: pages of stream data are large."""

from __future__ import annotations

import functools
import importlib
import json
from collections.abc import Callable
from typing import Any

__all__ = ["loads"]


def loads(content: bytes) -> Any:
    """The parsed content; raises ``ValueError`` when it is not JSON."""
    try:
        return _reader()(content)
    except ValueError:
        # orjson refuses NaN, which servers written in Python do send.
        return json.loads(content)


@functools.cache
def _reader() -> Callable[[bytes], Any]:
    # Not before the first page: importing the SDK loads no library that it can do without.
    try:
        reader: Callable[[bytes], Any] = importlib.import_module("orjson").loads
    except ImportError:
        return json.loads
    return reader
