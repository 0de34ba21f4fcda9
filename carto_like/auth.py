"""Clients: whom to talk to, and in whose name."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib import metadata
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import InsecureRequestWarning

from carto_like import __version__
from carto_like._addresses import reads, takes_basic, user_name
from carto_like.core import _pyrestcli
from carto_like.core.client import Client
from carto_like.core.credentials import Basic, with_parameters
from carto_like.core.errors import SdkError
from carto_like.core.failures import Failure
from carto_like.core.log import blank
from carto_like.core.options import DEFAULT_TIMEOUT, UNSET, Timeout, Unset
from carto_like.core.retry import Retry
from carto_like.core.urls import is_loopback
from carto_like.exceptions import (
    ERROR_TYPES,
    TWINS,
    CartoConfigurationException,
    CartoRateLimitException,
    CartoTransportException,
)

__all__ = [
    "APIKeyAuthClient",
    "AuthAPIClient",
    "BaseAuthClient",
    "BasicAuthClient",
    "NoAuthClient",
    "NonVerifiedAPIKeyAuthClient",
]

DEFAULT_RETRY = Retry(rate_limited=False)
"""CARTO's clients report a 429 at once, because scripts bring loops of their own for it."""

_PUBLIC_KEY = "default_public"


class _UsernameGetter:
    def get_user_name(self, base_url: str) -> str | None:
        """The account that a base URL speaks of; None when the host is a bare IP address.

        Raises:
            CartoException: the address names no account.
        """
        return user_name(base_url)


class _BaseUrlChecker:
    def check_base_url(self, base_url: str) -> str:
        """The base URL with a final slash; warns when keys would travel unencrypted."""
        if urlsplit(base_url).scheme != "https" and not is_loopback(base_url):
            warnings.warn("the base URL is not https: the API key is sent unencrypted", stacklevel=3)
        return base_url if base_url.endswith("/") else base_url + "/"


class _ClientIdentifier:
    try:
        CARTO_VERSION = metadata.version("carto-like")
    except metadata.PackageNotFoundError:
        CARTO_VERSION = __version__

    def get_user_agent(self, name: str = "carto-python-sdk") -> str:
        """``<name>/<version>``, for the User-Agent header."""
        return f"{name}/{self.CARTO_VERSION}"

    def get_client_identifier(self, prefix: str = "cps") -> str:
        """``<prefix>-<version>``, for the ``client`` parameter."""
        return f"{prefix}-{self.CARTO_VERSION}"


class BaseAuthClient(Client):
    """What all of CARTO's clients share: CARTO's errors, and 429 raised as soon as it comes."""

    error_types = ERROR_TYPES
    twins = TWINS
    username: str | None = None
    organization: str | None = None

    def __init__(
        self,
        base_url: str,
        session: requests.Session | None = None,
        *,
        timeout: Timeout = DEFAULT_TIMEOUT,
        retry: Retry | int | bool | None = DEFAULT_RETRY,
        verify: bool | str | None = None,
        proxies: Mapping[str, str] | None = None,
        user_agent: str | None = None,
    ) -> None:
        agent = user_agent or _ClientIdentifier().get_user_agent()
        super().__init__(
            base_url,
            session,
            timeout=timeout,
            retry=DEFAULT_RETRY if retry is True else retry,
            verify=verify,
            proxies=proxies,
            user_agent=agent,
        )

    def send(
        self,
        relative_path: str,
        http_method: str,
        *,
        timeout: Timeout | Unset = UNSET,
        retry: Retry | int | bool | Unset | None = UNSET,
        **requests_args: Any,
    ) -> requests.Response:
        """The server's answer, whatever its status but 429 with ``Retry-After``.

        Raises:
            CartoRateLimitException: too many requests; its ``retry_after`` says how long to wait.
            CartoException: no usable answer.
        """
        response = super().send(relative_path, http_method, timeout=timeout, retry=retry, **requests_args)
        if CartoRateLimitException.is_rate_limited(response):
            error = CartoRateLimitException(response)
            vars(error).update(blank(dict(vars(error)), self.secrets()))
            error.args = (blank(response.text, self.secrets()),)
            raise error
        return response

    def make_failure(self, failure: Failure) -> SdkError:
        """The exception for a request without an answer, with requests' own as ``args[0]``."""
        error = super().make_failure(failure)
        if isinstance(error, CartoTransportException):
            error.args = (failure.cause,)
        return error


