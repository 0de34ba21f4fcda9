"""Moments of scripts as the text that the API takes for UTC."""

from __future__ import annotations

from datetime import datetime, timezone

from dateutil.parser import isoparse

__all__ = ["as_utc", "moment", "utc_text"]


def moment(value: datetime | str, name: str = "the timestamp") -> datetime:
    """A moment in UTC; without a zone it is taken for UTC already.

    Raises:
        ValueError: it is neither a datetime nor ISO 8601; the message names ``name``.
    """
    if isinstance(value, str):
        try:
            value = _parsed(value)
        except ValueError:
            raise ValueError(f"{name} is a moment such as 2024-05-01T10:00:00Z, not {value!r}") from None
    if not isinstance(value, datetime):
        raise ValueError(f"{name} is a datetime or ISO 8601 text, not {value!r}")
    return as_utc(value)


def as_utc(value: datetime) -> datetime:
    """The same moment on the clock of UTC."""
    if value.tzinfo is None:
        return value.replace(tzinfo=timezone.utc)
    return value.astimezone(timezone.utc)


def utc_text(value: datetime | str, name: str = "the timestamp") -> str:
    """The moment as ``YYYY-MM-DDTHH:MM:SSZ``, with microseconds where it has some."""
    return f"{moment(value, name).replace(tzinfo=None).isoformat()}Z"


def _parsed(text: str) -> datetime:
    # What servers write, at a tenth of the time that the parser for all of ISO 8601 takes.
    if text.endswith("Z") and len(text) == len("2024-05-01T10:00:00Z"):
        return datetime.fromisoformat(text[:-1])
    return isoparse(text)
