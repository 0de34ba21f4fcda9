"""Readings of many streams as rows of one table, with the positions of the devices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from carto_like.core.client import Client
from carto_like.iotile.data import Readings
from carto_like.iotile.devices import DeviceManager
from carto_like.iotile.utils.gid import IOTileStreamSlug

__all__ = ["READING_COLUMNS", "reading_rows"]

READING_COLUMNS = ("stream", "device", "recorded_at", "value", "the_geom")
"""Names of the columns that :func:`reading_rows` yields, in their order."""


def reading_rows(
    client: Client,
    streams: Iterable[Any],
    *,
    start: datetime | str | None = None,
    end: datetime | str | None = None,
    lastn: int | None = None,
) -> Iterator[tuple[str, str, datetime, float | None, str | None]]:
    """Yield a row per reading, page by page, so that a table of any length streams through.

    The value is the one in the stream's output unit; the geometry is the device's position as EWKT, None
    where it has none. Each device is asked for once.

    Args:
        client: an :class:`~carto_like.iotile.client.IOTileClient`.
        streams: slugs, or anything that has one as ``slug``.
        start: first moment, inclusive; as for :class:`~carto_like.iotile.data.Readings`.
        end: moment before which to stop.
        lastn: only that many of each stream, the latest.

    Example:
        >>> rows = reading_rows(client, slugs, start="2024-01-01")
        >>> CopySQLClient(auth_client).copyfrom_rows("readings", rows, READING_COLUMNS)
    """
    places: dict[str, str | None] = {}
    for stream in streams:
        slug = str(IOTileStreamSlug(getattr(stream, "slug", stream)))
        device = IOTileStreamSlug(slug).get_parts()["device"]
        if device not in places:
            places[device] = _place(client, device)
        for reading in Readings(client, slug, start=start, end=end, lastn=lastn):
            yield slug, device, reading.timestamp, reading.output_value, places[device]


def _place(client: Client, slug: str) -> str | None:
    found = DeviceManager(client).get_or_none(slug)
    position = None if found is None else found.position
    return None if position is None else f"SRID=4326;POINT({position[0]} {position[1]})"