class NoAuthClient(BaseAuthClient, _pyrestcli.NoAuthClient):
    """Reads what is public, in nobody's name; warns once when it is used to write."""

    def __init__(self, base_url: str, session: requests.Session | None = None, **options: Any) -> None:
        super().__init__(base_url, session, **options)
        self._warned = False
        try:
            self.username = _UsernameGetter().get_user_name(self.base_url)
        except CartoConfigurationException:
            self.username = None

    def sign(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments as they are."""
        if not reads(method, arguments["url"]) and not self._warned:
            self._warned = True
            warnings.warn("writing without authentication", stacklevel=5)
        return dict(arguments)


class BasicAuthClient(BaseAuthClient, _pyrestcli.BasicAuthClient):
    """Signs every request with HTTP Basic; the session stays unsigned."""

    def __init__(
        self,
        user_name: str,
        password: str,
        base_url: str,
        session: requests.Session | None = None,
        **options: Any,
    ) -> None:
        BaseAuthClient.__init__(self, base_url, session, **options)
        self._basic = Basic(user_name, password)
        self._password = password

    def sign(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments with Basic credentials, unless they bring their own."""
        return {**arguments, "auth": arguments.get("auth") or self._basic}

    def secrets(self) -> tuple[str, ...]:
        """The password."""
        return (self._password,) if self._password != _PUBLIC_KEY else ()


class APIKeyAuthClient(_UsernameGetter, _BaseUrlChecker, _ClientIdentifier, BaseAuthClient):
    """Acts in the name of an API key.

    The key travels in a header where CARTO accepts one and the account is certain, else as a parameter.

    Args:
        base_url: ``https://<user>.carto.com/`` or ``https://<host>/user/<user>/``.
        api_key: the master key, a regular one, or ``default_public``.
        organization: name of the user's organization.
        session: a ``requests`` session of your own.
        client_id: replaces ``cps-<version>`` in the ``client`` parameter.
        user_agent: replaces ``carto-python-sdk/<version>``.
        timeout: seconds, or ``(connect, read)``.
        retry: what to repeat after; see :class:`carto_like.core.retry.Retry`.
        verify: False, or the path of a CA bundle.
        proxies: proxy addresses by scheme.

    Raises:
        CartoException: the base URL names no account.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        organization: str | None = None,
        session: requests.Session | None = None,
        client_id: str | None = None,
        user_agent: str | None = None,
        *,
        timeout: Timeout = DEFAULT_TIMEOUT,
        retry: Retry | int | bool | None = DEFAULT_RETRY,
        verify: bool | str | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> None:
        BaseAuthClient.__init__(
            self,
            base_url,
            session,
            timeout=timeout,
            retry=retry,
            verify=verify,
            proxies=proxies,
            user_agent=user_agent or self.get_user_agent(),
        )
        self.base_url = self.check_base_url(self.base_url)
        self.username = self.get_user_name(self.base_url)
        self.organization = organization
        self.api_key = _key_text(api_key)
        self.client_id = client_id or self.get_client_identifier()

    def prepare_send(self, http_method: str, **requests_args: Any) -> tuple[str, dict[str, Any]]:
        """Method in lower case, and the arguments with key, client and User-Agent added, as a copy."""
        params = with_parameters(
            requests_args.get("params"), {"api_key": self.api_key, "client": self.client_id}
        )
        headers = {"User-Agent": self.user_agent, **(requests_args.get("headers") or {})}
        return http_method.lower(), {**requests_args, "params": params, "headers": headers}

    def sign(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments with the key where the server looks for it."""
        _, signed = self.prepare_send(method, **arguments)
        params = signed["params"]
        brought = not self.api_key or arguments.get("auth") is not None or _brings_key(arguments)
        by_header = takes_basic(arguments["url"], self.base_url, self.username)
        if brought or not by_header or not isinstance(params, dict):
            return signed
        signed["params"] = {name: value for name, value in params.items() if name != "api_key"}
        signed["auth"] = Basic(self.username or "", self.api_key)
        return signed

    def secrets(self) -> tuple[str, ...]:
        """The key, unless it is the public one, which is a word like any other."""
        return (self.api_key,) if self.api_key and self.api_key != _PUBLIC_KEY else ()


def _key_text(api_key: Any) -> Any:
    """The key; None stands for nobody's."""
    if api_key is None or isinstance(api_key, str):
        return api_key
    # Only the type: what it holds may be the key.
    raise CartoConfigurationException(f"the API key is text, not {type(api_key).__name__}")


def _brings_key(arguments: Mapping[str, Any]) -> bool:
    return any(
        isinstance(part, Mapping) and ("api_key" in part or "map_key" in part)
        for part in (arguments.get("params"), arguments.get("data"), arguments.get("json"))
    )


class NonVerifiedAPIKeyAuthClient(APIKeyAuthClient):
    """The same without verifying the server's certificate; for installations that have a private one."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        organization: str | None = None,
        session: requests.Session | None = None,
        client_id: str | None = None,
        user_agent: str | None = None,
        **options: Any,
    ) -> None:
        options.setdefault("verify", False)
        super().__init__(base_url, api_key, organization, session, client_id, user_agent, **options)
        if options["verify"] is False and self.base_url.startswith("https"):
            warnings.warn(
                "the server's certificate is not verified", category=InsecureRequestWarning, stacklevel=2
            )


class AuthAPIClient(_UsernameGetter, _BaseUrlChecker, BasicAuthClient):
    """Acts in the name of an API key, sent as HTTP Basic with the account's name."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        organization: str | None = None,
        session: requests.Session | None = None,
        **options: Any,
    ) -> None:
        username = self.get_user_name(base_url)
        BasicAuthClient.__init__(self, username or "", _key_text(api_key), base_url, session, **options)
        self.base_url = self.check_base_url(self.base_url)
        self.username = username
        self.organization = organization
        self.api_key = self._password
        self.client_id = _ClientIdentifier().get_client_identifier()

    def sign(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments with Basic credentials, or with the key as a parameter where no account is known."""
        extra = {"client": self.client_id, "api_key": None if self.username else self.api_key}
        signed = {**arguments, "params": with_parameters(arguments.get("params"), extra)}
        if not self.username or _brings_key(arguments):
            return signed
        return super().sign(method, signed)

    def is_valid_api_key(self) -> bool:
        """Whether the server knows the key.

        Raises:
            CartoException: the server answers neither yes nor 401.
        """
        response = self.send("api/v3/api_keys", "get")
        if response.status_code == requests.codes.unauthorized:
            return False
        body = self.get_response_data(response)
        keys = body.get("result") if isinstance(body, dict) else None
        return any(isinstance(key, dict) and key.get("token") == self.api_key for key in keys or ())
