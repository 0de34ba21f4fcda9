"""``org/`` and ``account/``: organizations, who is in them, and the account itself."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from carto_like.server.iotile import shapes
from carto_like.server.iotile.call import Call, Site, answer, no_content, route
from carto_like.server.iotile.fields import Field, flag, one_of, read, text, texts
from carto_like.server.iotile.lists import SMALL
from carto_like.server.iotile.parameters import object_of, text_of
from carto_like.server.iotile.problems import Refusal, not_found, wrong
from carto_like.server.pool import Connection
from carto_like.server.routes.iotile.found import the_org
from carto_like.server.services.iotile import orgs, projects
from carto_like.server.services.iotile.devices import DATABLOCK, DEVICE
from carto_like.server.services.iotile.kinds import Record, find

_ORG = {
    "name": Field(text(longest=50, blank=False), required=True),
    "about": Field(text(longest=400)),
    "ot": Field(text(longest=50), null=True),
    "domain_names": Field(texts(most=20)),
}
_ACCOUNT = {"name": Field(text(longest=120)), "tagline": Field(text(longest=260))}
_ROLE = {"is_org_admin": Field(flag), "role": Field(one_of(orgs.ADMIN, orgs.MEMBER))}
_NEW_MEMBER = {"user": Field(text(blank=False), required=True), **_ROLE}
_INVITED = {"email": Field(text(blank=False), required=True), **_ROLE}
_MEMBER = {"is_active": Field(flag), **_ROLE}
_TAKEN = "An organization with this name exists already, or its slug would be the same."
_LAST_ADMIN = "An organization needs an administrator."


async def collection(call: Call) -> Response:
    """List the account's organizations; or make one."""
    if call.method == "GET":
        where = call.where()
        for name in ("slug", "name"):
            if (value := text_of(call.request.query_params, name)) is not None:
                where.add(f"o.{name} = %(value)s", value=value)
        return await call.list_of(orgs.ORG, where, SMALL, shapes.org)
    values = _named(read(await object_of(call.request), _ORG))
    async with call.platform.database.metadata() as connection:
        try:
            org = await orgs.create(connection, call.person.id, values)
        except orgs.NameTaken:
            raise wrong("name", _TAKEN) from None
        made = await call.find(connection, orgs.ORG, call.where().add("o.id = %(org)s", org=org))
    return answer(shapes.org(made), 201)


async def one(call: Call) -> Response:
    """Read, change or delete an organization."""
    async with call.platform.database.metadata() as connection:
        org = await the_org(call, connection)
        if call.method == "GET":
            return answer(shapes.org(org))
        if call.method == "DELETE":
            await _delete(call, connection, org)
            return no_content()
        await call.require_admin(connection, org["id"])
        values = _named(read(await object_of(call.request), _ORG, partial=True))
        try:
            await orgs.change(connection, org["id"], values)
        except orgs.NameTaken:
            raise wrong("name", _TAKEN) from None
        where = call.where().add("o.id = %(org)s", org=org["id"])
        return answer(shapes.org(await call.find(connection, orgs.ORG, where)))


async def its_projects(call: Call) -> Response:
    """The projects of an organization."""
    async with call.platform.database.metadata() as connection:
        org = await the_org(call, connection)
    where = call.where().add("p.org = %(org)s", org=org["id"])
    return await call.list_of(projects.PROJECT, where, SMALL, shapes.project)


async def its_devices(call: Call) -> Response:
    """The devices of an organization."""
    async with call.platform.database.metadata() as connection:
        org = await the_org(call, connection)
    where = call.where().add("d.org = %(org)s", org=org["id"])
    return await call.list_of(DEVICE, where, SMALL, shapes.device)


async def its_archives(call: Call) -> Response:
    """The data blocks of an organization."""
    async with call.platform.database.metadata() as connection:
        org = await the_org(call, connection)
    where = call.where().add("b.org = %(org)s", org=org["id"])
    return await call.list_of(DATABLOCK, where, SMALL, shapes.datablock)


async def extra(call: Call) -> Response:
    """How much there is in an organization."""
    async with call.platform.database.metadata() as connection:
        org = await the_org(call, connection)
        return answer({"id": str(org["id"]), "slug": org["slug"], **await orgs.counts(connection, org["id"])})


async def membership(call: Call) -> Response:
    """The account's own place in an organization."""
    async with call.platform.database.metadata() as connection:
        org = await the_org(call, connection)
        return answer(shapes.membership(await _member(call, connection, org, call.person.username)))


