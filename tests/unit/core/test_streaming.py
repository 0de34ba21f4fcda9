from __future__ import annotations

import builtins
import io
import os
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from carto_like.core.streaming import Body, ResponseReader, SourceFailed, as_request_body, fast_compressor

CONTENT = "größer\n".encode() * 1000


class FakeResponse:
    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self.closed = 0

    def iter_content(self, size: int) -> Iterator[bytes]:
        yield from self.pieces

    def close(self) -> None:
        self.closed += 1


class Pipe(io.RawIOBase):
    """A file that cannot go back."""

    def __init__(self, content: bytes) -> None:
        self._inner = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._inner.readinto(buffer)


def joined(body: Body) -> bytes:
    return b"".join(body)


def sources(path: Path) -> list[tuple[Any, int | None, bool]]:
    path.write_bytes(CONTENT)
    text = CONTENT.decode()
    size = len(CONTENT)
    return [
        (CONTENT, size, True),
        (bytearray(CONTENT), size, True),
        (memoryview(CONTENT), size, True),
        (text, size, True),
        (path, size, True),
        (io.BytesIO(CONTENT), size, True),
        (io.StringIO(text), None, True),
        (Pipe(CONTENT), None, False),
        ([text[:10], text[10:].encode()], None, True),
        ((CONTENT[:9], CONTENT[9:]), None, True),
        (iter([CONTENT]), None, False),
        ((bytes([byte]) for byte in CONTENT), None, False),
        (FakeResponse([CONTENT[:5], b"", CONTENT[5:]]), None, False),
    ]


@pytest.mark.parametrize("number", range(13))
def test_everything_that_can_be_sent(number: int, tmp_path: Path) -> None:
    data, size, replayable = sources(tmp_path / "file")[number]
    body = Body.of(data)
    assert (body.size, body.replayable, body.started) == (size, replayable, False)
    assert joined(body) == CONTENT
    assert body.started
    if replayable:
        assert joined(body) == CONTENT


@pytest.mark.parametrize("nonsense", [5, None, object(), {"a": 1}])
def test_what_cannot_be_sent(nonsense: Any) -> None:
    with pytest.raises(TypeError, match=type(nonsense).__name__):
        Body.of(nonsense)


def test_a_named_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(CONTENT))
    writer.start()
    body = as_request_body({"data": pipe})["data"]
    assert isinstance(body, Body)
    assert (body.size, body.replayable) == (None, False)
    assert joined(body) == CONTENT
    writer.join(10)


def test_a_piece_that_cannot_be_sent() -> None:
    with pytest.raises(SourceFailed) as caught:
        joined(Body.of([b"a", 5]))  # type: ignore[list-item]
    assert isinstance(caught.value.original, TypeError)


def test_a_file_is_sent_from_where_it_stands() -> None:
    file = io.BytesIO(b"0123456789")
    file.seek(4)
    body = Body.of(file)
    assert (body.size, joined(body), joined(body)) == (6, b"456789", b"456789")


def test_a_missing_file_is_reported_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Body.of(tmp_path / "missing")


@pytest.mark.parametrize("level", [0, 1, 3, 6, 9])
def test_compression(level: int) -> None:
    body = Body.of([CONTENT] * 50).compressed(level)
    for _ in range(2):
        assert zlib.decompress(joined(body), 31) == CONTENT * 50


def test_compression_without_the_fast_library(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_isal(name: str, *args: Any, **options: Any) -> Any:
        if name.startswith("isal"):
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without_isal)
    compressor = fast_compressor(1)
    assert "isal" not in type(compressor).__module__
    assert zlib.decompress(compressor.compress(CONTENT) + compressor.flush(), 31) == CONTENT


def test_progress_counts_the_source_not_what_is_sent() -> None:
    seen: list[tuple[int, int | None]] = []
    body = Body.of(CONTENT * 100, block=100_000).watched(lambda *now: seen.append(now), "x").compressed(1)
    joined(body)
    assert seen[0] == (100_000, 900_000)
    assert seen[-1] == (900_000, 900_000)
    joined(body)
    assert seen[-1] == (900_000, 900_000)


def test_what_requests_gets() -> None:
    assert as_request_body({"data": {"a": 1}}) == {}
    assert as_request_body({"data": b"abc"}) == {}
    assert as_request_body({"data": io.BytesIO()}) == {"data": b""}
    body = as_request_body({"data": io.BytesIO(b"abc")})["data"]
    assert body.len == 3
    assert not hasattr(as_request_body({"data": iter([b"abc"])})["data"], "len")


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_reader_skips_empty_pieces(size: int) -> None:
    response = FakeResponse([b"", b"ab", b"", b"", b"cdefg", b""])
    reader = ResponseReader(response)  # type: ignore[arg-type]
    pieces = []
    while piece := reader.read(size):
        pieces.append(piece)
    assert b"".join(pieces) == b"abcdefg"
    assert response.closed


def test_reader_reads_lines_and_all() -> None:
    reader = ResponseReader(FakeResponse([b"a\nb", b"c\nd"]))  # type: ignore[arg-type]
    assert reader.readable()
    assert not reader.seekable()
    assert reader.readline() == b"a\n"
    assert reader.read() == b"bc\nd"
    assert reader.read() == b""
    lines = io.TextIOWrapper(io.BufferedReader(ResponseReader(FakeResponse([b"a\xc3", b"\xa4\nb"]))))  # type: ignore[arg-type]
    assert list(lines) == ["aä\n", "b"]


def test_reader_lets_an_unread_answer_go() -> None:
    response = FakeResponse([b"abc"])
    counts = []
    with ResponseReader(response) as reader:  # type: ignore[arg-type]
        counts.append(response.closed)
    counts.append(response.closed)
    assert counts == [0, 1]
    with pytest.raises(ValueError, match="closed"):
        reader.read(1)


def test_reader_takes_answers_without_close() -> None:
    class Bare:
        def iter_content(self, size: int) -> Iterator[bytes]:
            yield b"abc"

    with ResponseReader(Bare()) as reader:  # type: ignore[arg-type]
        assert reader.read() == b"abc"
