"""What requests about maps say: who asks, with which tokens, and what is in their bodies."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request

from carto_like.server.accounts import Account, Principal
from carto_like.server.authentication import account_of, authenticate
from carto_like.server.errors import Problem
from carto_like.server.platform import Platform
from carto_like.server.services.mapviews import Viewer

from .problems import MapProblem, bad

_KEYS = ("api_key", "map_key")
_DEEPEST = 64


async def viewer_of(platform: Platform, request: Request, body: dict[str, Any] | None = None) -> Viewer:
    """Who looks at a map.

    Raises:
        Problem: 401 for an unknown key, 403 for one that is not for maps.
    """
    account = account_of(request)
    principal = await _principal(platform, request, account, body)
    query = request.query_params
    tokens = [*query.getlist("auth_token"), *query.getlist("auth_token[]")]
    return Viewer(account, principal.role, _shows_key(request, body), tuple(tokens))


async def require_master(
    platform: Platform, request: Request, action: str, body: dict[str, Any] | None = None
) -> Account:
    """The account, for whoever shows its master key.

    Raises:
        Problem: 403, which says that nobody else may ``action`` templates.
    """
    account = account_of(request)
    principal = await _principal(platform, request, account, body)
    if not _shows_key(request, body):
        text = f"Only authenticated users can {action} templated maps"
        raise MapProblem(403, text, kind="auth")
    if not principal.is_master:
        raise MapProblem(403, "Forbidden", kind="auth", more={"subtype": "api-key-does-not-grant-access"})
    return account


async def _principal(
    platform: Platform, request: Request, account: Account, body: dict[str, Any] | None
) -> Principal:
    keys = {name: value for name, value in (body or {}).items() if name in _KEYS}
    try:
        principal = await authenticate(platform, request, account=account, body=keys)
    except Problem as problem:
        if problem.status == 403:
            more = {"subtype": "api-key-username-mismatch"}
            raise MapProblem(403, "Forbidden", kind="auth", more=more) from problem
        raise
    if "maps" not in principal.key.apis:
        raise MapProblem(403, "Forbidden", kind="auth", more={"subtype": "api-key-does-not-grant-access"})
    return principal


def _shows_key(request: Request, body: dict[str, Any] | None) -> bool:
    if request.headers.get("authorization", "").partition(" ")[0].lower() == "basic":
        return True
    return any(request.query_params.get(name) or (body or {}).get(name) for name in _KEYS)


async def read_body(request: Request, refusal: str, *, empty: bool = False) -> dict[str, Any]:
    """The JSON object of a body.

    Args:
        request: the request.
        refusal: what is said to a body of another type.
        empty: whether there may be none.

    Raises:
        Problem: 400.
    """
    content = await request.body()
    if empty and not content.strip():
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise bad(refusal)
    return parsed(content, "SyntaxError: ")


def parsed(content: bytes | str, prefix: str) -> dict[str, Any]:
    """The JSON object in a text; raises the 400 that begins with ``prefix``."""
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise bad(f"{prefix}{error}") from None
    if not isinstance(value, dict):
        raise bad(f"{prefix}the body must be an object")
    if not _can_be_kept(value, _DEEPEST):
        raise bad(f"{prefix}NUL characters and more than {_DEEPEST} levels are not allowed")
    return value


def _can_be_kept(value: Any, depth: int) -> bool:
    """Whether JSON is not too deep to be copied and written, and holds no text that PostgreSQL cannot."""
    if isinstance(value, str):
        return "\0" not in value
    if isinstance(value, dict):
        return depth > 0 and all(
            "\0" not in name and _can_be_kept(part, depth - 1) for name, part in value.items()
        )
    return not isinstance(value, list) or (depth > 0 and all(_can_be_kept(part, depth - 1) for part in value))
