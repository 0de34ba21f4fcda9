"""Streams: what one device records of one variable."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from carto_like.core.fields import BooleanField, CharField, DateTimeField, Field, FloatField, IntegerField
from carto_like.core.manager import Absent
from carto_like.iotile.base import IOTileManager, IOTileResource
from carto_like.iotile.data import Readings

__all__ = ["Stream", "StreamManager"]


class Stream(IOTileResource):
    """A stream; ``project``, ``device`` and ``variable`` are slugs.

    Example:
        >>> stream = StreamManager(client).get("s--0000-0001--0000-0000-0000-0097--5002")
        >>> for reading in stream.readings(lastn=10):
        ...     print(reading.timestamp, reading.output_value)
    """

    id = CharField()
    slug = CharField()
    project_id = CharField()
    project = CharField()
    device = CharField()
    block = CharField()
    data_label = CharField()
    variable = CharField()
    var_type = CharField()
    var_name = CharField()
    var_lid = IntegerField()
    data_type = CharField()
    input_unit: Field[Any] = Field()
    output_unit: Field[Any] = Field()
    raw_value_format = CharField()
    mdo_type = CharField()
    mdo_label = CharField()
    multiplication_factor = IntegerField()
    division_factor = IntegerField()
    offset = FloatField()
    org = CharField()
    created_on = DateTimeField()
    enabled = BooleanField()

    class Meta:
        collection_endpoint = "stream/"
        read_only = ("id", "slug", "project_id", "project", "device", "variable", "org", "created_on")

    def readings(
        self,
        *,
        start: datetime | str | None = None,
        end: datetime | str | None = None,
        lastn: int | None = None,
        page_size: int | None = None,
    ) -> Readings:
        """The readings of a period, or the last ones; nothing is asked before they are used."""
        return Readings(self.client, str(self.slug), start=start, end=end, lastn=lastn, page_size=page_size)


class StreamManager(IOTileManager[Stream]):
    """Finds streams; filters are ``project``, ``device``, ``block``, ``variable``, ``org__slug``, ``all``."""

    resource_class = Stream
    create = Absent("a stream begins with its first reading")
