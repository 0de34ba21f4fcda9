"""The client below :class:`~carto_like.iotile.api.connection.Api`: the same requests, scripts' own errors."""

from __future__ import annotations

from typing import Any

import requests

from carto_like.core import answers, failures
from carto_like.core.client import DEFAULT_TIMEOUT, Timeout
from carto_like.core.errors import ApiError, SdkError, TlsError, error_type_for
from carto_like.core.log import blank, redact, redacted_request
from carto_like.core.retry import NO_RETRY, Retry
from carto_like.core.urls import normalised
from carto_like.iotile.api import exceptions
from carto_like.iotile.client import IOTileClient

__all__ = ["Transport", "retry_of"]


class Transport(IOTileClient):
    """An :class:`IOTileClient` whose errors carry the answer, as scripts expect."""

    twins = exceptions.TWINS

    def __init__(
        self,
        root: str,
        *,
        token: str | None = None,
        token_type: str = "jwt",
        session: requests.Session | None = None,
        timeout: Timeout = DEFAULT_TIMEOUT,
        retries: Any = None,
    ) -> None:
        super().__init__(
            root,
            token=token,
            token_type=token_type,
            session=session,
            timeout=timeout,
            retry=retry_of(retries),
        )

    def normalise_base_url(self, base_url: str) -> str:
        """The root as it is given: resources may stand anywhere."""
        try:
            return normalised(base_url)
        except (TypeError, ValueError) as error:
            raise exceptions.ImproperlyConfigured(str(error)) from None

    def set_token(self, token: str | None, token_type: str | None = None) -> None:
        """Sign with this token; any type is sent as it is written."""
        self._token = token
        self.token_type = self.token_type if token_type is None else token_type

    @property
    def token(self) -> str | None:
        """The token requests are signed with."""
        return self._token

    def sign(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Add the token, and the session's choice about certificates, which the environment would beat."""
        signed = super().sign(method, arguments)
        chosen = self.session.verify
        if signed.get("verify") is None and chosen is not True:
            signed["verify"] = chosen
        return signed

    def make_error(self, response: requests.Response) -> ApiError:
        """The exception for an answer of 400 or more, with the answer in it."""
        secrets = self.secrets()
        status = response.status_code
        body = blank(answers.excerpt(response), secrets)
        where = redact(str(response.url), secrets)
        side = "Client" if status < 500 else "Server"
        text = f"{side} Error {status}: {where}" + (f": {body}" if status == 400 else "")
        if response.request is not None:
            response.request = redacted_request(response.request, secrets)
        kind: Any = error_type_for(status, exceptions.HTTP_ERRORS)
        detail = self.read_error(response).without(secrets)
        error: ApiError = kind(text, response=response, detail=detail, body=body)
        return error

    def make_failure(self, failure: failures.Failure) -> SdkError:
        """The exception for a request without an answer; it is a ``requests`` exception, too."""
        if issubclass(failure.kind, TlsError):
            return exceptions.HttpCouldNotVerifyServerError(
                failure.text, failure.cause, request=failure.request
            )
        if isinstance(failure.cause, requests.exceptions.ConnectTimeout):
            return exceptions.RestConnectTimeout(failure.text, request=failure.request)
        return super().make_failure(failure)


def retry_of(retries: Any) -> Retry:
    """The policy meant by None (never), a number, one of ours, or the total of one of urllib3's."""
    if isinstance(retries, Retry):
        return retries
    total = getattr(retries, "total", retries)
    if total is None or total is False:
        return NO_RETRY
    if isinstance(total, bool) or not isinstance(total, int) or total < 0:
        raise exceptions.ImproperlyConfigured(f"retries is a number of repetitions, not {retries!r}")
    return Retry(attempts=total)
