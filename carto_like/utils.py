"""Helpers that are part of the public surface."""

from __future__ import annotations

from carto_like.core.streaming import ResponseReader

__all__ = ["ResponseStream"]


class ResponseStream(ResponseReader):
    """A streamed answer as a binary file, for ``pandas.read_csv`` and everything else that reads.

    Memory stays small however long the answer is. Iterating yields lines; closing it, or leaving a ``with``
    block, lets the connection go.
    """
