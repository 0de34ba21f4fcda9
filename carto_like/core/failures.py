"""Turning what requests raises into our errors, with nothing secret left in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import requests
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ReadTimeoutError

from carto_like.core.errors import (
    ConfigurationError,
    RedirectError,
    SdkError,
    TimeoutExpired,
    TlsError,
    TransportError,
)
from carto_like.core.log import redact, redacted_request

__all__ = ["Failure", "convert", "describe"]

_NONSENSE = (
    requests.exceptions.InvalidHeader,
    requests.exceptions.InvalidJSONError,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
)


@dataclass(frozen=True)
class Failure:
    """A request that got no answer.

    Attributes:
        kind: the class to raise.
        text: what happened, redacted.
        request: the request without its credentials.
        cause: requests' exception without secrets and without history.
        unsent: whether the server certainly saw nothing of the request.
        passing: whether it may be different next time.
    """

    kind: type[SdkError]
    text: str
    request: requests.PreparedRequest | None
    cause: requests.RequestException
    unsent: bool
    passing: bool

    @classmethod
    def of(
        cls, error: requests.RequestException, arguments: Mapping[str, Any], secrets: Iterable[str]
    ) -> Failure:
        """Judge requests' exception."""
        secrets = tuple(secrets)
        sent = error.request
        request = redacted_request(sent, secrets) if isinstance(sent, requests.PreparedRequest) else None
        reason = redact(str(error), secrets)
        # Not the original: it, and whatever it was raised from, quotes the whole address.
        cause = type(error)(reason, request=request)
        kind = _kind_of(error)
        where = redact(str(arguments["url"]), secrets)
        lost = kind is TransportError and isinstance(error, requests.ConnectionError)
        unsent = _is_unsent(error)
        return cls(kind, f"{arguments['method']} {where}: {reason}", request, cause, unsent, lost or unsent)


def convert(error: SdkError, kind: type[SdkError]) -> SdkError:
    """The same error in another class."""
    if isinstance(error, kind):
        return error
    twin = kind(*error.args)
    vars(twin).update(vars(error))
    return twin


def describe(outcome: requests.Response | Failure | SdkError) -> str:
    """A word for log lines: the status, or the class of the failure."""
    if isinstance(outcome, SdkError):
        return type(outcome).__name__
    if isinstance(outcome, Failure):
        return outcome.kind.__name__
    return str(outcome.status_code)


def _kind_of(error: requests.RequestException) -> type[SdkError]:
    if isinstance(error, requests.exceptions.SSLError):
        return TlsError
    if isinstance(error, requests.exceptions.TooManyRedirects):
        return RedirectError
    if isinstance(error, _NONSENSE):
        return ConfigurationError
    timeouts = (requests.Timeout, ReadTimeoutError, ConnectTimeoutError, TimeoutError)
    refused = any(isinstance(link, NewConnectionError) for link in _chain(error))
    if not refused and any(isinstance(link, timeouts) for link in _chain(error)):
        return TimeoutExpired
    return TransportError


def _is_unsent(error: requests.RequestException) -> bool:
    if isinstance(error, requests.exceptions.SSLError):
        return False
    unsent = (NewConnectionError, ConnectTimeoutError)
    return any(isinstance(link, unsent) for link in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and everything wrapped in it: requests and urllib3 keep causes in ``args`` and ``reason``."""
    todo: list[BaseException] = [error]
    seen: set[int] = set()
    while todo:
        link = todo.pop()
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        inner = [*link.args, getattr(link, "reason", None), link.__cause__]
        todo.extend(part for part in inner if isinstance(part, BaseException))