async def members(call: Call) -> Response:
    """List who is in an organization; or let somebody be in it."""
    async with call.platform.database.metadata() as connection:
        org = await the_org(call, connection)
    if call.method == "GET":
        where = call.where().add("m.org = %(org)s", org=org["id"])
        return await call.list_of(orgs.MEMBERSHIP, where, SMALL, shapes.membership)
    return await _admit(call, org, read(await object_of(call.request), _NEW_MEMBER), "user")


async def invite(call: Call) -> Response:
    """Let the account with an address be in an organization, at once."""
    async with call.platform.database.metadata() as connection:
        org = await the_org(call, connection)
    return await _admit(call, org, read(await object_of(call.request), _INVITED), "email")


async def member(call: Call) -> Response:
    """Read, change or end somebody's membership."""
    async with call.platform.database.metadata() as connection:
        org = await the_org(call, connection)
        found = await _member(call, connection, org, call.path["user"])
        if call.method == "GET":
            return answer(shapes.membership(found))
        # Everybody may leave.
        if call.method != "DELETE" or found["account"] != call.person.id:
            await call.require_admin(connection, org["id"])
        if call.method == "DELETE":
            if not await orgs.leave(connection, org["id"], found["account"]):
                raise Refusal(403, {"error": _LAST_ADMIN})
            return no_content()
        values = read(await object_of(call.request), _MEMBER, partial=True)
        if not await orgs.change_member(connection, org["id"], found["account"], values):
            raise wrong("is_org_admin", _LAST_ADMIN)
        found = {**found, **orgs.place_of(values)}
    return answer(shapes.membership(found))


async def account(call: Call) -> Response:
    """The account itself: the only one that is listed."""
    if call.method == "GET":
        body = {"count": 1, "next": None, "previous": None, "results": [shapes.account(call.person)]}
        return answer(body)
    return await _describe(call)


async def one_account(call: Call) -> Response:
    """The account by its slug; that of others is nobody's business."""
    if call.path["slug"] != call.person.username:
        raise not_found()
    return answer(shapes.account(call.person)) if call.method == "GET" else await _describe(call)


async def _describe(call: Call) -> Response:
    values = read(await object_of(call.request), _ACCOUNT, partial=True)
    person = await call.site.accounts.describe(
        call.person, name=values.get("name"), tagline=values.get("tagline")
    )
    return answer(shapes.account(person))


async def _delete(call: Call, connection: Connection, org: Record) -> None:
    if org["creator"] != call.person.id:
        raise Refusal(403, {"error": "Only who made the organization may delete it."})
    if not await orgs.delete_empty(connection, org["id"]):
        raise Refusal(403, {"error": "The organization has projects. Delete them first."})


async def _admit(call: Call, org: Record, values: dict[str, Any], field: str) -> Response:
    async with call.platform.database.metadata() as connection:
        await call.require_admin(connection, org["id"])
        person = await call.site.accounts.named(connection, values[field])
        if person is None:
            raise wrong(field, "There is no account of this name or address.")
        facts = {"is_admin": values.get("is_org_admin"), "role": values.get("role")}
        if not await orgs.join(connection, org["id"], person.id, **facts):
            raise wrong("is_org_admin", _LAST_ADMIN)
        return answer(shapes.membership(await _member(call, connection, org, person.username)), 201)


async def _member(call: Call, connection: Connection, org: Record, name: str) -> Record:
    where = call.where().add("m.org = %(org)s", org=org["id"]).add("u.name = %(name)s", name=name)
    found = await find(connection, orgs.MEMBERSHIP, where) if "\0" not in name else None
    if found is None:
        raise not_found()
    return found


def _named(values: dict[str, Any]) -> dict[str, Any]:
    if "name" in values and not orgs.slug_of(values["name"]):
        raise wrong("name", "A name needs a Latin letter or a digit, of which its slug is made.")
    return values


def routes(site: Site) -> list[Route]:
    """The routes of organizations and of the account."""
    changing = ("GET", "PUT", "PATCH", "DELETE")
    return [
        route(site, "/account", account),
        route(site, "/account/{slug}", one_account, methods=("GET", "PUT", "PATCH")),
        route(site, "/org", collection, methods=("GET", "POST")),
        route(site, "/org/{org}", one, methods=changing),
        route(site, "/org/{org}/projects", its_projects),
        route(site, "/org/{org}/devices", its_devices),
        route(site, "/org/{org}/archives", its_archives),
        route(site, "/org/{org}/extra", extra),
        route(site, "/org/{org}/membership", membership),
        route(site, "/org/{org}/invite", invite, methods=("POST",)),
        route(site, "/org/{org}/members", members, methods=("GET", "POST")),
        route(site, "/org/{org}/members/{user}", member, methods=changing),
    ]
