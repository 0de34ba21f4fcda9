"""Devices, and where they stand."""

from __future__ import annotations

from carto_like.core.fields import BooleanField, CharField, DateTimeField, FloatField
from carto_like.core.manager import Absent
from carto_like.iotile.base import IOTileManager, IOTileResource

__all__ = ["Device", "DeviceManager"]


class Device(IOTileResource):
    """A device; ``lon`` and ``lat`` are degrees (WGS 84), None where nobody entered them."""

    id = CharField()
    slug = CharField()
    gid = CharField()
    label = CharField()
    active = BooleanField()
    external_id = CharField()
    sg = CharField()
    template = CharField()
    org = CharField()
    project = CharField()
    lat = FloatField()
    lon = FloatField()
    state = CharField()
    busy = BooleanField()
    created_on = DateTimeField()
    claimed_by = CharField()
    claimed_on = DateTimeField()

    class Meta:
        collection_endpoint = "device/"
        name_field = "label"
        read_only = ("id", "slug", "gid", "org", "busy", "created_on", "claimed_by", "claimed_on")

    @property
    def position(self) -> tuple[float, float] | None:
        """Longitude and latitude in degrees, or None when one of them is missing."""
        if self.lon is None or self.lat is None:
            return None
        return float(self.lon), float(self.lat)


class DeviceManager(IOTileManager[Device]):
    """Finds devices; filters are ``project``, ``org__slug``, ``external_id``, ``claimed``, ``dt``, ``sg``."""

    resource_class = Device
    create = Absent("devices are made and claimed, not posted")
