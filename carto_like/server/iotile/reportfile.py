"""Reports that a device's streamer sends: binary ones, and JSON or MessagePack of the same content."""

from __future__ import annotations

import hashlib
import hmac
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgpack
import orjson

from carto_like.server.services.iotile.slugs import (
    device_number,
    device_slug,
    local_of,
    project_of,
    stream_key,
)

from .parameters import moment
from .problems import Refusal

_HEADER = struct.Struct("<BBHLLLBBH")
_READING = struct.Struct("<HHLLL")
_FOOTER = struct.Struct("<LL16s")
_HEX = re.compile("(0x)?[0-9a-fA-F]{1,4}")
_BINARY_FORMAT = 1
_JSON_FORMAT = "v100"
# A reading takes sixty or more.
_BYTES_OF_ONE, _FEW = 10, 10_000
_MOST = {16: 0xFFFF, 32: 0xFFFFFFFF, 48: (1 << 48) - 1, 63: (1 << 63) - 1}

EXTENSIONS = ("", ".bin", ".json", ".mp")
"""Of files that can be read."""


@dataclass(frozen=True)
class ReportReading:
    """One reading.

    Attributes:
        lid: number of the variable in its project.
        local_id: number that the device gave it.
        device_timestamp: seconds on the device's clock.
        moment: when it was taken, where the report says so itself.
        value: as the device sent it.
        project: number of the project, where the report names one.
    """

    lid: int
    local_id: int
    device_timestamp: int | None
    value: int
    moment: datetime | None = None
    project: int | None = None


@dataclass(frozen=True)
class ReportEvent:
    """One event, with what came along; see :class:`ReportReading`."""

    lid: int
    local_id: int
    device_timestamp: int | None
    extra_data: Mapping[str, Any]
    moment: datetime | None = None
    project: int | None = None


@dataclass(frozen=True)
class Report:
    """What a streamer sent.

    Attributes:
        device: number of the device.
        index: which of the device's streamers sent it.
        selector: which readings that streamer sends.
        report_id: number of the report.
        sent: seconds on the device's clock when it was sent.
        lowest_id: lowest number of a reading in it.
        highest_id: highest number of a reading in it.
    """

    device: int
    index: int
    selector: int
    report_id: int
    sent: int
    lowest_id: int
    highest_id: int
    readings: list[ReportReading]
    events: list[ReportEvent] = field(default_factory=list)


def read_report(name: str, content: bytes) -> Report:
    """The report in a file, whose name's extension is one of :data:`EXTENSIONS`.

    Raises:
        Refusal: 400, it is no such report, or not all of one.
    """
    stem, dot, extension = name.rpartition(".")
    kind = f".{extension.lower()}" if dot and stem else ""
    readers: dict[str, Callable[[bytes], Report]] = {
        "": _binary,
        ".bin": _binary,
        ".json": lambda data: _document(orjson.loads(data)),
        ".mp": lambda data: _document(_unpacked(data)),
    }
    if kind not in readers:
        raise bad_report(f"A report is a file without extension or with .bin, .json or .mp, not '{kind}'")
    try:
        return readers[kind](content)
    except (orjson.JSONDecodeError, msgpack.UnpackException, msgpack.ExtraData) as error:
        # Some errors of MessagePack have no text.
        reason = str(error) or f"it is not what its extension '{kind}' says"
        raise bad_report(f"The report cannot be read: {reason}") from None
    except (ValueError, UnicodeDecodeError, RecursionError) as error:
        raise bad_report(f"The report is malformed: {error}") from None


def bad_report(text: str) -> Refusal:
    """400: why a report is not taken."""
    return Refusal(400, {"error": text})


def _binary(data: bytes) -> Report:
    around = _HEADER.size + _FOOTER.size
    if len(data) < around:
        raise ValueError(f"it has {len(data)} bytes, and header and footer need {around}")
    version, low, high, device, report_id, sent, flags, index, selector = _HEADER.unpack_from(data)
    if version != _BINARY_FORMAT:
        raise ValueError(f"its format is {version}, not {_BINARY_FORMAT}")
    if low | high << 8 != len(data):
        raise ValueError(f"it has {len(data)} bytes, and its header says {low | high << 8}")
    if (len(data) - around) % _READING.size:
        raise ValueError("it ends within a reading")
    if flags:
        raise ValueError("it is signed with a key, of which this server has none")
    lowest, highest, digest = _FOOTER.unpack_from(data, len(data) - _FOOTER.size)
    # The digest covers all before itself, the footer's ids too.
    signed = data[: -len(digest)]
    if not hmac.compare_digest(hashlib.sha256(signed).digest()[: len(digest)], digest):
        raise ValueError("its hash does not fit its content; it was damaged on its way")
    readings = [
        ReportReading(lid, local_id, taken, value)
        for lid, _, local_id, taken, value in _READING.iter_unpack(data[_HEADER.size : -_FOOTER.size])
    ]
    return Report(device, index, selector, report_id, sent, lowest, highest, readings)


