"""Who may use the endpoints of datasets and accounts, and where those are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from carto_like.server.accounts import Account, Principal
from carto_like.server.authentication import authenticate
from carto_like.server.errors import Problem
from carto_like.server.platform import Platform
from carto_like.server.services.profiles import profile_of
from carto_like.server.vizapi.bodies import texts
from carto_like.server.vizapi.people import nested_user, public_user
from carto_like.server.vizapi.shapes import Teller


async def principal_of(
    platform: Platform,
    request: Request,
    account: Account,
    body: Mapping[str, Any] | None = None,
    *,
    required: bool = False,
) -> Principal:
    """The principal of a request; the account's public one when no key is given and none is required.

    Raises:
        Problem: 401 for a key that is not the account's, or none though one is required.
    """
    try:
        return await authenticate(
            platform, request, account=account, body=texts(body or {}), required=required
        )
    except Problem as problem:
        if problem.status in (401, 403):
            raise Problem(401) from problem
        raise


async def require_master(
    platform: Platform, request: Request, account: Account, body: Mapping[str, Any] | None = None
) -> Principal:
    """The principal of a request that only the master key may make.

    Raises:
        Problem: 401 for any other key, and for none.
    """
    principal = await principal_of(platform, request, account, body, required=True)
    if not principal.is_master:
        raise Problem(401)
    return principal


def root_of(platform: Platform, request: Request, account: Account) -> str:
    """The account's root as clients address it, without a slash at its end."""
    host = platform.settings.public_url or f"{request.url.scheme}://{request.url.netloc}"
    return f"{host.rstrip('/')}/user/{account.name}"


async def teller_of(
    platform: Platform, request: Request, account: Account, *, is_owner: bool, with_user: bool
) -> Teller:
    """What tells the account's datasets to the viewer; ``with_user`` when he wants to read of their owner."""
    root = root_of(platform, request, account)
    owner = public_user(account, root)
    if is_owner and with_user:
        owner = nested_user(account, root, await profile_of(platform.database, account))
    return Teller(account, root, owner, is_owner)
