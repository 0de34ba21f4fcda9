"""Paths built from ids that come from elsewhere, and the class of error for those that cannot be."""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import quote

from carto_like.core.errors import ConfigurationError, SdkError

__all__ = ["error_type", "item_path"]

E = TypeVar("E", bound=SdkError)


def error_type(client: Any, core_type: type[E]) -> type[E]:
    """The platform's own class for one of the core's errors; any client will do, also one that has none."""
    twin = getattr(client, "error_type", None)
    return core_type if twin is None else twin(core_type)


def item_path(
    collection: str,
    *segments: Any,
    slash: bool = False,
    refused: type[ConfigurationError] = ConfigurationError,
) -> str:
    """Path of something below a collection; each segment is quoted, so that none can name another place.

    Raises:
        ConfigurationError: a segment is None or empty, or would climb.
    """
    quoted = []
    for segment in segments:
        if segment is None or str(segment) in ("", ".", ".."):
            raise refused(f"{segment!r} is no id: it names nothing below {collection}")
        quoted.append(quote(str(segment), safe=""))
    return "/".join([collection.rstrip("/"), *quoted]) + ("/" if slash else "")
