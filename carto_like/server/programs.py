"""Finding the PostgreSQL programs of this machine, and a PostGIS that goes with them."""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import StartError

OLDEST = 15

INSTALL_HELP = (
    "Install PostgreSQL 15 or newer with PostGIS: 'apt install postgresql postgis postgresql-postgis' on "
    "Debian and Ubuntu, 'brew install postgresql@17 postgis' on macOS, 'conda install -c conda-forge "
    "postgresql postgis' elsewhere; or name an existing database with --dsn."
)

_PLACES = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # Fedora, Red Hat
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/usr/local/pgsql/bin",
)


@dataclass(frozen=True)
class Programs:
    """One installation of PostgreSQL: where its programs are, and its major version."""

    folder: Path
    version: int

    @property
    def initdb(self) -> Path:
        """The program that makes a cluster."""
        return self.folder / "initdb"

    @property
    def postgres(self) -> Path:
        """The server program."""
        return self.folder / "postgres"

    @property
    def has_postgis(self) -> bool:
        """Whether PostGIS lies where this installation keeps its extensions, as far as we can tell."""
        shares = (
            self.folder.parent / "share/extension",
            self.folder.parent / "share/postgresql/extension",
            Path(f"/usr/share/postgresql/{self.version}/extension"),
            Path(f"/opt/homebrew/share/postgresql@{self.version}/extension"),
            Path(f"/usr/local/share/postgresql@{self.version}/extension"),
        )
        return any((share / "postgis.control").is_file() for share in shares)


def _folders() -> Iterator[str]:
    found = shutil.which("initdb")
    if found:
        yield str(Path(found).resolve().parent)
    config = shutil.which("pg_config")
    if config:
        answer = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        yield answer.stdout.strip()
    for prefix in (sys.prefix, os.environ.get("CONDA_PREFIX", "")):
        if prefix:
            yield f"{prefix}/bin"
    for place in _PLACES:
        yield from glob.glob(place)


def _version(folder: Path) -> int | None:
    if not all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres")):
        return None
    answer = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=False)
    number = re.search(r"(\d+)", answer.stdout)
    return int(number.group(1)) if number else None


def find_programs() -> Programs:
    """The best PostgreSQL of this machine: one with PostGIS before one without, then the newest.

    Raises:
        StartError: there is none that is new enough; the message says how to install one.
    """
    found = {Programs(Path(folder), version) for folder in _folders() if (version := _version(Path(folder)))}
    usable = [programs for programs in found if programs.version >= OLDEST]
    if not usable:
        old = ", ".join(f"{programs.version} in {programs.folder}" for programs in found)
        seen = f"only PostgreSQL {old} was found" if old else "no PostgreSQL was found"
        raise StartError(f"The platform needs a database, and {seen}. {INSTALL_HELP}")
    return max(usable, key=lambda programs: (programs.has_postgis, programs.version))
