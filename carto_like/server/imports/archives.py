"""Unpacking what others packed: so many files, so many bytes, and nothing outside of one folder.

Names inside an archive never become paths. Files get folders that are numbered, and their own names cleaned
of everything that could lead elsewhere; those that lay side by side still do.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from carto_like.server.imports import codes
from carto_like.server.imports.codes import ImportFailure
from carto_like.server.imports.filenames import extension_of
from carto_like.server.imports.formats import ARCHIVES, OF_EXTENSIONS, REFUSED

_BLOCK = 1 << 20
_MOST_MEMBERS = 10_000
# The list of so many files, with names as long as they come: Python reads a zip's list whole, at some 400
# bytes of memory for the 47 that an entry of it takes.
_LONGEST_LIST = 4 << 20
_REMOVED = re.compile(r"[()'\"&]")
# What belongs to a file of another extension, and lies beside it.
_COMPANIONS = frozenset(
    {".dbf", ".shx", ".prj", ".cpg", ".cst", ".dat", ".map", ".id", ".ind", ".sbn", ".sbx", ".qix"}
)
_IGNORED = re.compile(r"(\.|__).*|.*readme.*\.txt|.*\.version\.txt", re.IGNORECASE)
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, NotImplementedError)


@dataclass(frozen=True)
class Bounds:
    """What an archive may become.

    Attributes:
        size: bytes of all its files.
        ratio: how many times its own size that may be.
    """

    size: int
    ratio: int


_LONG_HEADERS = frozenset(
    {tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE}
    | {tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}
)


class _Info(tarfile.TarInfo):
    """A member of a tar; names and attributes of any length would be read into memory."""

    def _proc_member(self, file: tarfile.TarFile) -> Any:
        if self.type == tarfile.GNUTYPE_SPARSE or (self.type in _LONG_HEADERS and self.size > _BLOCK):
            raise tarfile.ReadError("a header of it is too long")
        return super()._proc_member(file)  # type: ignore[misc]


class _Zip(io.BufferedReader):
    """A zip file; nothing but its list is ever asked for in one long piece."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _LONGEST_LIST:
            raise zipfile.BadZipFile(f"It holds more than {_MOST_MEMBERS} files, or their names are too long")
        return super().read(size)


@dataclass(frozen=True)
class _Member:
    name: str
    content: IO[bytes]


def is_archive(name: str) -> bool:
    """Whether a file of this name is unpacked before it is read."""
    return name.lower().endswith(ARCHIVES)


def unpack(archive: Path, name: str, folder: Path, bounds: Bounds) -> list[Path]:
    """Unpack an archive; answers the files in it that can be imported, in their order.

    Args:
        archive: where it is.
        name: what its owner calls it, which decides its kind.
        folder: where its files go; made here.
        bounds: what it may become.

    Raises:
        ImportFailure: 1003, it is damaged or wants to leave its folder; 1018, it wants a password; 6666, it
            becomes too much; 1002, there is nothing in it that can be imported.
    """
    folder.mkdir(mode=0o700)
    room = min(bounds.size, max(_BLOCK, archive.stat().st_size * bounds.ratio))
    found: list[Path] = []
    folders: dict[str, Path] = {}
    try:
        for member in _members(archive, name, room):
            target = _target(member.name, folder, folders)
            if target is None:
                continue
            room -= _write(member.content, target, room)
            if extension_of(target.name) in OF_EXTENSIONS.keys() | REFUSED.keys():
                found.append(target)
    except UnicodeError:
        raise ImportFailure(codes.BAD_NAME, "A file's name in it is not UTF-8") from None
    except _DAMAGED as error:
        raise ImportFailure(codes.BAD_ARCHIVE, str(error)[:200]) from None
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile) or error.errno is None:
            raise ImportFailure(codes.BAD_ARCHIVE, str(error)[:200]) from None
        raise ImportFailure(codes.UPLOAD_FAILED, error.strerror or "") from error
    databases = {path for path in folder.rglob("*.gdb") if path.is_dir()}
    found = [path for path in found if not databases & set(path.parents)] + sorted(databases)
    if not found:
        raise ImportFailure(codes.UNKNOWN_TYPE, "There is no file in the archive that can be imported")
    return found


