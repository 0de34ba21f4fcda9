"""The client that every platform's own client derives from: it signs, sends, repeats and judges."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, ClassVar, TypeVar
from urllib.parse import urljoin

import requests

from carto_like import __version__
from carto_like.core import answers, failures
from carto_like.core._pyrestcli import BaseAuthClient
from carto_like.core.clock import SYSTEM_CLOCK, Clock
from carto_like.core.credentials import ANONYMOUS
from carto_like.core.errors import (
    ERROR_TYPES,
    ApiError,
    ConfigurationError,
    ErrorDetail,
    ForeignOriginError,
    ResponseFormatError,
    SdkError,
    TransportError,
    error_type_for,
)
from carto_like.core.log import blank, quiet_urllib3, redact
from carto_like.core.network import Adapter, Session
from carto_like.core.options import DEFAULT_TIMEOUT, UNSET, Timeout, Unset
from carto_like.core.redirects import same_origin
from carto_like.core.retry import DEFAULT_RETRY, Retry, as_retry
from carto_like.core.sending import Delivery
from carto_like.core.streaming import Body, as_request_body
from carto_like.core.urls import normalised

__all__ = ["DEFAULT_TIMEOUT", "UNSET", "Client", "Timeout", "Unset"]

_E = TypeVar("_E", bound=SdkError)


class Client(BaseAuthClient):
    """Sends requests to one server, in the name of one caller.

    Args:
        base_url: root that relative paths are joined to; a slash is appended, user info and query dropped.
        session: a ``requests`` session of the caller's, with adapters of their own; left open by ``close()``.
        timeout: seconds, or ``(connect, read)``; None waits for ever.
        retry: a :class:`~carto_like.core.retry.Retry`, a number of repetitions, or False.
        verify: False, or the path of a CA bundle; None leaves it to the session and the environment.
        proxies: proxy addresses by scheme.
        user_agent: how the client introduces itself.

    Raises:
        ConfigurationError: the base URL has no scheme or no host.
    """

    error_types: ClassVar[Mapping[int, type[ApiError]]] = ERROR_TYPES
    """Which class is raised for a status; see :func:`~carto_like.core.errors.error_type_for`."""
    twins: ClassVar[Mapping[type[SdkError], type[SdkError]]] = {}
    """A platform's own class for one of the core's, where it has one."""

    clock: Clock = SYSTEM_CLOCK

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
        # By name, because platforms mix in pyrestcli's other clients, whose constructors differ.
        BaseAuthClient.__init__(
            self, self.normalise_base_url(base_url), Session() if session is None else session
        )
        self._owns_session = session is None
        self.timeout = timeout
        self.retry = as_retry(retry)
        self.verify = verify
        self.proxies = dict(proxies) if proxies else None
        self.user_agent = user_agent or f"carto-like/{__version__}"
        quiet_urllib3()

    # What platforms answer

    def sign(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The call's arguments with credentials added, as a copy; the session is never signed.

        Args:
            method: HTTP method, upper case.
            arguments: keyword arguments of ``requests.Session.request``, the full ``url`` among them.
        """
        return dict(arguments)

    def secrets(self) -> tuple[str, ...]:
        """Texts that no message may show."""
        return ()

    def read_error(self, response: requests.Response) -> ErrorDetail:
        """What an answer of 400 or more says about itself."""
        return answers.read_detail(response)

    def is_own(self, url: str) -> bool:
        """Whether credentials may be sent to this full address."""
        return same_origin(self.base_url, url)

    def normalise_base_url(self, base_url: str) -> str:
        """The base URL as requests are built on it."""
        try:
            return normalised(base_url)
        except (TypeError, ValueError) as error:
            raise self.error_type(ConfigurationError)(str(error)) from None

    # What callers use

    def send(
        self,
        relative_path: str,
        http_method: str,
        *,
        timeout: Timeout | Unset = UNSET,
        retry: Retry | int | bool | Unset | None = UNSET,
        **requests_args: Any,
    ) -> requests.Response:
        """The server's answer, whatever its status.

        Args:
            relative_path: path below the base URL, from the host's root with a leading slash, or a full
                address on the same server.
            http_method: in either case of letters.
            timeout: overrides the client's.
            retry: overrides the client's.
            requests_args: as for ``requests.request``; never modified.

        Raises:
            TransportError: no answer, or a redirect that cannot be followed.
            ForeignOriginError: the address is not on this client's server.
            ConfigurationError: the request cannot be sent as it is.
        """
        # Nothing that holds credentials stays in this frame, whose variables error reports may show.
        outcome = self._prepare(relative_path, http_method.upper(), timeout, retry, requests_args).run()
        if isinstance(outcome, SdkError):
            raise failures.convert(outcome, self.error_type(type(outcome))) from None
        if isinstance(outcome, failures.Failure):
            raise self.make_failure(outcome) from outcome.cause
        return outcome

    def get_response_data(self, response: requests.Response, parse_json: bool = True) -> Any:
        """The content of an answer: parsed JSON, or bytes; None when there is none.

        Raises:
            ApiError: the status is 400 or more; the class tells which.
            ResponseFormatError: the content is not JSON.
            TransportError: the connection broke while the content was read.
        """
        if response.status_code >= 400:
            raise self.make_error(response)
        content = None if response.status_code == requests.codes.no_content else self._content_of(response)
        if not content or not parse_json:
            return content or None
        try:
            return response.json()
        except ValueError as error:
            where = redact(str(response.url), self.secrets())
            raise self.error_type(ResponseFormatError)(
                f"the answer of {where} is not JSON: {error}"
            ) from None

    def make_error(self, response: requests.Response) -> ApiError:
        """The exception that stands for an answer of 400 or more."""
        secrets = self.secrets()
        detail = self.read_error(response).without(secrets)
        return error_type_for(response.status_code, self.error_types)(
            detail.message,
            response.status_code,
            response.headers,
            response.reason,
            redact(str(response.url), secrets),
            detail=detail,
            body=blank(answers.excerpt(response), secrets),
        )

    def make_failure(self, failure: failures.Failure) -> SdkError:
        """The exception that stands for a request without an answer."""
        kind = self.error_type(failure.kind)
        if issubclass(kind, TransportError):
            return kind(failure.text, request=failure.request)
        return kind(failure.text)

    def error_type(self, core_type: type[_E]) -> type[_E]:
        """This platform's own class for one of the core's, or the core's."""
        twin = self.twins.get(core_type, core_type)
        return twin if issubclass(twin, core_type) else core_type

    def close(self) -> None:
        """Let go of connections; a session that the caller brought stays open."""
        if self._owns_session:
            self.session.close()

    def __enter__(self: _C) -> _C:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {redact(self.base_url)}>"

    # How it is done

    def _content_of(self, response: requests.Response) -> bytes:
        try:
            return response.content
        except requests.RequestException as error:
            asked = {"method": "reading", "url": response.url}
            failure = failures.Failure.of(error, asked, self.secrets())
        # Outside of the handler, so that the original, which may quote the key, is not kept as context.
        raise self.make_failure(failure) from failure.cause

    def _resolve(self, relative_path: str) -> str:
        if not isinstance(relative_path, str):
            # urljoin would take None for the root itself.
            raise self.error_type(ConfigurationError)(f"not a path: {relative_path!r}")
        url = urljoin(self.base_url, relative_path)
        if not self.is_own(url):
            where = redact(url, self.secrets())
            raise self.error_type(ForeignOriginError)(f"{where} is not on the server {redact(self.base_url)}")
        return url

    def _prepare(
        self,
        relative_path: str,
        method: str,
        timeout: Timeout | Unset,
        retry: Retry | int | bool | Unset | None,
        requests_args: Mapping[str, Any],
    ) -> Delivery:
        url = self._resolve(relative_path)
        arguments = self.sign(method, {**requests_args, "url": url, "method": method})
        self._complete(arguments, self.timeout if isinstance(timeout, Unset) else timeout)
        policy = self.retry if isinstance(retry, Unset) else as_retry(retry)
        return Delivery(self.session, arguments, policy, self.clock, self.secrets())

    def _complete(self, arguments: dict[str, Any], timeout: Timeout) -> None:
        arguments["headers"] = _with_user_agent(arguments.get("headers"), self.user_agent)
        if arguments.get("auth") is None and getattr(self.session, "auth", None) is None:
            arguments["auth"] = ANONYMOUS
        for name, value in (("verify", self.verify), ("proxies", self.proxies)):
            if value is not None and arguments.get(name) is None:
                arguments[name] = value
        arguments.update(as_request_body(arguments))
        arguments["timeout"] = self._timeout_for(arguments, timeout)

    def _timeout_for(self, arguments: Mapping[str, Any], timeout: Timeout) -> Timeout:
        body = arguments.get("data")
        if not isinstance(body, Body):
            return timeout
        connect, read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
        body.patience = read
        ours = isinstance(self.session, Session) and isinstance(
            self.session.get_adapter(arguments["url"]), Adapter
        )
        # Other adapters send the body under the connect timeout, which is too short for a busy server.
        return (connect if ours else read, read)


_C = TypeVar("_C", bound=Client)


def _with_user_agent(headers: Mapping[str, str] | None, user_agent: str) -> dict[str, str]:
    given = dict(headers or {})
    if not any(name.lower() == "user-agent" for name in given):
        given["User-Agent"] = user_agent
    return given
