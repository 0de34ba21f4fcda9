"""``fleet/`` and ``property/``: devices that belong together, and facts about things."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg import errors
from starlette.responses import Response
from starlette.routing import Route

from carto_like.server.iotile import shapes
from carto_like.server.iotile.call import Call, Site, answer, no_content, route
from carto_like.server.iotile.fields import Field, flag, number, one_of, read, text
from carto_like.server.iotile.filters import by_org
from carto_like.server.iotile.lists import SMALL
from carto_like.server.iotile.parameters import identifier, object_of, text_of
from carto_like.server.iotile.problems import not_found, wrong
from carto_like.server.pool import Connection
from carto_like.server.routes.iotile.found import the_fleet
from carto_like.server.routes.iotile.owned import Owned
from carto_like.server.services.iotile import fleets, slugs
from carto_like.server.services.iotile.devices import DATABLOCK, DEVICE
from carto_like.server.services.iotile.fleets import FLEET, FLEET_DEVICE, PROPERTY
from carto_like.server.services.iotile.kinds import Record, delete, find, insert, update
from carto_like.server.services.iotile.projects import PROJECT

_FLEET = {
    "name": Field(text(longest=120, blank=False), required=True),
    "description": Field(text(longest=255)),
    "is_network": Field(flag),
}
_PLACE = {
    "device": Field(text(blank=False), required=True),
    "always_on": Field(flag),
    "is_access_point": Field(flag),
}
_PROPERTY = {"name": Field(text(longest=40, blank=False), required=True), "is_system": Field(flag)}
_NEW_PROPERTY = {
    **_PROPERTY,
    "target": Field(text(blank=False), required=True),
    "type": Field(one_of("str", "int", "bool")),
}
_TYPES = ("str", "int", "bool")
_OWNED = Owned(FLEET, fleets.FLEET_TABLE, "f.id", _FLEET, shapes.fleet, the_fleet)


async def collection(call: Call) -> Response:
    """List fleets, those of a device when one is named; or make one."""
    if call.method == "GET":
        params, where = call.request.query_params, call.where()
        by_org(where, params, "f.org", "o.slug")
        given = text_of(params, "device")
        if given is not None:
            where.add(
                "EXISTS (SELECT FROM carto_like.iotile_fleet_device x "
                "WHERE x.fleet = f.id AND x.device = %(device)s)",
                device=slugs.device_number(given),
            )
        return await call.list_of(FLEET, where, SMALL, shapes.fleet)
    return await _OWNED.make(call)


async def its_devices(call: Call) -> Response:
    """List the devices of a fleet; or put one into it, or take it out."""
    async with call.platform.database.metadata() as connection:
        fleet = await the_fleet(call, connection)
        if call.method != "GET":
            await call.require_admin(connection, fleet["org_id"])
            values = read(await object_of(call.request), _PLACE)
            device = await _device(call, connection, values["device"])
            # Who left the device's organization would go on to see it here.
            if call.method == "POST" and device["org_id"] != fleet["org_id"]:
                raise wrong("device", "The device is of another organization than the fleet.")
            if call.method == "DELETE":
                await fleets.remove_device(connection, fleet["id"], device["id"])
                return no_content()
            facts = {
                "always_on": values.get("always_on", True),
                "is_access_point": values.get("is_access_point", False),
            }
            await fleets.add_devices(connection, fleet["id"], [device["id"]], **facts)
            return answer(shapes.fleet_device({"device": device["id"], **facts}), 201)
    where = call.where().add("x.fleet = %(fleet)s", fleet=fleet["id"])
    return await call.list_of(FLEET_DEVICE, where, SMALL, shapes.fleet_device)


async def properties(call: Call) -> Response:
    """List the facts about a target; or tell one."""
    if call.method == "GET":
        target = text_of(call.request.query_params, "target")
        where = call.where()
        async with call.platform.database.metadata() as connection:
            known = await _target(call, connection, target or "")
        where.nothing() if known is None else where.add("q.target = %(target)s", target=known)
        return await call.list_of(PROPERTY, where, SMALL, shapes.fact)
    body = await object_of(call.request)
    values = read(body, _NEW_PROPERTY)
    values |= _value(body, values.get("type"))
    async with call.platform.database.metadata() as connection:
        target = await _target(call, connection, values["target"])
        if target is None:
            raise wrong("target", "There is no such device, data block or project.")
        values |= {"target": target, "created_by": call.person.id}
        async with _named_once(connection):
            fact = await insert(connection, fleets.PROPERTY_TABLE, values)
        made = await call.find(connection, PROPERTY, call.where().add("q.id = %(id)s", id=fact))
    return answer(shapes.fact(made), 201)


async def one_property(call: Call) -> Response:
    """Read, change or delete a fact."""
    async with call.platform.database.metadata() as connection:
        fact = await _property(call, connection)
        if call.method == "DELETE":
            await delete(connection, fleets.PROPERTY_TABLE, fact["id"])
            return no_content()
        if call.method != "GET":
            body = await object_of(call.request)
            values = read(body, _PROPERTY, partial=True)
            if _given(body):
                values |= _value(body, fact["type"] if "value" in body else None)
            async with _named_once(connection):
                await update(connection, fleets.PROPERTY_TABLE, fact["id"], values)
            fact = {**fact, **values}
    return answer(shapes.fact(fact))


@asynccontextmanager
async def _named_once(connection: Connection) -> AsyncIterator[None]:
    """Write a fact; raises 400 when the target has another of its name."""
    try:
        async with connection.transaction():
            yield
    except errors.UniqueViolation:
        raise wrong("name", "The target has a property of this name.") from None


async def _device(call: Call, connection: Connection, name: str) -> Record:
    where = call.where().add("d.id = %(id)s", id=slugs.device_number(name))
    found = await find(connection, DEVICE, where)
    if found is None:
        raise wrong("device", "There is no such device.")
    return found


async def _target(call: Call, connection: Connection, name: str) -> str | None:
    """The whole slug of a device, data block or project, None when the account sees none of that slug."""
    key: int | None
    if name.startswith("p--"):
        key, kind, column = slugs.project_number(name), PROJECT, "p.gid"
        slug = None if key is None else slugs.project_slug(key)
    elif name.startswith("b--"):
        key, kind, column = slugs.block_key(name), DATABLOCK, "b.id"
        slug = None if key is None else slugs.block_slug(key)
    else:
        key, kind, column = slugs.device_number(name), DEVICE, "d.id"
        slug = None if key is None else slugs.device_slug(key)
    if slug is None:
        return None
    where = call.where().add(f"{column} = %(key)s", key=key)
    return None if await find(connection, kind, where) is None else slug


async def _property(call: Call, connection: Connection) -> Record:
    number = identifier(call.path["property"])
    if number is None:
        raise not_found()
    where = call.where().add("q.id = %(id)s", id=number)
    fact = await call.find(connection, PROPERTY, where)
    if await _target(call, connection, fact["target"]) is None:
        raise not_found()
    return fact


def _given(body: dict[str, Any]) -> list[str]:
    return [name for name in ("value", *(f"{kind}_value" for kind in _TYPES)) if name in body]


def _value(body: dict[str, Any], kind: str | None) -> dict[str, str]:
    """The value of a fact, as it is stored with its type; given as ``value`` or, say, ``int_value``."""
    given = _given(body)
    if len(given) != 1:
        raise wrong("value", "Give one of value, str_value, int_value and bool_value.")
    name, value = given[0], body[given[0]]
    if name != "value":
        kind = name.removesuffix("_value")
    elif kind is None:
        kind = {bool: "bool", int: "int"}.get(type(value), "str")
    checks = {
        "str": text(longest=255),
        "int": number(),
        "bool": flag,
    }
    found = read({name: value}, {name: Field(checks[kind])})[name]
    return {"type": kind, "value": str(found).lower() if kind == "bool" else str(found)}


def routes(site: Site) -> list[Route]:
    """The routes of fleets and properties."""
    changing = ("GET", "PUT", "PATCH", "DELETE")
    return [
        route(site, "/fleet", collection, methods=("GET", "POST")),
        route(site, "/fleet/{fleet}", _OWNED.one, methods=changing),
        route(site, "/fleet/{fleet}/devices", its_devices, methods=("GET", "POST", "DELETE")),
        route(site, "/property", properties, methods=("GET", "POST")),
        route(site, "/property/{property}", one_property, methods=changing),
    ]
