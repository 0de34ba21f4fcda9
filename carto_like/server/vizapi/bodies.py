"""Request bodies of datasets and accounts: JSON objects or forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request

from carto_like.server.errors import Problem

FORM = "application/x-www-form-urlencoded"


async def read_body(request: Request) -> dict[str, Any]:
    """What the body says, by name; nothing when there is none.

    Raises:
        Problem: 400 for a body that cannot be read, 413 for one past the limit of all bodies.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return parameters(kind, await request.body())


def parameters(kind: str, content: bytes) -> dict[str, Any]:
    """What a body of a content type says, by name; nothing when it is empty.

    Raises:
        Problem: 400, it is no form and no JSON object.
    """
    if not content.strip():
        return {}
    if kind == FORM:
        try:
            return dict(parse_qsl(content.decode(), keep_blank_values=True, errors="strict"))
        except ValueError:
            raise Problem(400, "The body is not a form in UTF-8") from None
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"The body is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise Problem(400, "The body must be a JSON object")
    return value


def texts(body: Mapping[str, Any]) -> dict[str, str]:
    """Those of the values that are text, as credentials are."""
    return {name: value for name, value in body.items() if isinstance(value, str)}
