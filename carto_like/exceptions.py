"""CARTO's errors: everything the SDK raises is a :class:`CartoException`.

For an answer of 400 or more, ``args[0]`` is pyrestcli's plain exception and ``str()`` is the server's text;
the class is a twin of pyrestcli's, under the same name, so scripts may catch or compare either way.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import requests

from carto_like.core import _pyrestcli
from carto_like.core.errors import (
    ApiError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    ErrorDetail,
    ForeignOriginError,
    JobFailed,
    JobTimeout,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RedirectError,
    ResponseFormatError,
    SdkError,
    ServerError,
    TimeoutExpired,
    TlsError,
    TransportError,
    UnprocessableError,
    retry_after_seconds,
)
from carto_like.core.log import redact

__all__ = [
    "ERROR_TYPES",
    "TWINS",
    "BadRequestException",
    "CartoApiException",
    "CartoConfigurationException",
    "CartoException",
    "CartoForeignOriginException",
    "CartoJobCancelled",
    "CartoJobFailed",
    "CartoJobTimeout",
    "CartoRateLimitException",
    "CartoRedirectException",
    "CartoResponseFormatException",
    "CartoTimeoutException",
    "CartoTlsException",
    "CartoTransportException",
    "ConflictException",
    "ForbiddenErrorException",
    "NotFoundException",
    "PartialResultException",
    "RateLimitException",
    "ServerErrorException",
    "UnauthorizedErrorException",
    "UnprocessableEntityError",
    "wrapped",
]


class CartoException(SdkError):
    """Anything that goes wrong; ``args[0]`` is what it was raised for: text, or another exception.

    Attributes:
        status_code: HTTP status, None when there was no answer.
        detail, hint, context: the server's further words, if any.
    """

    status_code: int | None = None
    detail: str | None = None
    hint: str | None = None
    context: str | None = None


class CartoApiException(CartoException, ApiError):
    """An answer of 400 or more without a class of its own."""

    plain_type: ClassVar[type[_pyrestcli.RestException]] = _pyrestcli.RestException

    def __init__(
        self,
        message: Any = "",
        status_code: int | None = None,
        headers: Mapping[str, str] | None = None,
        reason: str | None = None,
        url: str | None = None,
        *,
        detail: ErrorDetail | None = None,
        body: str = "",
    ) -> None:
        ApiError.__init__(self, message, status_code, headers, reason, url, detail=detail, body=body)
        self.args = (self._plain(),)

    def _plain(self) -> _pyrestcli.RestException:
        plain = self.plain_type(self.message, self.status_code, self.headers, self.reason, self.url)
        # pyrestcli's 401 and 403 forget what they are given.
        plain.args = (self.message,)
        plain.status_code, plain.headers = self.status_code, self.headers
        plain.reason, plain.url = self.reason, self.url
        return plain

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (type(self), dict(vars(self)))


def _revive(kind: type[CartoApiException], state: dict[str, Any]) -> CartoApiException:
    error = kind.__new__(kind)
    vars(error).update(state)
    error.args = (error._plain(),)
    return error


class BadRequestException(CartoApiException, BadRequestError):
    """400: the database or the API refused; the text says why."""

    plain_type = _pyrestcli.BadRequestException


class UnauthorizedErrorException(CartoApiException, AuthenticationError):
    """401: the API key is unknown."""

    plain_type = _pyrestcli.UnauthorizedErrorException


class ForbiddenErrorException(CartoApiException, PermissionDeniedError):
    """403: the API key does not allow this."""

    plain_type = _pyrestcli.ForbiddenErrorException


class NotFoundException(CartoApiException, NotFoundError):
    """404: there is no such thing."""

    plain_type = _pyrestcli.NotFoundException


class ConflictException(CartoApiException, ConflictError):
    """409: it contradicts what is already there."""


class UnprocessableEntityError(CartoApiException, UnprocessableError):
    """422: refused by validation."""

    plain_type = _pyrestcli.UnprocessableEntityError


class RateLimitException(CartoApiException, RateLimitError):
    """429 without ``Retry-After``: a limit of the query, such as its time; trying again is no use."""

    plain_type = _pyrestcli.RateLimitException


class ServerErrorException(CartoApiException, ServerError):
    """5xx: the server failed."""

    plain_type = _pyrestcli.ServerErrorException


class CartoRateLimitException(CartoException, RateLimitError):
    """429 with ``Retry-After``: too many requests; try again after that many seconds.

    Attributes:
        limit: requests allowed.
        remaining: requests left.
        reset: seconds until the full number is available again.
    """

    def __init__(self, response: requests.Response) -> None:
        said = _error_text(response)
        ApiError.__init__(
            self,
            said,
            response.status_code,
            response.headers,
            response.reason,
            redact(str(response.url)),
            body=response.text,
        )
        self.args = (response.text,)
        self.limit = _whole_number(response.headers.get("Carto-Rate-Limit-Limit"))
        self.remaining = _whole_number(response.headers.get("Carto-Rate-Limit-Remaining"))
        self.reset = _whole_number(response.headers.get("Carto-Rate-Limit-Reset"))

    @property
    def retry_after(self) -> int | None:
        """Seconds to wait, or None when the server does not say."""
        seconds = retry_after_seconds(self.headers)
        return None if seconds is None else math.ceil(seconds)

    @staticmethod
    def is_rate_limited(response: requests.Response) -> bool:
        """Whether an answer means too many requests, not a limit of the query itself."""
        too_many = response.status_code == requests.codes.too_many_requests
        return too_many and retry_after_seconds(response.headers) is not None

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive_rate_limit, (type(self), self.args, dict(vars(self)))


def _revive_rate_limit(
    kind: type[CartoRateLimitException], args: tuple[Any, ...], state: dict[str, Any]
) -> CartoRateLimitException:
    error = kind.__new__(kind)
    vars(error).update(state)
    error.args = args
    return error


def _error_text(response: requests.Response) -> Any:
    try:
        body = response.json()
    except ValueError:
        return response.text
    return (body.get("error") or body.get("errors") or response.text) if isinstance(body, dict) else body


def _whole_number(text: str | None) -> int | None:
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


class CartoTransportException(CartoException, TransportError):
    """No usable answer; ``args[0]`` is requests' exception, its text without credentials."""


