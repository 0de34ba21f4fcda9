"""What a call may set for itself, beside what its client was made with."""

from __future__ import annotations

__all__ = ["DEFAULT_TIMEOUT", "UNSET", "Timeout", "Unset"]

Timeout = float | tuple[float | None, float | None] | None
DEFAULT_TIMEOUT: Timeout = (10.0, 330.0)
"""Seconds to connect, and seconds of silence: just over the five minutes many servers grant a query."""


class Unset:
    """The type of ``UNSET``."""

    def __repr__(self) -> str:
        return "<the client's default>"


UNSET = Unset()
"""An argument that was not given, where None means something."""
