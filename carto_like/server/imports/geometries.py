"""Geometries of many rows on their way to COPY."""

from __future__ import annotations

from collections.abc import Sequence

from carto_like.server.imports import codes
from carto_like.server.imports.rows import NULL, Unreadable
from carto_like.server.imports.wkb import HasCollection, as_stored


def as_hex(wkbs: Sequence[bytes | None]) -> list[str]:
    """Well-known binary as datasets hold it, in hex; raises :class:`Unreadable` for collections."""
    try:
        return [NULL if wkb is None else as_stored(wkb).hex() for wkb in wkbs]
    except HasCollection:
        raise Unreadable(codes.COLLECTIONS) from None
