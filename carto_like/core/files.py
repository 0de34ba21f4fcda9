"""Writing downloads so that a failed one leaves the file system as it was."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

__all__ = ["appending", "replacing"]


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file that takes the path's place when all went well, and vanishes otherwise.

    What is not a regular file, such as a pipe or a terminal, is written to directly.
    """
    target = os.path.realpath(path)
    if os.path.exists(target) and not os.path.isfile(target):
        with open(target, "wb") as file:
            yield file
        return
    folder, name = os.path.split(target)
    # Beside the target, because renaming works within one file system only.
    temporary = os.path.join(folder, f".{name[:100]}.{secrets.token_hex(6)}.part")
    try:
        with _open_new(temporary, target) as file:
            yield file
        if os.path.exists(target):
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def _open_new(path: str, target: str) -> IO[bytes]:
    try:
        # Buffered: a file without a buffer may take part of a block, when the disk is full, and not say so.
        return open(path, "xb")
    except OSError as error:
        # The caller never heard of the other file.
        error.filename = target
        raise


@contextmanager
def appending(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file to append to, cut back to its old length, or removed when it is new, if something fails."""
    existed = os.path.exists(path)
    with open(path, "ab") as file:
        start = file.tell() if file.seekable() else None
        try:
            yield file
        except BaseException:
            if start is not None:
                file.flush()
                file.truncate(start)
            if not existed:
                os.unlink(path)
            raise
