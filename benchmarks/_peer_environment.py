"""A virtual environment with the original client, made once and kept in the user's cache."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from platformdirs import user_cache_path

from benchmarks._bench import say

VERSION = "1.11.3"
# setuptools for its pkg_resources, six because nothing declares it: without them it cannot be imported.
_PACKAGES = (f"carto=={VERSION}", "pyrestcli==0.6.11", "setuptools<81", "six")


def peer_python(given: str | None = None) -> str:
    """The interpreter that can import the original client: the one given, else one that is made now.

    Raises:
        RuntimeError: it cannot be installed, or the one given lacks it.
    """
    python = Path(given) if given else _cached()
    probe = "import importlib.metadata, carto.sql; print(importlib.metadata.version('carto'))"
    done = subprocess.run([str(python), "-c", probe], capture_output=True, text=True)
    if done.stdout.strip() != VERSION:
        raise RuntimeError(f"{python} has no carto {VERSION}: {done.stderr[-500:]}")
    return str(python)


def _cached() -> Path:
    folder = user_cache_path("carto-like") / f"benchmark-peer-{sys.version_info[0]}.{sys.version_info[1]}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        say(f"Installing carto {VERSION} into {folder}")
        venv.create(folder, with_pip=True, clear=True)
        done = subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", *_PACKAGES], capture_output=True, text=True
        )
        if done.returncode != 0:
            raise RuntimeError(f"carto {VERSION} cannot be installed: {done.stderr[-2000:]}")
        (folder / "complete").touch()
    return python
