"""A process that takes the rows of an export, and then never finishes."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from carto_like.server.formats.frames import read_frames

if __name__ == "__main__":
    for _ in read_frames(sys.stdin.buffer):
        pass
    Path("complete").touch()
    signal.pause()
