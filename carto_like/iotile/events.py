"""Events of streams, and the data that comes with them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime
from typing import IO, Any

from carto_like.core.fields import BooleanField, CharField, DateTimeField, DictField, IntegerField
from carto_like.core.manager import Absent
from carto_like.iotile._times import utc_text
from carto_like.iotile.base import IOTileManager, IOTileResource

__all__ = ["Event", "EventManager"]


class Event(IOTileResource):
    """An event; ``stream``, ``project``, ``device`` and ``variable`` are slugs."""

    id = IntegerField()
    stream = CharField()
    project = CharField()
    device = CharField()
    variable = CharField()
    ext = CharField()
    has_raw_data = BooleanField()
    timestamp = DateTimeField()
    device_timestamp = IntegerField()
    streamer_local_id = IntegerField()
    status = CharField()
    extra_data = DictField()

    class Meta:
        collection_endpoint = "event/"
        id_field = "id"
        name_field = "id"
        read_only = ("id", "stream", "project", "device", "variable", "timestamp", "has_raw_data")

    def data(self) -> Any:
        """What was recorded, as parsed JSON; raises ``NotFoundError`` when nothing was."""
        return self.client.get_response_data(self.client.send(self.get_action_endpoint("data"), "get"))


class EventManager(IOTileManager[Event]):
    """Finds and uploads events; lists need ``filter``, the slug of a stream, device or variable."""

    resource_class = Event
    create = Absent("an event comes with its data: use upload()")

    def upload(
        self,
        file: str | os.PathLike[str] | IO[bytes],
        stream: str,
        timestamp: datetime | str,
        extra_data: Mapping[str, Any] | None = None,
    ) -> Event:
        """Record an event with the data of a file, which is sent while it is read.

        Args:
            file: path, or an open file, named ``*.json`` or ``*.json.gz``.
            stream: slug of the stream.
            timestamp: when it happened; UTC where it names no zone.
            extra_data: what to keep in the event itself.
        """
        if isinstance(file, (str, os.PathLike)):
            with open(file, "rb") as opened:
                return self.upload(opened, stream, timestamp, extra_data)
        form = {
            "stream": str(stream),
            "timestamp": utc_text(timestamp),
            "encoded_extra_data": json.dumps(dict(extra_data or {})),
        }
        response = self.send("event/upload/", "post", data=form, files={"file": file})
        return self.build(self.client.get_response_data(response))
