"""What the child process that opens files takes away from itself before it opens one."""

from __future__ import annotations

import ctypes
import os
import resource
import sys

_NEW_USER, _NEW_NET = 0x10000000, 0x40000000
_OPEN_FILES = 256


def confine(memory_bytes: int, cpu_seconds: int) -> None:
    """Give up the right to use more memory or time than this, to write files, and to reach the network.

    Args:
        memory_bytes: address space; 0 for no limit.
        cpu_seconds: after which the kernel ends the process; 0 for no limit.
    """
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    if cpu_seconds:
        _limit(resource.RLIMIT_CPU, cpu_seconds)
    # macOS accepts the limit of the address space and then breaks its own loader.
    if memory_bytes and sys.platform == "linux":
        _limit(resource.RLIMIT_AS, memory_bytes)
    _leave_network()


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (allowed, allowed))


def _leave_network() -> None:
    """Move to a network namespace in which there is nothing, where the kernel lets us.

    It is the second wall: what GDAL would ask for goes to a proxy that is not there.
    """
    if sys.platform != "linux":
        return
    unshare = ctypes.CDLL(None, use_errno=True).unshare
    if unshare(_NEW_NET) != 0:
        unshare(_NEW_USER | _NEW_NET)


def without_secrets(package_parent: str) -> dict[str, str]:
    """The environment of the child: nothing of ours but where the code is."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "SYSTEMROOT") if name in os.environ}
    return {
        **kept,
        "PYTHONPATH": package_parent,
        "PYTHONIOENCODING": "utf-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LC_ALL": "C.UTF-8",
        # Threads take address space, and one file needs no more than one.
        "GDAL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        # Where the kernel keeps us in its network, GDAL would ask any address for the projection of GeoJSON.
        "GDAL_HTTP_PROXY": "127.0.0.1:9",
    }