def _unpacked(data: bytes) -> Any:
    """What MessagePack holds; raises ``ValueError`` for more maps and lists than a report has.

    Each may be one byte there, and takes seventy here.
    """
    left = _FEW + len(data) // _BYTES_OF_ONE

    def counted(found: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise ValueError("it holds more maps and lists than a report of its size")
        return found

    return msgpack.unpackb(data, object_hook=counted, list_hook=counted)


def _document(document: Any) -> Report:
    if not isinstance(document, dict) or document.get("format") != _JSON_FORMAT:
        raise ValueError(f"it must be an object with 'format' '{_JSON_FORMAT}'")
    device = _device(document.get("device"))
    readings = [_reading(item, device) for item in _list(document, "data")]
    ids = [reading.local_id for reading in readings]
    return Report(
        device=device,
        index=_number(document, "streamer_index", 16),
        selector=_number(document, "streamer_selector", 16, 0xFFFF),
        report_id=_number(document, "incremental_id", 63, 0),
        sent=_number(document, "device_sent_timestamp", 63, 0),
        lowest_id=_number(document, "lowest_id", 63, min(ids, default=0)),
        highest_id=_number(document, "highest_id", 63, max(ids, default=0)),
        readings=readings,
        events=[_event(item, device) for item in _list(document, "events")],
    )


def _reading(item: Mapping[str, Any], device: int) -> ReportReading:
    value = item.get("value")
    if isinstance(value, bool) or not isinstance(value, int) or not -_MOST[63] <= value <= _MOST[63]:
        raise ValueError(f"'value' of a reading is a whole number, not {value!r}")
    project, lid = _stream(item.get("stream"), device)
    local_id, taken, when = _place(item)
    return ReportReading(lid, local_id, taken, value, when, project)


def _event(item: Mapping[str, Any], device: int) -> ReportEvent:
    extra = item.get("extra_data", {})
    if not isinstance(extra, dict):
        raise ValueError("'extra_data' of an event is an object")
    project, lid = _stream(item.get("stream"), device)
    local_id, taken, when = _place(item)
    return ReportEvent(lid, local_id, taken, extra, when, project)


def _place(item: Mapping[str, Any]) -> tuple[int, int | None, datetime | None]:
    taken = None if item.get("device_timestamp") is None else _number(item, "device_timestamp", 63)
    text = item.get("timestamp")
    try:
        when = None if text is None else moment(text, "timestamp")
    except Refusal:
        raise ValueError(f"'timestamp' is a moment such as 2024-05-01T10:00:00Z, not {text!r}") from None
    if taken is None and when is None:
        raise ValueError("each of 'data' and 'events' needs a 'timestamp' or a 'device_timestamp'")
    return _number(item, "streamer_local_id", 63, 0), taken, when


def _stream(value: Any, device: int) -> tuple[int | None, int]:
    """Project, where a slug names one, and variable: a number, its hex digits, or a stream's slug."""
    project, lid = None, value
    key = stream_key(value) if isinstance(value, str) else None
    if key is not None:
        # In a slug, zero stands for any.
        project, lid = project_of(key.variable) or None, local_of(key.variable)
        if key.device not in (0, device):
            raise ValueError(f"'stream' {value!r} is not of the report's device, {device_slug(device)}")
    elif isinstance(value, str) and _HEX.fullmatch(value):
        lid = int(value, 16)
    if isinstance(lid, bool) or not isinstance(lid, int) or not 0 <= lid <= _MOST[16]:
        raise ValueError(f"'stream' is a number of 16 bits, its hex digits or a slug, not {value!r}")
    return project, lid


def _device(value: Any) -> int:
    number = device_number(value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number <= _MOST[48]:
        raise ValueError(f"'device' is a number or a slug, not {value!r}")
    return number


def _number(document: Mapping[str, Any], name: str, bits: int, default: int | None = None) -> int:
    value = document.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST[bits]:
        raise ValueError(f"'{name}' is a whole number of up to {bits} bits, not {value!r}")
    return value


def _list(document: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    items = document.get(name, [])
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError(f"'{name}' is a list of objects")
    return items
