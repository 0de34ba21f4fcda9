"""``/api/v1/users``, ``/api/v3/me``, ``/api/v4/me``: who the caller is, what he has, and what he changes."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carto_like import __version__
from carto_like.server.accounts import Account, Principal
from carto_like.server.authentication import account_of
from carto_like.server.errors import Problem
from carto_like.server.platform import Platform
from carto_like.server.services.keys import owner_of_token
from carto_like.server.services.organizations import Organizations
from carto_like.server.services.profiles import profile_of
from carto_like.server.services.users import Changes
from carto_like.server.vizapi.access import principal_of, require_master, root_of
from carto_like.server.vizapi.answers import answering, json_answer
from carto_like.server.vizapi.bodies import read_body
from carto_like.server.vizapi.members import Refused, changed_self
from carto_like.server.vizapi.people import organization_of, user_data

# What a dashboard would show; there is none, so there is nothing to show.
_DASHBOARD: dict[str, Any] = {
    "default_fallback_basemap": {},
    "dashboard_notifications": {},
    "organization_notifications": [],
    "can_change_password": False,
    "plan_name": "",
    "services": [],
    "mfa_required": False,
}


def routes(platform: Platform) -> list[Route]:
    """The routes, relative to a user's root."""
    people = _People(platform)
    get = ["GET"]
    return [
        Route("/api/v1/users/{anybody:path}", answering(people.show), methods=get),
        Route("/api/v1/users/{anybody:path}", answering(people.change), methods=["PUT"]),
        Route("/api/v3/me", answering(people.me), methods=get),
        Route("/api/v3/me", answering(people.change), methods=["PUT"]),
        Route("/api/v3/me", answering(people.delete), methods=["DELETE"]),
        Route("/api/v4/me", answering(people.identity, cors=True), methods=get),
    ]


class _People:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._organizations = Organizations(platform.database, platform.users)

    async def show(self, request: Request) -> Response:
        account = account_of(request)
        return json_answer(await self._data(request, await require_master(self._platform, request, account)))

    async def me(self, request: Request) -> Response:
        account = await self._meant(request)
        principal = await principal_of(self._platform, request, account)
        root = root_of(self._platform, request, account)
        config = {
            "user_name": account.name,
            "base_url": root,
            "sql_api_template": f"{root}/api/v2/sql",
            "cartodb_com_hosted": False,
        }
        answer: dict[str, Any] = {"config": config, "user_frontend_version": __version__}
        if principal.is_master:
            answer |= {"user_data": await self._data(request, principal), **_DASHBOARD}
        return json_answer(answer)

    async def change(self, request: Request) -> Response:
        body = await read_body(request)
        account = await self._meant(request)
        principal = await require_master(self._platform, request, account, body)
        given = body.get("user", body)
        try:
            changes = changed_self(given if isinstance(given, dict) else {})
            if changes is not None:
                account = await self._changed(account, changes)
        except Refused as refused:
            raise Problem(422, str(refused)) from None
        return json_answer(await self._data(request, Principal(account, principal.key)))

    async def _changed(self, account: Account, changes: Changes) -> Account:
        if changes.email and await self._organizations.is_email_taken(changes.email, by_other_than=account):
            raise Refused(["email is already taken"])
        return await self._platform.users.change(account, changes)

    async def delete(self, request: Request) -> Response:
        body = await read_body(request)
        account = await self._meant(request)
        await require_master(self._platform, request, account, body)
        await self._platform.users.delete(account)
        return json_answer({"message": "User deleted"})

    async def identity(self, request: Request) -> Response:
        account = account_of(request)
        principal = await principal_of(self._platform, request, account, required=True)
        root = root_of(self._platform, request, account)
        endpoints = dict.fromkeys(("sql", "maps", "import", "auth", "builder"), f"{root}/")
        answer: dict[str, Any] = {
            "username": account.name,
            "organization": None,
            "api_endpoints": endpoints,
        }
        organization = organization_of(account)
        if organization is not None:
            answer["organization"] = {"name": organization["name"]}
        if principal.is_master:
            answer |= {
                "first_name": account.details.get("name"),
                "last_name": account.details.get("last_name"),
                "avatar_url": account.details.get("avatar_url"),
                "region": None,
                "groups": [],
            }
            if organization is not None:
                answer["organization"]["owner"] = organization["owner"]
            endpoints["maps_api_v2_template"] = root
        return json_answer(answer)

    async def _data(self, request: Request, principal: Principal) -> dict[str, Any]:
        account = principal.account
        profile = await profile_of(self._platform.database, account)
        return user_data(account, root_of(self._platform, request, account), profile, principal.key.token)

    async def _meant(self, request: Request) -> Account:
        """Whose ``me`` it is: clients that join paths to their address's host lose the user in it."""
        account = account_of(request)
        if request.scope["state"]["full_path"].startswith(("/user/", "/u/")):
            return account
        platform = self._platform
        name = _basic_user(request)
        token = request.query_params.get("api_key") or request.query_params.get("map_key")
        if not name and token:
            name = await owner_of_token(platform.database, platform.secrets, token)
        return (await platform.users.get(name) or account) if name else account


def _basic_user(request: Request) -> str | None:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return None
