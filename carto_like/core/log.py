"""Logging that never tells a secret.

Every logger is a child of ``carto_like``; nothing is configured here, that is the application's business.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import Any

import requests

__all__ = ["BLANK", "blank", "get_logger", "is_secret_name", "quiet_urllib3", "redact", "redacted_request"]

BLANK = "***"

_SECRET_WORD = r"[\w.-]*(?:api[_-]?key|map_key|token|secret|password|passwd|signature|jwt)"
# Both begin where a word does: looking for them at each letter would take hours in a long text.
_PARAMETER = re.compile(rf"(?i)(?<![\w.-])({_SECRET_WORD}(?:=|%3D))([^&\s'\"<>#,;)\]}}]+)")
_USER_INFO = re.compile(r"(?i)(?<![a-z0-9+.-])([a-z0-9+.-]+://)[^/\s@?#]+@")
_SECRET_HEADER = re.compile(r"(?i)auth|token|secret|cookie|api[_-]?key|password")
# A secret this short is a word that ordinary texts contain.
_SHORTEST_SECRET = 6


def get_logger(name: str) -> logging.Logger:
    """The logger ``carto_like.<name>``."""
    return logging.getLogger(f"carto_like.{name}")


def blank(value: Any, secrets: Iterable[str]) -> Any:
    """Text, or text anywhere in a JSON value, with each of the secrets blanked out."""
    if isinstance(value, str):
        for secret in secrets:
            if len(secret) >= _SHORTEST_SECRET:
                value = value.replace(secret, BLANK)
        return value
    if isinstance(value, list):
        return [blank(item, secrets) for item in value]
    if isinstance(value, dict):
        return {name: blank(item, secrets) for name, item in value.items()}
    return value


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with credentials in addresses, and each of the given secrets, blanked out."""
    text = blank(text, secrets)
    text = _USER_INFO.sub(rf"\1{BLANK}@", text)
    return _PARAMETER.sub(rf"\1{BLANK}", text)


def is_secret_name(header: str) -> bool:
    """Whether a header of this name carries credentials."""
    return _SECRET_HEADER.search(header) is not None


def redacted_request(
    request: requests.PreparedRequest, secrets: Iterable[str] = ()
) -> requests.PreparedRequest:
    """A copy for error reports: address and headers without credentials, no body."""
    copy = request.copy()
    copy.body = None
    copy.hooks = {}
    if copy.url:
        copy.url = redact(copy.url, secrets)
    for name in [name for name in (copy.headers or {}) if is_secret_name(name)]:
        copy.headers[name] = BLANK
    return copy


class _RedactingFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_redact_argument(value) for value in record.args)
        return True


def _redact_argument(value: Any) -> Any:
    return redact(value) if isinstance(value, str) else value


_FILTER = _RedactingFilter()


def quiet_urllib3() -> None:
    """Keep keys out of urllib3's lines, which show whole addresses; harmless when repeated."""
    for name in ("connectionpool", "poolmanager", "util.retry"):
        logging.getLogger(f"urllib3.{name}").addFilter(_FILTER)
