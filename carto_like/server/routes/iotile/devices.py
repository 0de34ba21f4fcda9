"""``device/``, ``datablock/`` and ``streamer/``: devices, what was archived of them, what sends reports."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from carto_like.server.iotile import shapes
from carto_like.server.iotile.call import Call, Site, answer, no_content, route
from carto_like.server.iotile.fields import Field, flag, number, read, real, text
from carto_like.server.iotile.filters import by_flag, by_key, by_org, by_project, by_text
from carto_like.server.iotile.lists import MIDDLE, SMALL
from carto_like.server.iotile.parameters import flag_of, object_of, text_of
from carto_like.server.iotile.problems import invalid_texts, not_found, wrong
from carto_like.server.pool import Connection
from carto_like.server.routes.iotile.found import named_project, the_datablock, the_device
from carto_like.server.services.iotile import devices, slugs
from carto_like.server.services.iotile.devices import DATABLOCK, DEVICE, STREAMER
from carto_like.server.services.iotile.fleets import catalogue
from carto_like.server.services.iotile.kinds import Where, find, update

_CHANGES = {
    "label": Field(text(longest=100)),
    "active": Field(flag),
    "external_id": Field(text(longest=100)),
    "sg": Field(text(longest=100), null=True),
    "template": Field(text(longest=100), null=True),
    "lat": Field(real(least=-90, most=90), null=True),
    "lon": Field(real(least=-180, most=180), null=True),
    "state": Field(text(longest=2, blank=False)),
}
_NEW = {
    **_CHANGES,
    "id": Field(number(least=1, most=2**48 - 1)),
    "project": Field(text(blank=False), required=True),
}
_CLAIM = {"project": Field(text(blank=False), required=True)}


async def collection(call: Call) -> Response:
    """List devices, those that are active unless ``all=1``; or make one in a project."""
    if call.method == "GET":
        params, where = call.request.query_params, call.where()
        by_project(where, params, "d.project", "p.gid")
        by_org(where, params, "d.org", "o.slug")
        by_text(where, params, dt="d.template", sg="d.sg", external_id="d.external_id")
        by_flag(where, params, claimed="d.claimed_by IS NOT NULL")
        if not flag_of(params, "all"):
            where.add("d.active")
        return await call.list_of(DEVICE, where, MIDDLE, shapes.device)
    values = read(await object_of(call.request), _NEW)
    async with call.platform.database.metadata() as connection:
        values |= await _place(call, connection, values["project"])
        try:
            device = await devices.create(connection, values)
        except devices.NumberTaken:
            raise wrong("id", "There is a device of this number already.") from None
        made = await call.find(connection, DEVICE, call.where().add("d.id = %(id)s", id=device))
    return answer(shapes.device(made), 201)


async def one(call: Call) -> Response:
    """Read or change a device."""
    async with call.platform.database.metadata() as connection:
        device = await the_device(call, connection)
        if call.method == "GET":
            return answer(shapes.device(device))
        values = read(await object_of(call.request), _CHANGES, partial=True)
        await update(connection, devices.TABLE, device["id"], values)
    return answer(shapes.device({**device, **values}))


async def extra(call: Call) -> Response:
    """How many readings and events each stream of a device has."""
    async with call.platform.database.metadata() as connection:
        device = await the_device(call, connection)
        counts = await devices.stream_counts(connection, device["id"], device["org_id"])
    return answer({"id": device["id"], "slug": slugs.device_slug(device["id"]), "stream_counts": counts})


async def claimable(call: Call) -> Response:
    """Whether a device can be claimed: it exists, and belongs to nobody."""
    async with call.platform.database.metadata() as connection:
        free = await _unclaimed(call, connection)
    return answer({"claimable": free is not None})


async def claim(call: Call) -> Response:
    """Take a device that belongs to nobody into a project."""
    values = read(await object_of(call.request), _CLAIM)
    async with call.platform.database.metadata() as connection:
        device = await _unclaimed(call, connection)
        if device is None:
            if await find(connection, DEVICE, _same_device(call)) is None:
                raise not_found()
            raise invalid_texts("The device is claimed already.")
        await update(connection, devices.TABLE, device, await _place(call, connection, values["project"]))
        return answer(shapes.device(await the_device(call, connection)))


async def unclaim(call: Call) -> Response:
    """Let a device belong to nobody again; what it recorded stays, what was said about it goes."""
    async with call.platform.database.metadata() as connection:
        device = await the_device(call, connection)
        await call.require_admin(connection, device["org_id"])
        await devices.unclaim(connection, device["id"])
    return no_content()


async def sensor_graph(call: Call) -> Response:
    """The sensor graph that runs on a device."""
    return await _catalogued(call, "sg", "sg")


async def template(call: Call) -> Response:
    """The template that a device is of."""
    return await _catalogued(call, "dt", "template")


async def datablocks(call: Call) -> Response:
    """List data blocks."""
    params, where = call.request.query_params, call.where()
    by_org(where, params, "b.org", "o.slug")
    given = text_of(params, "device")
    device = slugs.device_number(given) if given else None
    by_key(where, "b.id & 281474976710655", given, device)
    return await call.list_of(DATABLOCK, where, SMALL, shapes.datablock)


async def one_datablock(call: Call) -> Response:
    """Read a data block."""
    async with call.platform.database.metadata() as connection:
        return answer(shapes.datablock(await the_datablock(call, connection)))


async def datablock_extra(call: Call) -> Response:
    """How many readings and events each stream of a data block has."""
    async with call.platform.database.metadata() as connection:
        block = await the_datablock(call, connection)
        counts = await devices.stream_counts(connection, block["id"], block["org_id"])
    return answer({"slug": slugs.block_slug(block["id"]), "stream_counts": counts})


async def streamers(call: Call) -> Response:
    """List streamers, of a device when one is named."""
    where = call.where()
    given = text_of(call.request.query_params, "device")
    by_key(where, "t.device", given, slugs.device_number(given) if given else None)
    return await call.list_of(STREAMER, where, SMALL, shapes.streamer)


async def one_streamer(call: Call) -> Response:
    """Read a streamer."""
    key = slugs.streamer_key(call.path["streamer"])
    if key is None:
        raise not_found()
    where = call.where().add("t.device = %(device)s", device=key[0])
    async with call.platform.database.metadata() as connection:
        found = await call.find(connection, STREAMER, where.add("t.index = %(place)s", place=key[1]))
    return answer(shapes.streamer(found))


async def _place(call: Call, connection: Connection, name: str) -> dict[str, Any]:
    """What puts a device into a project, whose organization the account administers."""
    project = await named_project(call, connection, name)
    await call.require_admin(connection, project["org_id"])
    return {
        "project": project["id"],
        "org": project["org_id"],
        "claimed_by": call.person.id,
        "claimed_on": datetime.now(timezone.utc),
    }


def _same_device(call: Call) -> Where:
    number_of_path = slugs.device_number(call.path["device"])
    if number_of_path is None:
        raise not_found()
    return call.where().add("d.id = %(id)s", id=number_of_path)


async def _unclaimed(call: Call, connection: Connection) -> int | None:
    """The number of the path's device while nobody has it; nobody else can take it before we are done."""
    number_of_path = slugs.device_number(call.path["device"])
    if number_of_path is None:
        raise not_found()
    cursor = await connection.execute(
        "SELECT id FROM carto_like.iotile_device WHERE id = %s AND org IS NULL FOR UPDATE",
        (number_of_path,),
    )
    row = await cursor.fetchone()
    return None if row is None else int(row[0])


async def _catalogued(call: Call, kind: str, column: str) -> Response:
    async with call.platform.database.metadata() as connection:
        device = await the_device(call, connection)
        where = call.where().add("c.slug = %(slug)s", slug=device[column])
        return answer(shapes.catalogued(await call.find(connection, catalogue(kind), where)))


def routes(site: Site) -> list[Route]:
    """The routes of devices, data blocks and streamers."""
    return [
        route(site, "/device", collection, methods=("GET", "POST")),
        route(site, "/device/{device}", one, methods=("GET", "PUT", "PATCH")),
        route(site, "/device/{device}/extra", extra),
        route(site, "/device/{device}/claimable", claimable),
        route(site, "/device/{device}/claim", claim, methods=("POST",)),
        route(site, "/device/{device}/unclaim", unclaim, methods=("POST",)),
        route(site, "/device/{device}/sg", sensor_graph),
        route(site, "/device/{device}/template", template),
        route(site, "/datablock", datablocks),
        route(site, "/datablock/{datablock}", one_datablock),
        route(site, "/datablock/{datablock}/extra", datablock_extra),
        route(site, "/streamer", streamers),
        route(site, "/streamer/{streamer}", one_streamer),
    ]
