"""What can go wrong, by cause.

SdkError
├─ ConfigurationError          a bad base URL, a missing library, arguments that contradict each other
├─ TransportError              no usable answer
│   ├─ TimeoutExpired          the server stayed silent for too long
│   ├─ TlsError                the certificate could not be verified
│   ├─ RedirectError           a write was redirected, and must not be repeated blindly
│   └─ ForeignOriginError      the address is not the platform's own
├─ ApiError                    an answer of 400 or more, one class per status
├─ ResponseFormatError         a successful answer that cannot be read
└─ JobError                    JobFailed, JobTimeout

Where pyrestcli has a class for a status, ours derives from it, so that either catches.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from carto_like.core import _pyrestcli
from carto_like.core.log import blank

__all__ = [
    "ERROR_TYPES",
    "ApiError",
    "AuthenticationError",
    "BadRequestError",
    "ConfigurationError",
    "ConflictError",
    "ErrorDetail",
    "ForeignOriginError",
    "JobError",
    "JobFailed",
    "JobTimeout",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitError",
    "RedirectError",
    "ResponseFormatError",
    "SdkError",
    "ServerError",
    "TimeoutExpired",
    "TlsError",
    "TransportError",
    "UnprocessableError",
    "error_type_for",
    "retry_after_seconds",
]


class SdkError(Exception):
    """Anything that this library raises."""


class ConfigurationError(SdkError, ValueError):
    """What the caller asked for cannot be done as it stands; nothing was sent."""


class TransportError(SdkError):
    """No usable answer arrived.

    Attributes:
        request: the request without its credentials, or None when it was never built.
    """

    def __init__(self, message: Any = "", *, request: requests.PreparedRequest | None = None) -> None:
        super().__init__(message)
        self.request = request


class TimeoutExpired(TransportError, TimeoutError):
    """The server did not accept the connection, or sent nothing, within the timeout."""


class TlsError(TransportError):
    """The server's certificate could not be verified; never retried."""


class RedirectError(TransportError):
    """The server redirected a write; repeating it elsewhere could lose or double data."""


class ForeignOriginError(TransportError):
    """The address belongs to another server, which must not see the credentials."""


class ResponseFormatError(SdkError):
    """A successful answer whose content cannot be read."""


class JobError(SdkError):
    """A job on the server did not come to a good end.

    Attributes:
        job: the job as it was last read.
    """

    def __init__(self, message: Any = "", *, job: Any = None) -> None:
        super().__init__(message)
        self.job = job


class JobFailed(JobError):
    """The server reported that the job failed."""


class JobTimeout(JobError, TimeoutError):
    """The job did not end within the time given; it may still be running."""


@dataclass(frozen=True)
class ErrorDetail:
    """What an answer says about its own failure.

    Attributes:
        message: the server's words, of whatever JSON type they came in.
        detail: more words, often from the database.
        hint: what the server suggests.
        context: the kind of limit that was hit, or where it happened.
        code: the platform's own name or number for the failure.
        request_id: what the server's log calls this request.
    """

    message: Any
    detail: str | None = None
    hint: str | None = None
    context: str | None = None
    code: str | int | None = None
    request_id: str | None = None

    def without(self, secrets: Collection[str]) -> ErrorDetail:
        """The same with these texts blanked out: a server may quote the address or the statement it got."""
        return ErrorDetail(**{name: blank(value, secrets) for name, value in vars(self).items()})


class ApiError(SdkError, _pyrestcli.RestException):
    """An answer with a status of 400 or more.

    Attributes:
        status_code: HTTP status.
        headers: headers of the answer.
        reason: HTTP reason phrase.
        url: address asked, credentials blanked out.
        message, detail, hint, context, code, request_id: see :class:`ErrorDetail`.
        body: the answer's text, shortened.
    """

    status_code: int | None
    headers: Mapping[str, str]

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
        # Not super(): pyrestcli's 401 and 403 replace the message and forget everything else.
        Exception.__init__(self, message)
        said = detail or ErrorDetail(message)
        self.message = said.message
        self.status_code = status_code
        self.headers = headers if headers is not None else {}
        self.reason = reason
        self.url = url
        self.detail = said.detail
        self.hint = said.hint
        self.context = said.context
        self.code = said.code
        self.request_id = said.request_id
        self.body = body

    @property
    def retry_after(self) -> float | None:
        """Seconds the server asks to wait, or None when it does not say."""
        return retry_after_seconds(self.headers)


class BadRequestError(ApiError, _pyrestcli.BadRequestException):
    """400: the server does not understand, or the database refused."""


class AuthenticationError(ApiError, _pyrestcli.UnauthorizedErrorException):
    """401: the credentials are missing or unknown."""


class PermissionDeniedError(ApiError, _pyrestcli.ForbiddenErrorException):
    """403: the credentials are known and do not allow this."""


class NotFoundError(ApiError, _pyrestcli.NotFoundException):
    """404: there is no such thing."""


class ConflictError(ApiError):
    """409: it contradicts what is already there."""


class UnprocessableError(ApiError, _pyrestcli.UnprocessableEntityError):
    """422: well-formed, and refused by validation."""


class RateLimitError(ApiError, _pyrestcli.RateLimitException):
    """429: too many requests, or a limit of the account."""


class ServerError(ApiError, _pyrestcli.ServerErrorException):
    """5xx: the server failed."""


ERROR_TYPES: Mapping[int, type[ApiError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableError,
    429: RateLimitError,
    500: ServerError,
}


def error_type_for(status_code: int, table: Mapping[int, type[ApiError]] = ERROR_TYPES) -> type[ApiError]:
    """The class for a status: its own, else that of 500 for any 5xx, else :class:`ApiError`.

    A table may name its own fallback under the key 0.
    """
    if status_code in table:
        return table[status_code]
    if status_code >= 500 and 500 in table:
        return table[500]
    return table.get(0, ApiError)


def retry_after_seconds(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds told by ``Retry-After``, given as a number or as a date; None when absent or unreadable."""
    value = (headers.get("Retry-After") or "").strip()
    try:
        seconds = float(value)
    except ValueError:
        return _seconds_until(value, now)
    return seconds if 0 <= seconds < float("inf") else None


def _seconds_until(value: str, now: datetime | None) -> float | None:
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - (now or datetime.now(timezone.utc))).total_seconds())
