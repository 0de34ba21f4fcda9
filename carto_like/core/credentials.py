"""Ready-made ways to sign a request; none of them shows its secret when printed.

They are ``requests`` auth objects, so a call that carries one is never signed from a ``.netrc`` file.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import requests
from requests.auth import AuthBase

__all__ = ["ANONYMOUS", "Anonymous", "Basic", "HeaderToken", "with_parameters"]


class Anonymous(AuthBase):
    """Sends no credentials, whatever a ``.netrc`` file says."""

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        """Leave the request as it is."""
        return r


ANONYMOUS = Anonymous()


class HeaderToken(AuthBase):
    """Sends ``<scheme> <token>`` in a header."""

    def __init__(self, token: str, *, scheme: str = "Bearer", header: str = "Authorization") -> None:
        self._token = token
        self.scheme = scheme
        self.header = header

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        """Set the header."""
        r.headers[self.header] = f"{self.scheme} {self._token}".strip()
        return r

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.header}: {self.scheme} ***>"


class Basic(HeaderToken):
    """HTTP Basic in UTF-8, where requests' own tuple would be Latin-1."""

    def __init__(self, user: str, password: str) -> None:
        pair = f"{user}:{password}".encode()
        super().__init__(base64.b64encode(pair).decode("ascii"), scheme="Basic")
        self.user = user


def with_parameters(params: Any, extra: Mapping[str, Any]) -> Any:
    """Query parameters with more of them; what is already there wins, and the argument stays as it was.

    Args:
        params: anything that requests takes: a mapping, pairs, text, bytes or None.
        extra: parameters to add; those that are None are left out.
    """
    added = {name: value for name, value in extra.items() if value is not None}
    if isinstance(params, bytes):
        params = params.decode()
    if isinstance(params, str):
        params = parse_qsl(params, keep_blank_values=True)
    if params is None or isinstance(params, Mapping):
        return {**added, **(params or {})}
    pairs: list[tuple[Any, Any]] = list(_pairs(params))
    taken = {name for name, _ in pairs}
    return pairs + [(name, value) for name, value in added.items() if name not in taken]


def _pairs(params: Iterable[tuple[Any, Any]]) -> Iterable[tuple[Any, Any]]:
    return ((name, value) for name, value in params)