class CartoTimeoutException(CartoTransportException, TimeoutExpired):
    """The server stayed silent for longer than the timeout."""


class CartoTlsException(CartoTransportException, TlsError):
    """The server's certificate could not be verified."""


class CartoRedirectException(CartoTransportException, RedirectError):
    """A write was redirected; correct the base URL."""


class CartoForeignOriginException(CartoTransportException, ForeignOriginError):
    """The address is on another server, which must not see the API key."""


class CartoConfigurationException(CartoException, ConfigurationError):
    """What was asked for cannot be done as it stands; nothing was sent."""


class CartoResponseFormatException(CartoException, ResponseFormatError):
    """A successful answer that cannot be read."""


class PartialResultException(CartoResponseFormatException):
    """The query failed after the server had begun to answer; what came until then is not the whole result."""


class CartoJobFailed(CartoException, JobFailed):
    """The server reported that a job failed; ``job`` is its last state."""


class CartoJobCancelled(CartoJobFailed):
    """A job was cancelled before it was done; ``job`` is its last state."""


class CartoJobTimeout(CartoException, JobTimeout):
    """A job did not end in time; ``job`` is its last state."""


ERROR_TYPES: Mapping[int, type[ApiError]] = {
    0: CartoApiException,
    400: BadRequestException,
    401: UnauthorizedErrorException,
    403: ForbiddenErrorException,
    404: NotFoundException,
    409: ConflictException,
    422: UnprocessableEntityError,
    429: RateLimitException,
    500: ServerErrorException,
}

TWINS: Mapping[type[SdkError], type[SdkError]] = {
    ConfigurationError: CartoConfigurationException,
    ForeignOriginError: CartoForeignOriginException,
    JobFailed: CartoJobFailed,
    JobTimeout: CartoJobTimeout,
    RedirectError: CartoRedirectException,
    ResponseFormatError: CartoResponseFormatException,
    TimeoutExpired: CartoTimeoutException,
    TlsError: CartoTlsException,
    TransportError: CartoTransportException,
}


@contextmanager
def wrapped(client: Any) -> Iterator[None]:
    """Make a ``CartoException`` of what a foreign client fails with; CARTO's own clients raise no other.

    With those, any other error is that of the data to send, and stays what it is.
    """
    try:
        yield
    except CartoException:
        raise
    except (SdkError, _pyrestcli.RestException, requests.RequestException) as error:
        if getattr(client, "error_types", None) is ERROR_TYPES:
            raise
        raise CartoException(error) from error
