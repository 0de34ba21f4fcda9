"""Binary reports, as a streamer sends them."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence


def binary_report(
    device: int,
    readings: Sequence[tuple[int, int, int, int]],
    *,
    sent: int = 1000,
    index: int = 1,
    selector: int = 0xABCD,
    report_id: int = 7,
) -> bytes:
    """A report of readings ``(variable, id, seconds on the device's clock, value)``."""
    length = 20 + 16 * len(readings) + 24
    head = struct.pack(
        "<BBHLLLBBH", 1, length & 0xFF, length >> 8, device, report_id, sent, 0, index, selector
    )
    body = b"".join(
        struct.pack("<HHLLL", variable, 0, number, seconds, value)
        for variable, number, seconds, value in readings
    )
    numbers = [number for _, number, _, _ in readings] or [0]
    foot = struct.pack("<LL", min(numbers), max(numbers))
    return head + body + foot + hashlib.sha256(head + body + foot).digest()[:16]
