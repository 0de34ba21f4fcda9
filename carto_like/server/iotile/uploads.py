"""Files in multipart forms, read whole: the server's limit for bodies holds for them, packed and unpacked."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from .problems import Refusal, detail

_GZIP = 16 + zlib.MAX_WBITS
# Where bodies have no limit, what unpacks to more than this is an attack.
_LARGEST_UNPACKED = 1 << 30


@dataclass(frozen=True)
class Upload:
    """A form with a file.

    Attributes:
        name: of the file.
        content: of the file.
        fields: the other fields, by name.
    """

    name: str
    content: bytes
    fields: dict[str, str]


async def upload_of(request: Request, missing: Refusal) -> Upload:
    """The form that a request brings, with its field ``file``.

    Raises:
        Refusal: ``missing`` when there is no file; 400 for what is no multipart form.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise missing
    try:
        async with request.form() as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise missing
            fields = {name: value for name, value in form.items() if isinstance(value, str)}
            # The form names its encoding, and some decode to what is no text.
            for text in (file.filename or "", *fields.values()):
                text.encode()
            return Upload(file.filename or "", await file.read(), fields)
    except (MultiPartException, KeyError) as error:
        raise detail(400, f"Multipart form parse error - {error}") from None
    except UnicodeError:
        raise detail(400, "Multipart form parse error - its texts are not in the form's encoding") from None


def unpacked(content: bytes, limit: int) -> bytes:
    """The content of a gzip file; raises ``ValueError`` when it is none, or more than ``limit`` bytes."""
    most = limit or _LARGEST_UNPACKED
    found: list[bytes] = []
    size = 0
    try:
        while content:
            member = zlib.decompressobj(_GZIP)
            found.append(member.decompress(content, most - size + 1))
            size += len(found[-1])
            if size > most:
                raise ValueError(f"it unpacks to more than {most} bytes")
            if not member.eof:
                raise ValueError("the gzip file ends too early")
            content = member.unused_data
    except zlib.error:
        raise ValueError("it is no gzip file") from None
    return b"".join(found)
