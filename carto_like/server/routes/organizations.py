"""``/api/v1|v2/organization``: the users of an organization, managed by its owner and administrators."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carto_like.server.accounts import Account, Principal
from carto_like.server.authentication import account_of
from carto_like.server.errors import Problem
from carto_like.server.platform import Platform
from carto_like.server.services.organizations import ORDERS, Organization, Organizations
from carto_like.server.services.profiles import profile_of
from carto_like.server.services.users import Changes
from carto_like.server.vizapi.access import principal_of, root_of
from carto_like.server.vizapi.answers import answering, json_answer, typed
from carto_like.server.vizapi.bodies import read_body
from carto_like.server.vizapi.members import Refused, changed_member, new_member
from carto_like.server.vizapi.params import natural
from carto_like.server.vizapi.people import member, public_user

Body = dict[str, Any]

# Who may not is not told whether there is something he may not.
_NOBODY: Body = {}
_LARGEST_PAGE = 1000


def routes(platform: Platform) -> list[Route]:
    """The routes, relative to a user's root."""
    users = _Members(platform)
    found: list[Route] = []
    for version, listing in (("v1", users.page), ("v2", users.index)):
        every = f"/api/{version}/organization/{{organization}}/users"
        # A name that cannot be one may have a slash in it.
        one = every + "/{username:path}"
        found += [
            Route(every, answering(listing, typed), methods=["GET", "OPTIONS"]),
            Route(every, answering(users.create), methods=["POST"]),
            Route(one, answering(users.show), methods=["GET", "OPTIONS"]),
            Route(one, answering(users.update), methods=["PUT"]),
            Route(one, answering(users.delete), methods=["DELETE"]),
        ]
    return found


class _Members:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._organizations = Organizations(platform.database, platform.users)

    async def index(self, request: Request) -> Response:
        _, organization = await self._managed(request)
        if organization is None:
            return json_answer(_NOBODY, 401)
        accounts = (await self._organizations.members(organization)).accounts
        return json_answer([await self._tell(request, account) for account in accounts])

    async def page(self, request: Request) -> Response:
        caller, organization = await self._joined(request)
        if organization is None:
            return json_answer(_NOBODY, 401)
        query = request.query_params
        size = min(natural(query, "per_page", 50), _LARGEST_PAGE)
        order = query.get("order") or "username"
        if order not in ORDERS:
            raise Problem(400, f"Wrong 'order' parameter value. Valid values are one of {', '.join(ORDERS)}")
        found = await self._organizations.members(
            organization,
            text=query.get("q", ""),
            order=order,
            limit=size,
            offset=(natural(query, "page", 1) - 1) * size,
        )
        tell = self._tell if _is_admin(caller) else self._introduce
        told = [await tell(request, account) for account in found.accounts]
        return json_answer({"users": told, "total_user_entries": found.total, "total_entries": found.total})

    async def show(self, request: Request) -> Response:
        _, organization = await self._managed(request)
        if organization is None:
            return json_answer(_NOBODY, 401)
        account = await self._organizations.member(organization, _username(request))
        return _unknown(request) if account is None else json_answer(await self._tell(request, account))

    async def create(self, request: Request) -> Response:
        body = await read_body(request)
        _, organization = await self._managed(request, body)
        if organization is None:
            return json_answer(_NOBODY, 401)
        try:
            name, changes = new_member(body)
            await self._check_email(changes)
            account = await self._organizations.create_user(organization.name, name, changes=changes)
        except Refused as refused:
            return json_answer(refused.messages, 410)
        except Problem as problem:
            if problem.status not in (409, 422):
                raise
            return json_answer([f"username is already taken: {problem.message}"], 410)
        return json_answer(await self._tell(request, account))

    async def update(self, request: Request) -> Response:
        body = await read_body(request)
        caller, organization = await self._managed(request, body)
        if organization is None:
            return json_answer(_NOBODY, 401)
        account = await self._organizations.member(organization, _username(request))
        if account is None:
            return _unknown(request)
        if _is_above(account, caller):
            return json_answer(_NOBODY, 401)
        try:
            changes = changed_member(body)
            if changes is None:
                return json_answer("Nothing to change was given", 410)
            if changes.org_admin is False and account.membership and account.membership.is_owner:
                raise Refused(["org_admin must stay true for the owner of the organization"])
            await self._check_email(changes, account)
        except Refused as refused:
            return json_answer(refused.messages, 410)
        return json_answer(await self._tell(request, await self._platform.users.change(account, changes)))

    async def delete(self, request: Request) -> Response:
        body = await read_body(request)
        caller, organization = await self._managed(request, body)
        if organization is None:
            return json_answer(_NOBODY, 401)
        account = await self._organizations.member(organization, _username(request))
        if account is None:
            return _unknown(request)
        if account.membership is not None and account.membership.is_owner:
            return json_answer("The owner of an organization can't be deleted", 401)
        if _is_above(account, caller):
            return json_answer("An administrator can't delete another one", 401)
        await self._platform.users.delete(account)
        return json_answer("User deleted")

    async def _joined(
        self, request: Request, body: Body | None = None
    ) -> tuple[Principal, Organization | None]:
        """The caller, and the organization in the path when it is his and his key is no public one."""
        account = account_of(request)
        caller = await principal_of(self._platform, request, account, body, required=True)
        organization = await self._organizations.find(str(request.path_params["organization"]))
        membership = account.membership
        if (
            organization is None
            or membership is None
            or membership.organization_id != organization.id
            or caller.key.type == "default"
        ):
            return caller, None
        return caller, organization

    async def _managed(
        self, request: Request, body: Body | None = None
    ) -> tuple[Principal, Organization | None]:
        """The caller, and the organization in the path when he may manage its users."""
        caller, organization = await self._joined(request, body)
        return caller, organization if _is_admin(caller) else None

    async def _check_email(self, changes: Changes, account: Account | None = None) -> None:
        if changes.email and await self._organizations.is_email_taken(changes.email, by_other_than=account):
            raise Refused(["email is already taken"])

    async def _tell(self, request: Request, account: Account) -> Body:
        profile = await profile_of(self._platform.database, account)
        token = (await self._platform.users.keys(account))[0].token
        return member(account, root_of(self._platform, request, account), profile, token)

    async def _introduce(self, request: Request, account: Account) -> Body:
        return public_user(account, root_of(self._platform, request, account))


def _is_admin(caller: Principal) -> bool:
    membership = caller.account.membership
    return caller.is_master and membership is not None and membership.is_admin


def _is_above(account: Account, caller: Principal) -> bool:
    """Whether the account is for the owner alone to manage, and the caller is neither he nor itself."""
    if account.id == caller.account.id or (caller.account.membership and caller.account.membership.is_owner):
        return False
    return account.membership is not None and account.membership.is_admin


def _username(request: Request) -> str:
    return str(request.path_params["username"])


def _unknown(request: Request) -> Response:
    return json_answer(f"There is no user '{_username(request)}' in this organization", 404)
