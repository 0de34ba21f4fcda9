"""What an answer of 400 or more says about itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import requests

from carto_like.core.errors import ErrorDetail

__all__ = ["excerpt", "json_or_none", "read_detail"]

_EXCERPT = 2000
_MESSAGE_NAMES = ("error", "errors", "message", "detail")
_REQUEST_ID_HEADERS = ("X-Request-Id", "Request-Id", "X-Correlation-Id")


def json_or_none(response: requests.Response) -> Any:
    """The parsed content, or None when it is not JSON."""
    try:
        return json.loads(response.content)
    except ValueError:
        return None


def excerpt(response: requests.Response) -> str:
    """The content as text, shortened; the reason phrase when there is none."""
    text = response.text.strip() or response.reason or f"HTTP {response.status_code}"
    return text if len(text) <= _EXCERPT else text[:_EXCERPT] + "…"


def read_detail(response: requests.Response) -> ErrorDetail:
    """The words of an answer, found under the names that APIs commonly use."""
    body = json_or_none(response)
    request_id = _first(response.headers, _REQUEST_ID_HEADERS)
    if not isinstance(body, dict):
        return ErrorDetail(body or excerpt(response), request_id=request_id)
    said = _first(body, _MESSAGE_NAMES)
    return ErrorDetail(
        message=excerpt(response) if said is None else said,
        detail=_text(body.get("detail")),
        hint=_text(body.get("hint")),
        context=_text(body.get("context")),
        code=body.get("error_code") or body.get("code"),
        request_id=request_id or _text(body.get("request_id")),
    )


def _first(values: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((values[name] for name in names if values.get(name)), None)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
