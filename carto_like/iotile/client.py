"""The client of IOTile Cloud: logs in, signs with a token, renews it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

import requests

from carto_like.core.client import DEFAULT_TIMEOUT, Client, Timeout
from carto_like.core.credentials import HeaderToken
from carto_like.core.errors import ConfigurationError, ResponseFormatError
from carto_like.core.log import redact
from carto_like.core.retry import DEFAULT_RETRY, Retry
from carto_like.iotile import _json

__all__ = ["API_PREFIX", "DOMAIN_NAME", "IOTileClient"]

DOMAIN_NAME = "https://iotile.cloud"
API_PREFIX = "api/v1"

_TOKEN_TYPES = ("jwt", "token", "a-jwt")


class IOTileClient(Client):
    """Talks to one IOTile server, in the name of one account.

    Args:
        domain: address of the server, with scheme; the API's path is added.
        token: a token from an earlier login, or a permanent key; without it, call :meth:`login`.
        token_type: ``jwt`` (expires, can be renewed), ``token`` (permanent) or ``a-jwt`` (of a device).
        session: a ``requests`` session of the caller's.
        timeout: seconds, or ``(connect, read)``; None waits for ever.
        retry: how often GET, PUT and DELETE are repeated after a lost connection.
        verify: False, or the path of a CA bundle; wins over what the environment names.
        proxies: proxy addresses by scheme.
        user_agent: how the client introduces itself.

    Example:
        >>> with IOTileClient("http://127.0.0.1:8080/iotile", token=key, token_type="token") as client:
        ...     for project in ProjectManager(client).iterate(org__slug="farm"):
        ...         print(project.slug, project.name)
    """

    def __init__(
        self,
        domain: str = DOMAIN_NAME,
        *,
        token: str | None = None,
        token_type: str = "jwt",
        session: requests.Session | None = None,
        timeout: Timeout = DEFAULT_TIMEOUT,
        retry: Retry | int | bool | None = DEFAULT_RETRY,
        verify: bool | str | None = None,
        proxies: Mapping[str, str] | None = None,
        user_agent: str | None = None,
    ) -> None:
        super().__init__(
            domain,
            session,
            timeout=timeout,
            retry=retry,
            verify=verify,
            proxies=proxies,
            user_agent=user_agent,
        )
        self._token: str | None = None
        self._password: str | None = None
        self.username: str | None = None
        self.set_token(token, token_type)

    def normalise_base_url(self, base_url: str) -> str:
        """The root of the API below a domain."""
        return urljoin(super().normalise_base_url(base_url), f"{API_PREFIX}/")

    token_type: str = "jwt"

    # Credentials

    @property
    def has_token(self) -> bool:
        """Whether requests are signed."""
        return bool(self._token)

    def set_token(self, token: str | None, token_type: str | None = None) -> None:
        """Sign all further requests with this token; None signs none.

        Raises:
            ConfigurationError: the type is none of ``jwt``, ``token`` and ``a-jwt``.
        """
        kind = (self.token_type if token_type is None else token_type).lower()
        if kind not in _TOKEN_TYPES:
            known = ", ".join(_TOKEN_TYPES)
            raise self.error_type(ConfigurationError)(f"token_type is one of {known}, not {token_type!r}")
        self.token_type = kind
        self._token = token

    def sign(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Add the token, if there is one and the call brings no credentials of its own."""
        signed = dict(arguments)
        if self._token and signed.get("auth") is None:
            signed["auth"] = HeaderToken(self._token, scheme=self.token_type)
        return signed

    def secrets(self) -> tuple[str, ...]:
        """The token, and the password during a login."""
        return tuple(secret for secret in (self._token, self._password) if secret)

    def login(self, email: str, password: str) -> None:
        """Log in and keep the token of this client's type.

        Raises:
            AuthenticationError: the address or the password is wrong.
            ResponseFormatError: the answer holds no such token.
        """
        given = {"email": email, "password": password}
        # A server may quote what it refuses.
        self._password = password
        try:
            # Unsigned, because an account that is logged in already would be refused.
            body = self._told(self.send("auth/login/", "post", json=given, auth=_unsigned))
        finally:
            self._password = None
        token = body.get(self.token_type)
        if not isinstance(token, str) or not token:
            raise self.error_type(ResponseFormatError)(f"the login answered without a {self.token_type!r}")
        self._token, self.username = token, body.get("username")

    def logout(self) -> None:
        """End the login; without one, nothing is sent."""
        if self._token:
            self.get_response_data(self.send("auth/logout/", "post"))
            self._token, self.username = None, None

    def refresh(self) -> None:
        """Exchange the token for one that expires later; the old one stays when the server refuses.

        Raises:
            ConfigurationError: there is no token, or it is of a kind that does not expire.
        """
        if not self._token:
            raise self.error_type(ConfigurationError)("there is no token to renew: log in first")
        if self.token_type != "jwt":
            text = f"only a token of type 'jwt' can be renewed, not {self.token_type!r}"
            raise self.error_type(ConfigurationError)(text)
        answer = self.send("auth/api-jwt-refresh/", "post", json={"token": self._token}, auth=_unsigned)
        token = self._told(answer).get("token")
        if not isinstance(token, str) or not token:
            raise self.error_type(ResponseFormatError)("the server renewed no token")
        self._token = token

    # Answers

    def get_response_data(self, response: requests.Response, parse_json: bool = True) -> Any:
        """The content of an answer: parsed JSON, or bytes; None when there is none."""
        content = super().get_response_data(response, parse_json=False)
        if not content or not parse_json:
            return content or None
        try:
            return _json.loads(content)
        except ValueError as error:
            where = redact(str(response.url), self.secrets())
            text = f"the answer of {where} is not JSON: {error}"
        raise self.error_type(ResponseFormatError)(text)

    def _told(self, response: requests.Response) -> Mapping[str, Any]:
        body = self.get_response_data(response)
        if not isinstance(body, Mapping):
            raise self.error_type(ResponseFormatError)(
                f"{redact(str(response.url))} answered with {type(body).__name__}, not an object"
            )
        return body


def _unsigned(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
