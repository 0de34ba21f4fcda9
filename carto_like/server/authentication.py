"""Who is asking: the account a request addresses and the key it shows."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.requests import Request

from .accounts import Account, Key, Principal
from .errors import Problem

if TYPE_CHECKING:
    from .platform import Platform

_PARAMETERS = ("api_key", "map_key")


def account_of(request: Request) -> Account:
    """The account that a request addresses by its path, or the default user's."""
    account = request.scope["state"]["account"]
    assert isinstance(account, Account)
    return account


async def authenticate(
    platform: Platform,
    request: Request,
    *,
    account: Account,
    body: Mapping[str, object] | None = None,
    required: bool = False,
) -> Principal:
    """The principal a request acts as; without a key, the account's public role.

    A key is looked for in HTTP Basic, then the query string, then ``body``; the first one decides, but
    whatever else was given must be a known key, too.

    Args:
        platform: where keys are known.
        request: the request.
        account: whose keys count.
        body: parameters read from the request's body, where those may hold a key.
        required: refuse requests without a key.

    Raises:
        Problem: 401 ``Unauthorized`` for an unknown, repeated or missing key; 403 ``permission denied`` when
            Basic names another user, ``Forbidden`` for another account's key.
    """
    tokens = [_basic_token(request, account), _parameter(request, body)]
    keys = [await _known_key(platform, account, token) for token in tokens if token]
    if keys:
        key = keys[0]
    elif required:
        raise Problem(401, "Unauthorized")
    else:
        key = await platform.users.default_key(account)
    request.scope["state"]["principal"] = principal = Principal(account, key)
    return principal


def require_api(principal: Principal, api: str) -> None:
    """Refuse a key that does not grant an API (``"sql"``, ``"maps"``).

    Raises:
        Problem: 403 ``forbidden``.
    """
    if api not in principal.key.apis:
        raise Problem(403, "forbidden")


async def _known_key(platform: Platform, account: Account, token: str) -> Key:
    key = await platform.users.key_for_token(account, token)
    if key is None:
        raise Problem(401, "Unauthorized")
    return key


def _basic_token(request: Request, account: Account) -> str | None:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, token = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    if not colon:
        return None
    if user != account.name:
        raise Problem(403, "permission denied")
    return token


def _parameter(request: Request, body: Mapping[str, object] | None) -> str | None:
    """The key given as a parameter; an empty one counts as absent."""
    for name in _PARAMETERS:
        values = request.query_params.getlist(name)
        if len(values) > 1:
            raise Problem(401, "Unauthorized")
        if values and values[0]:
            return values[0]
    for name in _PARAMETERS:
        value = (body or {}).get(name)
        if isinstance(value, list):
            raise Problem(401, "Unauthorized")
        if isinstance(value, str) and value:
            return value
    return None
