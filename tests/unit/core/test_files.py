from __future__ import annotations

import os
import resource
import signal
import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

import pytest

from carto_like.core.files import appending, replacing


def write_and_fail(opened: AbstractContextManager[IO[bytes]]) -> None:
    with opened as file:
        file.write(b"abc")
        raise KeyError


def test_a_new_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    with replacing(path) as file:
        file.write(b"abc")
        assert not path.exists()
    assert path.read_bytes() == b"abc"
    assert os.listdir(tmp_path) == ["out.csv"]


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_bytes(b"old")
    with pytest.raises(KeyError):
        write_and_fail(replacing(path))
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.csv"]


def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "out.csv"
    with pytest.raises(FileNotFoundError) as caught, replacing(path):
        raise AssertionError("nothing to write to")
    assert caught.value.filename == str(path)


def test_a_disk_that_is_full_is_noticed(tmp_path: Path) -> None:
    """Also by the last block, of which a part was still taken."""
    path = tmp_path / "out.csv"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match="large"), replacing(path) as file:
            file.write(b"x" * 150_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert os.listdir(tmp_path) == []


def test_permissions_and_links_stay(tmp_path: Path) -> None:
    path, link = tmp_path / "out.csv", tmp_path / "link"
    path.write_bytes(b"old")
    path.chmod(0o640)
    link.symlink_to(path)
    with replacing(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    with replacing(pipe) as file:
        file.write(b"abc")
    reader.join(10)
    assert read == [b"abc"]


def test_appending(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    for content in (b"one", b"two"):
        with appending(path) as file:
            file.write(content)
    assert path.read_bytes() == b"onetwo"


@pytest.mark.parametrize("before", [b"old", None])
def test_a_failed_append_adds_nothing(before: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    if before is not None:
        path.write_bytes(before)
    with pytest.raises(KeyError):
        write_and_fail(appending(path))
    assert (path.read_bytes() if path.exists() else None) == before
