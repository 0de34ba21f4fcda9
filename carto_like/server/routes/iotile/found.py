"""Finding what a path or a body names: things that the account may see, and nothing else."""

from __future__ import annotations

from typing import Any

from carto_like.server.iotile.call import Call
from carto_like.server.iotile.parameters import uuid_of
from carto_like.server.iotile.problems import invalid_texts, not_found, wrong
from carto_like.server.pool import Connection
from carto_like.server.services.iotile import slugs
from carto_like.server.services.iotile.devices import DATABLOCK, DEVICE
from carto_like.server.services.iotile.fleets import FLEET
from carto_like.server.services.iotile.kinds import Kind, Record, Where, find
from carto_like.server.services.iotile.orgs import ORG
from carto_like.server.services.iotile.projects import PROJECT
from carto_like.server.services.iotile.streams import STREAM, VARIABLE, VARTYPE


async def the_org(call: Call, connection: Connection) -> Record:
    """The organization that the path names; raises 404."""
    slug = call.path["org"]
    if "\0" in slug:
        raise not_found()
    return await call.find(connection, ORG, call.where().add("o.slug = %(slug)s", slug=slug))


async def the_project(call: Call, connection: Connection) -> Record:
    """The project that the path names by its UUID; raises 400 for another text, else 404."""
    identity = uuid_of(call.path["project"])
    if identity is None:
        raise invalid_texts("a project is addressed by its UUID")
    return await call.find(connection, PROJECT, call.where().add("p.id = %(id)s", id=identity))


async def the_device(call: Call, connection: Connection) -> Record:
    """The device that the path names by its slug; raises 404."""
    number = slugs.device_number(call.path["device"])
    return await _by(call, connection, DEVICE, "d.id = %(number)s", number)


async def the_datablock(call: Call, connection: Connection) -> Record:
    """The data block that the path names by its slug; raises 404."""
    return await _by(
        call, connection, DATABLOCK, "b.id = %(number)s", slugs.block_key(call.path["datablock"])
    )


async def the_variable(call: Call, connection: Connection) -> Record:
    """The variable that the path names by its slug; raises 404."""
    key = slugs.variable_key(call.path["variable"])
    return await _by(call, connection, VARIABLE, "v.variable = %(number)s", key)


async def the_stream(call: Call, connection: Connection) -> Record:
    """The stream that the path names by its slug; raises 404."""
    key = slugs.stream_key(call.path["stream"])
    if key is None:
        raise not_found()
    return await call.find(connection, STREAM, of_stream(call.where(), key))


async def the_vartype(call: Call, connection: Connection, slug: str | None) -> Record:
    """What is measured, by its slug; raises 404."""
    if slug is None or "\0" in slug:
        raise not_found()
    return await call.find(connection, VARTYPE, call.where().add("t.slug = %(slug)s", slug=slug))


async def the_fleet(call: Call, connection: Connection) -> Record:
    """The fleet that the path names by its slug; raises 404."""
    return await _by(call, connection, FLEET, "f.id = %(number)s", slugs.fleet_number(call.path["fleet"]))


def of_stream(where: Where, key: slugs.StreamKey) -> Where:
    """The condition that a stream is this one."""
    return where.add("s.device = %(device)s", device=key.device).add(
        "s.variable = %(variable)s", variable=key.variable
    )


async def named_org(call: Call, connection: Connection, slug: Any) -> Record:
    """The organization that a body names; raises 400 for one that the account does not see."""
    where = call.where().add("o.slug = %(slug)s", slug=slug)
    found = await find(connection, ORG, where) if isinstance(slug, str) else None
    if found is None:
        raise wrong("org", "There is no such organization.")
    return found


async def named_project(call: Call, connection: Connection, name: Any) -> Record:
    """The project that a body names by UUID or slug; raises 400 for one that the account does not see."""
    where = call.where()
    named = of_project(where, name) if isinstance(name, str) else None
    found = await find(connection, PROJECT, where) if named else None
    if found is None:
        raise wrong("project", "There is no such project.")
    return found


def of_project(where: Where, name: str) -> bool:
    """Add the condition that a project is the one of a UUID or slug; False when the text is neither."""
    identity, number = uuid_of(name), slugs.project_number(name)
    if identity is not None:
        where.add("p.id = %(id)s", id=identity)
    elif number is not None:
        where.add("p.gid = %(gid)s", gid=number)
    return identity is not None or number is not None


async def _by(call: Call, connection: Connection, kind: Kind, condition: str, number: int | None) -> Record:
    if number is None:
        raise not_found()
    return await call.find(connection, kind, call.where().add(condition, number=number))
