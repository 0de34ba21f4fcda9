"""What a JSON file describes, put into IOTile Cloud for tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from carto_like.server.errors import Problem
from carto_like.server.services.iotile import slugs
from carto_like.server.services.iotile.recording import NewReading

from .parameters import moment

if TYPE_CHECKING:
    from .bed import IOTileCloud

_KNOWN = (
    *("accounts", "orgs", "projects", "vartypes", "variables", "devices", "datablocks", "streamers"),
    *("streams", "data", "events", "fleets", "properties", "sgs", "dts"),
)


def add(cloud: IOTileCloud, description: Mapping[str, Any], folder: Path | None) -> None:
    """Add everything, in an order in which nothing refers to what is not there yet.

    Raises:
        ValueError: it has an unknown part, or something that cannot be made.
    """
    unknown = sorted(set(description) - set(_KNOWN))
    if unknown:
        raise ValueError(f"unknown: {', '.join(unknown)}; what can be added is {', '.join(_KNOWN)}")
    for kind in _KNOWN:
        for item in description.get(kind, ()):
            try:
                _ADDERS[kind](cloud, dict(item))
            except (KeyError, TypeError, psycopg.Error, Problem) as error:
                raise ValueError(f"one of {kind} does not say enough, or too much: {error}") from None
    if folder is not None:
        for file in sorted(folder.glob("s--*.json")):
            cloud.quick_add_points(file.stem, json.loads(file.read_text("utf-8")))


def reading(key: slugs.StreamKey, point: Mapping[str, Any]) -> NewReading:
    """A reading in the words of the API, as it is recorded."""
    return NewReading(
        key,
        moment(point["timestamp"], "timestamp"),
        int_value=point.get("int_value"),
        value=point.get("value"),
        type=point.get("type", "Num" if point.get("value") is None else "ITR"),
        device_timestamp=point.get("device_timestamp"),
        local_id=point.get("streamer_local_id", 0),
        status=point.get("status", "unk"),
        is_dirty=point.get("dirty_ts", False),
    )


def event(stream: str, raw: Any, facts: Mapping[str, Any]) -> tuple[dict[str, Any], bytes | None]:
    """The row of an event in the words of the API, and what came with it."""
    key = slugs.stream_key(stream)
    if key is None:
        raise ValueError(f"{stream!r} is no stream")
    values = {**facts, **key._asdict()}
    values["timestamp"] = moment(facts.get("timestamp", "2020-01-01T00:00:00Z"), "timestamp")
    if raw is None:
        return values, None
    return {**values, "has_raw_data": True, "ext": "json"}, json.dumps(raw).encode()


def _vartype(cloud: IOTileCloud, item: dict[str, Any]) -> None:
    units = [(kind, unit) for kind in ("input", "output") for unit in item.pop(f"{kind}_units", ())]
    cloud.insert("iotile_vartype", {"name": item["slug"], **item}, key="slug")
    for kind, unit in units:
        values = {"unit_full": unit["slug"], **unit, "vartype": item["slug"], "kind": kind}
        cloud.insert("iotile_vartype_unit", values, key="slug")


def _datablock(cloud: IOTileCloud, item: dict[str, Any]) -> None:
    key = slugs.block_key(item.pop("slug"))
    if key is None:
        raise ValueError("a data block has a slug such as b--0001-0000-0000-0001")
    org = cloud.org_id(item.pop("org"))
    cloud.insert("iotile_datablock", {**item, "id": key, "org": org})


def _project(cloud: IOTileCloud, item: dict[str, Any]) -> None:
    cloud.quick_add_project(
        item.pop("name", None), item.pop("org"), gid=item.pop("slug", None), id=item.pop("id", None), **item
    )


def _device(cloud: IOTileCloud, item: dict[str, Any]) -> None:
    cloud.quick_add_device(item.pop("project", None), item.pop("slug"), **item)


def _data(cloud: IOTileCloud, item: dict[str, Any]) -> None:
    cloud.quick_add_points(item["stream"], [item])


def _event(cloud: IOTileCloud, item: dict[str, Any]) -> None:
    cloud.quick_add_event(item.pop("stream"), item.pop("raw", None), **item)


def _fact(cloud: IOTileCloud, item: dict[str, Any]) -> None:
    value = item.pop("value")
    kind = {bool: "bool", int: "int"}.get(type(value), "str")
    text = str(value).lower() if kind == "bool" else str(value)
    cloud.insert("iotile_property", {**item, "type": kind, "value": text})


def _fleet(cloud: IOTileCloud, item: dict[str, Any]) -> None:
    members = [tuple(each) if isinstance(each, list) else each for each in item.pop("devices", ())]
    cloud.quick_add_fleet(
        members, item.pop("is_network", False), item.pop("slug", None), item.pop("org", None), **item
    )


_ADDERS: dict[str, Any] = {
    "accounts": lambda cloud, item: cloud.quick_add_user(**item),
    "orgs": lambda cloud, item: cloud.quick_add_org(**item),
    "projects": _project,
    "vartypes": _vartype,
    "variables": lambda cloud, item: cloud.quick_add_variable(item.pop("project"), **item),
    "devices": _device,
    "datablocks": _datablock,
    "streamers": lambda cloud, item: cloud.quick_add_streamer(
        item.pop("device"), item.pop("index"), item.pop("last_id", 0), **item
    ),
    "streams": lambda cloud, item: cloud.quick_add_stream(item.pop("device"), item.pop("variable"), **item),
    "data": _data,
    "events": _event,
    "fleets": _fleet,
    "properties": _fact,
    "sgs": lambda cloud, item: cloud.quick_add_sg(**item),
    "dts": lambda cloud, item: cloud.quick_add_dt(**item),
}
