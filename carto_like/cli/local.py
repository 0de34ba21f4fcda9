"""Finding the platform that runs on this machine, from what it wrote into its data directory."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs

__all__ = ["RunningPlatform", "default_data_dir", "running_platform"]

STATE_FILE = "server.json"


@dataclass(frozen=True)
class RunningPlatform:
    """Where a platform listens, and the key of its default user."""

    base_url: str
    api_key: str = field(repr=False)


def default_data_dir() -> Path:
    """Where ``serve`` keeps its data when nothing else is said."""
    # Run by root, the database belongs to another user of the system, who cannot enter root's home.
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/lib/carto-like")
    return platformdirs.user_data_path("carto-like", appauthor=False)


def running_platform(data_dir: Path | None = None) -> RunningPlatform | None:
    """The platform that a process on this machine runs on a data directory; None when there is none."""
    try:
        text = ((data_dir or default_data_dir()) / STATE_FILE).read_text("utf-8")
        state = json.loads(text)
        found = RunningPlatform(state["base_url"], state["api_key"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if _is_alive(state.get("pid")) else None


def _is_alive(pid: Any) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        # It is there, and somebody else's.
        return True
    except (OSError, TypeError, OverflowError):
        return False
    return True
