"""The parameters of a request, from its query string and its body, where the body's win."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from carto_like.server.errors import Problem

_MOST_FIELDS = 1000


class Parameters:
    """What a client asked for; a repeated parameter is a list."""

    def __init__(self, query: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        self.query = query
        self.body = body
        self._merged = {**query, **body}

    def get(self, name: str) -> Any:
        """The value as it came, None when absent."""
        return self._merged.get(name)

    def text(self, name: str) -> str | None:
        """The value if it is a lone text or number and not empty; else None."""
        value = self._merged.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return str(value)
        return value if isinstance(value, str) and value else None

    def integer(self, name: str) -> int | None:
        """The value if it is a whole number of a sensible length; else None."""
        text = (self.text(name) or "").strip()
        digits = text[1:] if text[:1] in ("-", "+") else text
        return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 19 else None

    def last_text(self, name: str) -> str | None:
        """The value, the last one of several; None when absent or empty."""
        value = self._merged.get(name)
        if isinstance(value, list):
            value = value[-1] if value else None
        return value if isinstance(value, str) and value else None

    def texts(self, name: str) -> list[str]:
        """All values; none when absent."""
        value = self._merged.get(name)
        values = value if isinstance(value, list) else [value]
        return [text for text in values if isinstance(text, str)]

    @property
    def body_keys(self) -> dict[str, str | list[Any]]:
        """The parameters of the body that are texts or were repeated, where an API key may be."""
        return {name: value for name, value in self.body.items() if isinstance(value, (str, list))}


def query_parameters(request: Request) -> dict[str, Any]:
    """The query string; raises Problem 400 for one that is not UTF-8."""
    raw: bytes = request.scope["query_string"]
    return _collect(_decode_form(raw))


async def read_parameters(request: Request) -> Parameters:
    """The parameters of a request, its body read if it may have one.

    Raises:
        Problem: 400 for a body that is not what its type says.
    """
    query = query_parameters(request)
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return Parameters(query, {})
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return Parameters(query, _json(await request.body()))
    if kind == "application/x-www-form-urlencoded":
        return Parameters(query, _collect(_decode_form(await request.body())))
    if kind == "multipart/form-data":
        return Parameters(query, await _multipart(request))
    return Parameters(query, {})


def _decode_form(raw: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            raw.decode("latin-1" if raw.isascii() else "utf-8"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except UnicodeDecodeError as error:
        raise Problem(400, "Parameters must be valid UTF-8") from error
    except ValueError as error:
        raise Problem(400, f"There are more than {_MOST_FIELDS} parameters") from error


def _collect(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    return found


def _json(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(400, str(error)) from error
    return value if isinstance(value, dict) else {}


async def _multipart(request: Request) -> dict[str, Any]:
    body = await request.body()

    async def replay() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    # A part may be as large as the body, whose size is limited already.
    copy = Request({**request.scope, "app": None}, replay)
    try:
        async with copy.form(max_fields=_MOST_FIELDS, max_part_size=len(body) + 1) as form:
            return _collect(
                (name, text) for name, text in form.multi_items() if not isinstance(text, UploadFile)
            )
    except HTTPException as error:
        raise Problem(400, error.detail) from error
    except UnicodeDecodeError as error:
        raise Problem(400, "Parameters must be valid UTF-8") from error
