from __future__ import annotations

import io
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carto_like.pure.chunks import coalesce, gzip_blocks, read_blocks, slices


@given(st.lists(st.one_of(st.binary(max_size=50), st.text(max_size=20))), st.integers(1, 100))
def test_coalescing_loses_nothing(pieces: list[bytes | str], size: int) -> None:
    whole = b"".join(piece.encode() if isinstance(piece, str) else piece for piece in pieces)
    blocks = list(coalesce(pieces, size))
    assert b"".join(blocks) == whole
    assert all(len(block) >= size for block in blocks[:-1])
    assert b"" not in blocks


def test_coalescing_keeps_little() -> None:
    taken = 0

    def pieces() -> Any:
        nonlocal taken
        for _ in range(1000):
            taken += 1000
            yield b"x" * 1000

    next(coalesce(pieces(), 10_000))
    assert taken <= 75_000


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_coalescing_takes_what_holds_bytes(kind: Any) -> None:
    assert b"".join(coalesce([kind(b"ab"), "ä", kind(b"c")])) == "abäc".encode()


def test_coalescing_refuses_other_things() -> None:
    with pytest.raises(TypeError, match="found tuple"):
        list(coalesce([b"a", ("b",)]))  # type: ignore[list-item]
    with pytest.raises(TypeError, match="found int"):
        list(coalesce([5]))  # type: ignore[list-item]


def test_slices_copy_nothing() -> None:
    data = bytearray(b"0123456789")
    views = list(slices(data, 4))
    assert [bytes(view) for view in views] == [b"0123", b"4567", b"89"]
    assert all(view.obj is data for view in views)


def test_reading_blocks_of_text_and_bytes() -> None:
    assert list(read_blocks(io.StringIO("aäb").read, 2)) == ["aä".encode(), b"b"]
    assert list(read_blocks(io.BytesIO(b"abc").read, 2)) == [b"ab", b"c"]


@given(st.lists(st.binary(max_size=300)))
def test_gzip_holds_all_blocks(blocks: list[bytes]) -> None:
    assert zlib.decompress(b"".join(gzip_blocks(blocks)), 31) == b"".join(blocks)