def _members(archive: Path, name: str, room: int) -> Iterator[_Member]:
    lowered = name.lower()
    if lowered.endswith((".zip", ".kmz")):
        return _zipped(archive)
    if lowered.endswith((".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tbz2")):
        return _tarred(archive, room)
    return _single(archive, name)


def _zipped(archive: Path) -> Iterator[_Member]:
    with _Zip(io.FileIO(archive)) as file, zipfile.ZipFile(file) as content:
        for number, info in enumerate(content.infolist()):
            _check_count(number)
            _check_name(info.filename)
            if stat.S_ISLNK(info.external_attr >> 16):
                raise ImportFailure(codes.BAD_ARCHIVE, f"It holds the link {_shown(info.filename)}")
            if info.is_dir():
                continue
            if info.flag_bits & 1:
                raise ImportFailure(codes.PASSWORD_NEEDED)
            with content.open(info) as member:
                yield _Member(info.filename, member)


def _tarred(archive: Path, room: int) -> Iterator[_Member]:
    # Read from beginning to end: nothing is looked for, and nothing of it kept.
    with tarfile.open(archive, "r|*", tarinfo=_Info) as content:
        for number, info in enumerate(content):
            content.members = []  # type: ignore[attr-defined]
            _check_count(number)
            # What is left out is unpacked, too, on the way to what follows it.
            room -= info.size
            if room < 0:
                raise ImportFailure(codes.FILE_TOO_LARGE, "Unpacked, it is larger than is allowed")
            _check_name(info.name)
            if info.isdir():
                continue
            member = content.extractfile(info) if info.isreg() else None
            if member is None:
                raise ImportFailure(codes.BAD_ARCHIVE, f"{_shown(info.name)} is a link or a device")
            yield _Member(info.name, member)


def _single(archive: Path, name: str) -> Iterator[_Member]:
    inner, extension = os.path.splitext(os.path.basename(name))
    kind: Any = gzip.GzipFile if extension.lower() == ".gz" else bz2.BZ2File
    with kind(archive) as content:
        yield _Member(inner, content)


def _check_count(number: int) -> None:
    if number >= _MOST_MEMBERS:
        raise ImportFailure(codes.BAD_ARCHIVE, f"It holds more than {_MOST_MEMBERS} files")


def _check_name(name: str) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name) or "\0" in name:
        raise ImportFailure(codes.BAD_ARCHIVE, f"It holds {_shown(name)}, which leaves its folder")


def _target(name: str, folder: Path, folders: dict[str, Path]) -> Path | None:
    """Where a member goes; None for one that is left out."""
    path = PurePosixPath(name.replace("\\", "/"))
    if any(_IGNORED.fullmatch(part) for part in path.parts):
        return None
    database = next((part for part in path.parts[:-1] if part.lower().endswith(".gdb")), None)
    cleaned = clean_name(path.name)
    if database is None and extension_of(cleaned) not in OF_EXTENSIONS.keys() | REFUSED.keys() | _COMPANIONS:
        return None
    parent = str(path.parent)
    if parent not in folders:
        made = folder / str(len(folders))
        folders[parent] = made / clean_name(database) if database else made
        folders[parent].mkdir(mode=0o700, parents=True)
    target = folders[parent] / cleaned
    if target.exists():
        raise ImportFailure(codes.BAD_ARCHIVE, f"It holds {_shown(name)} twice")
    return target


def clean_name(name: str) -> str:
    """The name of a file as it is used here: in lower case, without what makes names of tables difficult."""
    lowered = _REMOVED.sub("", name.lower().replace(" ", "_"))
    stem, extension = os.path.splitext(re.sub(r"[/\\\0-\x1f]", "", lowered))
    return stem[:100].lstrip(".") + extension or "file"


def _write(content: IO[bytes], target: Path, room: int) -> int:
    size = 0
    with target.open("xb") as file:
        while block := content.read(_BLOCK):
            size += len(block)
            if size > room:
                raise ImportFailure(codes.FILE_TOO_LARGE, "Unpacked, it is larger than is allowed")
            file.write(block)
    return size


def _shown(name: str) -> str:
    return repr(name[:80])
