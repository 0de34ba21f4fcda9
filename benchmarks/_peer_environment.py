"""Virtual environments with what is compared with, each made once and kept in the user's cache."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Sequence
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
    python = Path(given) if given else environment("peer", _PACKAGES)
    probe = "import importlib.metadata, carto.sql; print(importlib.metadata.version('carto'))"
    done = subprocess.run([str(python), "-c", probe], capture_output=True, text=True)
    if done.stdout.strip() != VERSION:
        raise RuntimeError(f"{python} has no carto {VERSION}: {done.stderr[-500:]}")
    return str(python)


def environment(name: str, packages: Sequence[str]) -> Path:
    """The interpreter of an environment that holds some packages.

    Raises:
        RuntimeError: they cannot be installed.
    """
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    folder = user_cache_path("carto-like") / f"benchmark-{name}-{version}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        say(f"Installing {packages[0]} into {folder}")
        venv.create(folder, with_pip=True, clear=True)
        done = subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", *packages], capture_output=True, text=True
        )
        if done.returncode != 0:
            raise RuntimeError(f"{packages[0]} cannot be installed: {done.stderr[-2000:]}")
        (folder / "complete").touch()
    return python
