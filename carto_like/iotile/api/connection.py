"""``Api`` and its chained resources: ``api.org('farm').projects.get(name='Pumps')``."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urljoin

import requests

from carto_like.core.client import DEFAULT_TIMEOUT, Timeout
from carto_like.core.paths import item_path
from carto_like.iotile import _json
from carto_like.iotile.api._transport import Transport
from carto_like.iotile.api.exceptions import (
    HttpClientError,
    HttpServerError,
    ImproperlyConfigured,
    RestBaseException,
    RestFormatError,
)
from carto_like.iotile.client import API_PREFIX, DOMAIN_NAME

__all__ = [
    "API_PREFIX",
    "DEFAULT_HEADERS",
    "DEFAULT_TOKEN_TYPE",
    "DOMAIN_NAME",
    "Api",
    "RestResource",
]

DEFAULT_HEADERS = {"Content-Type": "application/json"}
DEFAULT_TOKEN_TYPE = "jwt"

_LOG = logging.getLogger(__name__)
_NO_CONTENT = (204, 205)
_NOT_JSON = ("text/csv", "text/html", "application/octet-stream")


class RestResource:
    """An address below the API; attributes and calls lead further down, verbs send requests.

    Args:
        **store: ``base_url`` of the resource; ``session``, ``token``, ``token_type`` and ``use_token`` for a
            resource that stands alone.

    Attributes:
        last_error: the error of the last :meth:`delete` that was answered with False; else None.
    """

    last_error: RestBaseException | None = None

    def __init__(self, **store: Any) -> None:
        self._store = store
        client = store.get("client")
        if client is None:
            client = Transport(
                store.get("base_url", DOMAIN_NAME),
                token=store.get("token"),
                token_type=store.get("token_type") or DEFAULT_TOKEN_TYPE,
                session=store.get("session"),
            )
        self._client: Transport = client

    def __getattr__(self, name: str) -> RestResource:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._below(name)

    def __call__(self, id: Any = None, action: str | None = None) -> RestResource:
        """The resource with this id, or this one; ``action`` adds a segment.

        A call also reaches what a method's name hides: ``api.event(1)('url')`` is ``/event/1/url/``.

        Raises:
            ImproperlyConfigured: the id is empty.
        """
        found = self if id is None else self._below(id)
        return found if action is None else found._below(action)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url()}>"

    def url(self) -> str:
        """The address, with its final slash."""
        base: str = self._store.get("base_url") or ""
        return base if base.endswith("/") else base + "/"

    # Verbs

    def get(self, **kwargs: Any) -> Any:
        """Read; keywords are query parameters, lists repeat the name, None is left out."""
        return self._converted(self._request("get", params=kwargs))

    def post(self, data: Any = None, **kwargs: Any) -> Any:
        """Send data as JSON; only None means no body."""
        return self._converted(self._request("post", json=data, params=kwargs))

    def put(self, data: Any = None, **kwargs: Any) -> Any:
        """Replace; see :meth:`post`."""
        return self._converted(self._request("put", json=data, params=kwargs))

    def patch(self, data: Any = None, **kwargs: Any) -> Any:
        """Change in part; see :meth:`post`."""
        return self._converted(self._request("patch", json=data, params=kwargs))

    def delete(self, data: Any = None, *, raise_errors: bool = False, **kwargs: Any) -> bool:
        """Delete; False when the server refuses, with the reason in the log and in ``last_error``.

        Args:
            data: a body, rarely needed.
            raise_errors: raise the error instead of answering False.
            **kwargs: query parameters.
        """
        self.last_error = None
        try:
            self._converted(self._request("delete", json=data, params=kwargs))
        except (HttpClientError, HttpServerError, RestFormatError) as error:
            if raise_errors:
                raise
            _LOG.warning("not deleted: %s", error)
            self.last_error = error
            return False
        return True

    def upload_fp(self, fp: Any, data: Any = None, **kwargs: Any) -> Any:
        """Send a file that is open for reading, as the form field ``file``; ``data`` are further fields."""
        answer = self._send("post", files={"file": fp}, data=data, params=kwargs)
        return self._converted(answer)

    def upload_file(self, filename: str, data: Any = None, mode: str = "rb", **kwargs: Any) -> Any:
        """Send a file by its path; see :meth:`upload_fp`."""
        with open(filename, mode) as file:
            return self.upload_fp(file, data, **kwargs)

    # How it is done

    def _below(self, segment: Any) -> RestResource:
        url = item_path(self.url(), segment, slash=True, refused=ImproperlyConfigured)
        return type(self)(**{**self._store, "base_url": url, "client": self._client})

    def _get_headers(self) -> dict[str, str]:
        headers = dict(DEFAULT_HEADERS)
        if self._signs():
            headers["Authorization"] = f"{self._client.token_type} {self._client.token}"
        return headers

    def _signs(self) -> bool:
        if not self._store.get("use_token", False):
            return False
        if "token" not in self._store and not self._store.get("shared"):
            raise RestBaseException("the resource is to send a token, and has none")
        return self._client.has_token

    def _request(self, method: str, *, json: Any = None, params: Any = None) -> requests.Response:
        return self._send(method, json=json, params=params, headers=dict(DEFAULT_HEADERS))

    def _send(self, method: str, **arguments: Any) -> requests.Response:
        if not self._signs():
            arguments["auth"] = _unsigned
        return self._client.send(self.url(), method, **arguments)

    def _converted(self, response: requests.Response) -> Any:
        """What a verb answers with: None, bytes, or parsed JSON."""
        status = response.status_code
        if status >= 400:
            raise self._client.make_error(response)
        if not 200 <= status < 300:
            raise RestFormatError(f"the answer of {response.url} has the status {status} and leads nowhere")
        if status in _NO_CONTENT:
            return None
        content = response.content
        if not content or response.headers.get("Content-Type", "").startswith(_NOT_JSON):
            return content
        try:
            return _json.loads(content)
        except ValueError:
            return content


class Api:
    """The API of one server: log in, then reach everything by name.

    Args:
        domain: address of the server, by default the hosted service.
        token_type: ``jwt`` or ``token``: what to take from a login.
        verify: False, or the path of a CA bundle; what the environment says counts only for True.
        timeout: seconds to wait for the server, for each request; by default the core's.
        retries: how often GET, PUT and DELETE are repeated after a lost connection; by default never.

    Attributes:
        base_url: root of the API, without a final slash.
        username: name of the account; None when nobody is logged in.
        session: the ``requests`` session.

    Example:
        >>> api = Api("http://127.0.0.1:8080/iotile")
        >>> api.login(email="ana@example.org", password="...")
        True
        >>> api.org("farm").projects.get()["count"]
        1
    """

    resource_class: type[RestResource] = RestResource

    def __init__(
        self,
        domain: str | None = None,
        token_type: str | None = None,
        verify: bool | str = True,
        timeout: Timeout = None,
        retries: Any = None,
    ) -> None:
        self.domain = (DOMAIN_NAME if domain is None else domain).rstrip("/")
        self.base_url = f"{self.domain}/{API_PREFIX}"
        self.use_token = True
        self.username: str | None = None
        self._client = Transport(
            self.base_url,
            token_type=token_type or DEFAULT_TOKEN_TYPE,
            timeout=DEFAULT_TIMEOUT if timeout is None else timeout,
            retries=retries,
        )
        self.session: requests.Session = self._client.session
        self.session.verify = verify

    def __getattr__(self, name: str) -> RestResource:
        if name.startswith("_"):
            raise AttributeError(name)
        return self.path(name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.base_url}>"

    @property
    def token(self) -> str | None:
        """The token of the login, or the one that was set; None signs nothing."""
        return self._client.token

    @token.setter
    def token(self, value: str | None) -> None:
        self._client.set_token(value)

    @property
    def token_type(self) -> str:
        """The scheme the token is sent with."""
        return self._client.token_type

    @token_type.setter
    def token_type(self, value: str) -> None:
        self._client.set_token(self._client.token, value)

    def path(self, *segments: Any) -> RestResource:
        """The resource at this path, whatever it is called: ``api.path('event', 1, 'url')``."""
        url = item_path(self.base_url, *segments, slash=True, refused=ImproperlyConfigured)
        return self.resource_class(
            base_url=url, client=self._client, session=self.session, use_token=self.use_token, shared=True
        )

    def set_token(self, token: str | None, token_type: str | None = None) -> None:
        """Use a token from elsewhere."""
        self._client.set_token(token, token_type)

    def login(self, password: str, email: str) -> bool:
        """Log in; best called by keywords, since the password comes first.

        Returns:
            Whether it worked; the reason for a refusal is logged.

        Raises:
            HttpCouldNotVerifyServerError: the server's certificate is not trusted.
            requests.ConnectionError, requests.Timeout: there was no answer.
        """
        answer = self._send("auth/login/", json={"email": email, "password": password}, auth=_unsigned)
        told = self._told(answer)
        token = None if told is None else told.get(self.token_type)
        if told is None or not isinstance(token, str) or not token:
            reason = "refused" if told is None else f"answered without a {self.token_type!r}"
            _LOG.error("Login failed: %s with status %s", reason, answer.status_code)
            return False
        self._client.set_token(token)
        self.username = told.get("username")
        return True

    def logout(self) -> None:
        """End the login; without one, nothing is sent."""
        if not self._client.has_token:
            return
        answer = self._send("auth/logout/")
        if answer.status_code == _NO_CONTENT[0]:
            self._client.set_token(None)
            self.username = None
        else:
            _LOG.error("Logout failed with status %s", answer.status_code)

    def refresh_token(self) -> bool:
        """Exchange the token for one that expires later; the old one stays when the server refuses.

        Raises:
            ValueError: the token is of a kind that does not expire.
        """
        if self.token_type != "jwt":
            raise ImproperlyConfigured(f"only a token of type 'jwt' can be renewed, not {self.token_type!r}")
        answer = self._send("auth/api-jwt-refresh/", json={"token": self.token}, auth=_unsigned)
        token = (self._told(answer) or {}).get("token")
        if not isinstance(token, str) or not token:
            _LOG.error("The token was not renewed: status %s", answer.status_code)
            return False
        self._client.set_token(token)
        return True

    def _send(self, path: str, **arguments: Any) -> requests.Response:
        url = urljoin(self.base_url + "/", path)
        return self._client.send(url, "post", headers=dict(DEFAULT_HEADERS), **arguments)

    @staticmethod
    def _told(response: requests.Response) -> dict[str, Any] | None:
        """The object that a 200 answers with; None for anything else."""
        if response.status_code != requests.codes.ok:
            return None
        try:
            body = _json.loads(response.content)
        except ValueError:
            return None
        return body if isinstance(body, dict) else None


def _unsigned(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
