"""The errors of IOTile scripts; each is also the core's error for the same cause.

RestBaseException
├─ RestHttpBaseException
│   ├─ HttpClientError              400-499; a class per common status, as in the core
│   │   └─ HttpNotFoundError        404
│   ├─ HttpServerError              500-599
│   └─ HttpCouldNotVerifyServerError
├─ RestConnectionError, RestConnectTimeout, RestReadTimeout    also ``requests`` exceptions
├─ RestRedirectError, RestForeignOriginError, RestFormatError
└─ ImproperlyConfigured             arguments that cannot be sent; also a ``ValueError``
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

from carto_like.core.errors import (
    ApiError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    ErrorDetail,
    ForeignOriginError,
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
)

__all__ = [
    "HTTP_ERRORS",
    "TWINS",
    "HttpClientError",
    "HttpCouldNotVerifyServerError",
    "HttpNotFoundError",
    "HttpServerError",
    "ImproperlyConfigured",
    "RestBaseException",
    "RestConnectTimeout",
    "RestConnectionError",
    "RestForeignOriginError",
    "RestFormatError",
    "RestHttpBaseException",
    "RestReadTimeout",
    "RestRedirectError",
    "SerializerNoRestailable",
    "SerializerNotRestailable",
]


class RestBaseException(SdkError):
    """Anything that this platform's client raises."""


class SerializerNoRestailable(RestBaseException):
    """Kept as a name to catch; never raised."""


class SerializerNotRestailable(RestBaseException):
    """Kept as a name to catch; never raised."""


class ImproperlyConfigured(RestBaseException, ConfigurationError):
    """What was asked for cannot be sent as it stands."""


class RestHttpBaseException(RestBaseException):
    """Base of the errors of HTTP; keyword arguments become attributes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        Exception.__init__(self, *args)
        for name, value in kwargs.items():
            setattr(self, name, value)


class _HttpStatusError(RestHttpBaseException, ApiError):
    """An answer of 400 or more.

    Attributes:
        response: the answer; the request it holds shows no credentials.
        content: its content, bytes.
        status_code: HTTP status.
    """

    response: requests.Response | None
    content: bytes

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        response: requests.Response | None = kwargs.get("response")
        text = args[0] if args else ""
        status = None if response is None else response.status_code
        headers: Mapping[str, str] = {} if response is None else response.headers
        reason, url = (None, None) if response is None else (response.reason, str(response.url))
        detail = kwargs.pop("detail", None) or ErrorDetail(text)
        body = kwargs.pop("body", "")
        ApiError.__init__(self, text, status, headers, reason, url, detail=detail, body=body)
        self.args = args
        self.response = response
        self.content = kwargs.pop("content", b"") if response is None else response.content
        for name, value in kwargs.items():
            setattr(self, name, value)


class HttpClientError(_HttpStatusError):
    """An answer of 400 to 499."""


class HttpNotFoundError(HttpClientError, NotFoundError):
    """404: there is no such thing, or it is not visible."""


class HttpServerError(_HttpStatusError, ServerError):
    """An answer of 500 to 599."""


class _BadRequest(HttpClientError, BadRequestError):
    """400, also as the core's error."""


class _Unauthorized(HttpClientError, AuthenticationError):
    """401, also as the core's error."""


class _Forbidden(HttpClientError, PermissionDeniedError):
    """403, also as the core's error."""


class _Conflict(HttpClientError, ConflictError):
    """409, also as the core's error."""


class _Unprocessable(HttpClientError, UnprocessableError):
    """422, also as the core's error."""


class _TooMany(HttpClientError, RateLimitError):
    """429, also as the core's error."""


class HttpCouldNotVerifyServerError(RestHttpBaseException, TlsError):
    """The server's certificate could not be verified; ``args`` are a text and the original error."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        TlsError.__init__(self, *args[:1], request=kwargs.pop("request", None))
        self.args = args
        for name, value in kwargs.items():
            setattr(self, name, value)


# requests has its own idea of the type of ``request``.
class RestConnectionError(RestBaseException, TransportError, requests.exceptions.ConnectionError):  # type: ignore[misc]
    """The connection could not be made, or broke."""

    response = None


class RestConnectTimeout(RestBaseException, TimeoutExpired, requests.exceptions.ConnectTimeout):  # type: ignore[misc]
    """The server did not accept the connection within the timeout."""

    response = None


class RestReadTimeout(RestBaseException, TimeoutExpired, requests.exceptions.ReadTimeout):  # type: ignore[misc]
    """The server accepted the connection and then stayed silent for too long."""

    response = None


class RestRedirectError(RestBaseException, RedirectError):
    """The server redirected a write, or in a circle."""


class RestForeignOriginError(RestBaseException, ForeignOriginError):
    """The address belongs to another server, which must not see the credentials."""


class RestFormatError(RestBaseException, ResponseFormatError):
    """An answer without an error status that cannot be used."""


HTTP_ERRORS: Mapping[int, type[_HttpStatusError]] = {
    0: HttpClientError,
    400: _BadRequest,
    401: _Unauthorized,
    403: _Forbidden,
    404: HttpNotFoundError,
    409: _Conflict,
    422: _Unprocessable,
    429: _TooMany,
    500: HttpServerError,
}
"""Which class is raised for a status; that of 500 for all above, that of 0 for the rest."""

TWINS: Mapping[type[SdkError], type[SdkError]] = {
    ConfigurationError: ImproperlyConfigured,
    ForeignOriginError: RestForeignOriginError,
    RedirectError: RestRedirectError,
    ResponseFormatError: RestFormatError,
    TimeoutExpired: RestReadTimeout,
    TlsError: HttpCouldNotVerifyServerError,
    TransportError: RestConnectionError,
}
"""This platform's class for one of the core's."""
