"""What a private cluster needs of the operating system: folders, and a user that may do little."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from .errors import StartError
from .programs import Programs

SUPERUSER = "postgres"
_OS_USER = "postgres"
_SOCKET_PREFIX = "carto-like-"


def shared_memory() -> dict[str, str]:
    """Containers often have 64 MB in /dev/shm, which a parallel query outgrows; System V has no such cap."""
    if sys.platform != "linux":
        return {}
    shm = os.statvfs("/dev/shm") if os.path.isdir("/dev/shm") else None
    small = shm is None or shm.f_frsize * shm.f_blocks < 2**30
    return {"dynamic_shared_memory_type": "sysv"} if small else {}


def make_data_dir(data_dir: Path) -> None:
    """Make a data directory that the database can be reached in."""
    # One that is there already keeps its rights: it may be somebody's home, or /tmp.
    if not data_dir.exists():
        data_dir.mkdir(parents=True)
        # What root makes, the database's OS user must be able to pass through.
        data_dir.chmod(0o711 if os.geteuid() == 0 else 0o700)


def unprivileged(data_dir: Path) -> dict[str, Any]:
    """Arguments for ``subprocess`` that run a PostgreSQL program as a user it accepts.

    PostgreSQL refuses to run as root, so root runs it as the OS user that its packages make.
    """
    environment = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    run_as: dict[str, Any] = {"cwd": "/", "env": {**environment, "LC_ALL": "C", "TZ": "UTC"}}
    if os.geteuid() != 0:
        return run_as
    try:
        user = pwd.getpwnam(_OS_USER)
    except KeyError:
        raise StartError(
            f"PostgreSQL does not run as root, and there is no OS user '{_OS_USER}' to run it as. "
            f"Make one ('useradd --system {_OS_USER}') or start the platform as an ordinary user."
        ) from None
    run_as |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    entered = subprocess.run(["test", "-x", data_dir], check=False, **run_as)
    if entered.returncode != 0:
        raise StartError(
            f"The OS user '{_OS_USER}', which runs the database, cannot enter {data_dir}. Choose a "
            "directory under /var/lib with --data-dir, or start the platform as an ordinary user."
        )
    return run_as


def _owner(run_as: dict[str, Any]) -> tuple[int, int]:
    return run_as.get("user", os.geteuid()), run_as.get("group", os.getegid())


def initialise(programs: Programs, cluster_dir: Path, run_as: dict[str, Any]) -> None:
    """Make a cluster; raises StartError with what initdb said."""
    # Made under another name: an interrupted start leaves no half cluster under the right one.
    partial = cluster_dir.with_name(cluster_dir.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    os.chown(partial, *_owner(run_as))
    command = [str(programs.initdb), "-D", str(partial), "-U", SUPERUSER, "--auth=trust"]
    command += ["--encoding=UTF8", f"--locale={_locale()}", "--lc-messages=C", "--no-instructions"]
    made = subprocess.run(command, capture_output=True, text=True, check=False, **run_as)
    if made.returncode != 0:
        raise StartError(f"initdb failed: {made.stderr.strip()[-800:]}")
    partial.rename(cluster_dir)


def _locale() -> str:
    """A locale that knows letters beyond ASCII, for upper() and lower(), but sorts fast where it can."""
    answer = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False)
    known = {name.lower().replace("-", ""): name for name in answer.stdout.split()}
    return next((known[name] for name in ("c.utf8", "en_us.utf8") if name in known), "C")


def make_socket_dir(run_as: dict[str, Any]) -> str:
    """Make a folder for the socket of one run."""
    # Not under TMPDIR, which can be long: the path of a socket may hold 107 bytes, on macOS 103.
    folder = tempfile.mkdtemp(prefix=_SOCKET_PREFIX, dir="/tmp")
    os.chown(folder, *_owner(run_as))
    return folder


def remove_socket_dir(folder: str | None) -> None:
    """Remove such a folder; nothing happens to any other."""
    if folder and Path(folder).name.startswith(_SOCKET_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)


def tail(path: Path) -> str:
    """The end of a log."""
    return path.read_text("utf-8", errors="replace")[-800:].strip()
