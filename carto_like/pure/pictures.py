"""The size of a picture, from the beginning of its file."""

from __future__ import annotations

__all__ = ["picture_size"]

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
# Frames of a JPEG; of the numbers from C0 to CF three are tables.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def picture_size(content: bytes) -> tuple[str, int, int]:
    """What a picture is, ``"png"`` or ``"jpg"``, its width and its height in pixels.

    Raises:
        ValueError: it is neither a PNG nor a JPEG.
    """
    size = _png_size(content) if content.startswith(_PNG) else _jpeg_size(content)
    if size is None or not all(size):
        raise ValueError("neither a PNG nor a JPEG")
    return ("png" if content.startswith(_PNG) else "jpg"), *size


def _png_size(content: bytes) -> tuple[int, int] | None:
    if content[12:16] != b"IHDR" or len(content) < 24:
        return None
    return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    if not content.startswith(_JPEG):
        return None
    place = len(_JPEG)
    # Each segment: FF, what it is, its length with these two bytes (ITU-T T.81, annex B).
    while place + 9 <= len(content) and content[place] == 0xFF:
        if content[place + 1] in _FRAMES:
            height = int.from_bytes(content[place + 5 : place + 7], "big")
            return int.from_bytes(content[place + 7 : place + 9], "big"), height
        place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    return None
