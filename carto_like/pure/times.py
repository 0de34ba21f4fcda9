"""Dates and intervals as PostgreSQL prints them (ISO style), read and written anew."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo

__all__ = ["Zone", "interval_parts", "iso_date"]

_DATE = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"
    r"(?: (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:\.\d+)?(?P<offset>[+-][\d:]+)?)?"
)
_PARTS = ("year", "month", "day", "hour", "minute", "second")
_UNITS = re.compile(r"(-?\d+) (year|mon|day)s?")
_CLOCK = re.compile(r"([+-]?)(\d+):(\d\d):(\d\d(?:\.\d+)?)")
_INTERVAL = re.compile(r"(?:[+-]?\d+ (?:year|mon|day)s? ?)*(?:[+-]?\d+:\d\d:\d\d(?:\.\d+)?)?")
_UNIT_NAMES = {"year": "years", "mon": "months", "day": "days"}


class Zone:
    """A time zone by what dates need of it.

    Attributes:
        is_utc: whether it is UTC, where no conversion is due.
        tzinfo: the zone as the standard library knows it.
    """

    def __init__(self, name: str, tzinfo: tzinfo) -> None:
        self.tzinfo = tzinfo
        self.is_utc = name in ("UTC", "Etc/UTC", "GMT", "Z")


def iso_date(text: str, zone: Zone) -> str:
    """A date or timestamp as ``2020-01-02T03:04:05Z``, or with ``+0100`` outside UTC.

    Fractions are cut. A text without an offset is taken to be local to ``zone``. What the calendar of
    Python cannot hold (years BC, beyond 9999) is given back as it is.
    """
    if text in ("infinity", "-infinity"):
        return text.replace("i", "I", 1)
    match = _DATE.fullmatch(text)
    if match is None:
        return text
    year, month, day, hour, minute, second = (int(match[part] or 0) for part in _PARTS)
    try:
        moment = datetime(year, month, day, hour, minute, second)
        offset = match["offset"]
        if offset:
            moment = moment.replace(tzinfo=_offset(offset)).astimezone(zone.tzinfo)
        else:
            moment = moment.replace(tzinfo=zone.tzinfo)
        shift = moment.utcoffset() or timedelta()
    except (ValueError, OverflowError):
        return text
    return moment.isoformat(timespec="seconds")[:19] + _offset_text(shift)


def _offset(text: str) -> timezone:
    sign = -1 if text[0] == "-" else 1
    hours, minutes, seconds, *_ = [*map(int, text[1:].split(":")), 0, 0]
    return timezone(sign * timedelta(hours=hours, minutes=minutes, seconds=seconds))


def _offset_text(shift: timedelta) -> str:
    if not shift:
        return "Z"
    minutes = int(abs(shift).total_seconds()) // 60
    return f"{'-' if shift < timedelta() else '+'}{minutes // 60:02d}{minutes % 60:02d}"


def interval_parts(text: str) -> dict[str, float] | None:
    """The parts of an interval that are not zero, from years to milliseconds; None for another style."""
    if not _INTERVAL.fullmatch(text) or not text:
        return None
    parts: dict[str, float] = {_UNIT_NAMES[unit]: int(count) for count, unit in _UNITS.findall(text)}
    clock = _CLOCK.search(text)
    if clock:
        sign = -1 if clock[1] == "-" else 1
        whole, _, fraction = clock[4].partition(".")
        parts["hours"] = sign * int(clock[2])
        parts["minutes"] = sign * int(clock[3])
        parts["seconds"] = sign * int(whole)
        parts["milliseconds"] = sign * int((fraction + "000000")[:6]) / 1000
    return {name: value for name, value in parts.items() if value}
