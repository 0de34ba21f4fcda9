"""Sizes of pictures, from the beginning of their files."""

from __future__ import annotations

import io
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from carto_like.pure.pictures import picture_size


@pytest.mark.parametrize("progressive", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (300, 2), (257, 513)])
def test_the_size_of_a_jpeg(size: tuple[int, int], progressive: bool) -> None:
    file = io.BytesIO()
    # Longer than the parts before it: the size is not where a hasty look would find it.
    Image.new("RGB", size).save(file, "JPEG", progressive=progressive, exif=b"Exif\0\0" + b"\xff\xc0" * 2000)
    assert picture_size(file.getvalue()) == ("jpg", *size)


@pytest.mark.parametrize("size", [(1, 1), (300, 2), (257, 513)])
def test_the_size_of_a_png(size: tuple[int, int]) -> None:
    file = io.BytesIO()
    Image.new("RGBA", size).save(file, "PNG")
    assert picture_size(file.getvalue()) == ("png", *size)


@given(st.sampled_from([b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n"]), st.binary(max_size=60))
def test_anything_else_is_an_error_and_nothing_worse(beginning: bytes, rest: bytes) -> None:
    with suppress(ValueError):
        kind, width, height = picture_size(beginning + rest)
        assert kind in ("png", "jpg")
        assert width > 0
        assert height > 0
