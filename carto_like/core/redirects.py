"""Following redirects without giving credentials, or a write, to the wrong place."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests

from carto_like.core.errors import ForeignOriginError, RedirectError
from carto_like.core.log import is_secret_name, redact, redacted_request

__all__ = ["follow", "origin", "same_origin", "strip_credentials"]

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_METHOD_KEPT = frozenset({307, 308})
_SEE_OTHER = 303
_MAX_REDIRECTS = 10


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of an address; raises ``ForeignOriginError`` when it has none that make sense."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        raise ForeignOriginError(f"not an address: {redact(url)}") from None


def same_origin(one: str, other: str) -> bool:
    """Whether both addresses are on one server; http may become https on the default ports."""
    first, second = origin(one), origin(other)
    upgraded = first == ("http", first[1], 80) and second == ("https", first[1], 443)
    return first == second or upgraded


def strip_credentials(request: requests.PreparedRequest) -> None:
    """Remove every header that could identify the caller."""
    for name in [name for name in request.headers if is_secret_name(name)]:
        del request.headers[name]


def follow(session: requests.Session, response: requests.Response, **sending: Any) -> requests.Response:
    """The answer at the end of a chain of redirects.

    Args:
        session: any session, ours or the caller's own.
        response: the first answer, asked for with ``allow_redirects=False``.
        sending: keyword arguments for ``session.send``.
    """
    history: list[requests.Response] = []
    while (target := response.next) is not None:
        _refuse_redirected_write(response, target)
        if len(history) == _MAX_REDIRECTS:
            raise RedirectError(
                f"more than {_MAX_REDIRECTS} redirects", request=redacted_request(response.request)
            )
        if not same_origin(str(response.request.url), str(target.url)):
            strip_credentials(target)
        history.append(response)
        response = session.send(target, allow_redirects=False, **sending)
    response.history = history
    return response


def _refuse_redirected_write(response: requests.Response, target: requests.PreparedRequest) -> None:
    request = response.request
    if (request.method or "GET").upper() in _SAFE_METHODS or response.status_code == _SEE_OTHER:
        return
    where, shown = redact(str(target.url)), redacted_request(request)
    if response.status_code not in _METHOD_KEPT:
        raise RedirectError(
            f"the server answered {request.method} with {response.status_code} and points to {where}; "
            "following would drop the data. Correct the base URL.",
            request=shown,
        )
    if not same_origin(str(request.url), str(target.url)):
        raise ForeignOriginError(f"the server redirects the data to another server, {where}", request=shown)
    if hasattr(request.body, "__next__") or (
        hasattr(request.body, "__iter__") and not _repeatable(request.body)
    ):
        raise RedirectError(f"the data cannot be sent a second time to {where}", request=shown)


def _repeatable(body: Any) -> bool:
    return isinstance(body, (str, bytes)) or bool(getattr(body, "replayable", False))
