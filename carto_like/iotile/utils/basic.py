"""Moments as the API writes them."""

from __future__ import annotations

from datetime import datetime

__all__ = ["datetime_to_str"]


def datetime_to_str(dt: datetime) -> str:
    """The moment as ``YYYY-MM-DDTHH:MM:SSZ``: its own clock, whatever its zone, microseconds cut.

    The rest of this package converts to UTC before it asks for this.
    """
    return f"{dt.replace(tzinfo=None, microsecond=0).isoformat()}Z"
