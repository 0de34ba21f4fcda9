"""``variable/`` and ``stream/``: what is measured, and where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg import errors
from starlette.responses import Response
from starlette.routing import Route

from carto_like.server.iotile import shapes
from carto_like.server.iotile.call import Call, Site, answer, no_content, route
from carto_like.server.iotile.fields import Field, flag, number, offset, one_of, read, text
from carto_like.server.iotile.filters import by_flag, by_key, by_org, by_project
from carto_like.server.iotile.lists import LARGE, MIDDLE
from carto_like.server.iotile.parameters import flag_of, object_of, text_of
from carto_like.server.iotile.problems import invalid_texts, wrong
from carto_like.server.pool import Connection
from carto_like.server.routes.iotile.found import (
    named_project,
    of_stream,
    the_stream,
    the_variable,
    the_vartype,
)
from carto_like.server.services.iotile import slugs
from carto_like.server.services.iotile.devices import DATABLOCK, DEVICE
from carto_like.server.services.iotile.kinds import Where, delete, find, insert, update
from carto_like.server.services.iotile.projects import PROJECT
from carto_like.server.services.iotile.streams import STREAM, STREAM_TABLE, VARIABLE, VARIABLE_TABLE

_FACTORS = {
    "multiplication_factor": Field(number(but=0)),
    "division_factor": Field(number(but=0)),
    "offset": Field(offset()),
    "mdo_label": Field(text(longest=20)),
    "raw_value_format": Field(text(longest=4)),
    "var_type": Field(text(), null=True),
    "input_unit": Field(text(), null=True),
    "output_unit": Field(text(), null=True),
}
_VARIABLE = {
    "name": Field(text(longest=120, blank=False), required=True),
    "about": Field(text(longest=255)),
    "units": Field(text(longest=20)),
    "decimal_places": Field(number(least=0, most=20)),
    "web_only": Field(flag),
    "app_only": Field(flag),
    **_FACTORS,
}
_NEW_VARIABLE = {
    **_VARIABLE,
    "project": Field(text(blank=False), required=True),
    "lid": Field(number(least=1, most=0xFFFF), required=True),
}
_STREAM = {
    "data_label": Field(text(longest=100)),
    "data_type": Field(one_of("ITR", "ISO", "EPF", "E0", "00")),
    "derived_stream": Field(text(), null=True),
    "mdo_type": Field(one_of("S", "V", "D")),
    "enabled": Field(flag),
    **_FACTORS,
}
_NEW_STREAM = {
    **_STREAM,
    "device": Field(text(blank=False), required=True),
    "variable": Field(text(blank=False), required=True),
}
_UNITS = ("var_type", "input_unit", "output_unit")


async def variables(call: Call) -> Response:
    """List variables; or make one in a project."""
    if call.method == "GET":
        params, where = call.request.query_params, call.where()
        by_project(where, params, "v.project", "p.gid")
        by_org(where, params, "p.org", "o.slug")
        return await call.list_of(VARIABLE, where, MIDDLE, shapes.variable)
    values = read(await object_of(call.request), _NEW_VARIABLE)
    async with call.platform.database.metadata() as connection:
        project = await named_project(call, connection, values["project"])
        values |= {
            "project": project["id"],
            "variable": slugs.make_variable_key(project["gid"], values.pop("lid")),
        }
        identity = await _written(connection, VARIABLE_TABLE, None, values, "lid")
        made = await call.find(connection, VARIABLE, call.where().add("v.id = %(id)s", id=identity))
    return answer(shapes.variable(made), 201)


async def one_variable(call: Call) -> Response:
    """Read, change or delete a variable; the streams of it stay."""
    async with call.platform.database.metadata() as connection:
        variable = await the_variable(call, connection)
        if call.method == "DELETE":
            await call.require_admin(connection, variable["org_id"])
            await delete(connection, VARIABLE_TABLE, variable["id"])
            return no_content()
        if call.method != "GET":
            values = read(await object_of(call.request), _VARIABLE, partial=True)
            await _written(connection, VARIABLE_TABLE, variable["id"], values, "lid")
            variable = await the_variable(call, connection)
    return answer(shapes.variable(variable))


async def variable_type(call: Call) -> Response:
    """What a variable measures."""
    async with call.platform.database.metadata() as connection:
        variable = await the_variable(call, connection)
        return answer(shapes.vartype(await the_vartype(call, connection, variable["var_type"])))


async def streams(call: Call) -> Response:
    """List streams of devices, those that are enabled, unless other ones are asked for; or make one."""
    if call.method == "GET":
        where = call.where()
        _filter_streams(call, where)
        return await call.list_of(STREAM, where, LARGE, shapes.stream)
    values = read(await object_of(call.request), _NEW_STREAM)
    async with call.platform.database.metadata() as connection:
        key = slugs.StreamKey(
            await _recorder(call, connection, values["device"]),
            slugs.variable_key(values["variable"]) or 0,
        )
        where = call.where().add("p.gid = %(gid)s", gid=slugs.project_of(key.variable))
        project = await find(connection, PROJECT, where)
        if project is None or not slugs.local_of(key.variable):
            raise wrong("variable", "There is no such variable.")
        values |= {**key._asdict(), "project": project["id"], "created_by": call.person.id}
        await _written(connection, STREAM_TABLE, None, values, "variable")
        made = await call.find(connection, STREAM, of_stream(call.where(), key))
    return answer(shapes.stream(made), 201)


async def one_stream(call: Call) -> Response:
    """Read or change a stream."""
    async with call.platform.database.metadata() as connection:
        stream = await the_stream(call, connection)
        if call.method != "GET":
            values = read(await object_of(call.request), _STREAM, partial=True)
            await _written(connection, STREAM_TABLE, stream["id"], values, "variable")
            stream = await the_stream(call, connection)
    return answer(shapes.stream(stream))


def _filter_streams(call: Call, where: Where) -> None:
    params = call.request.query_params
    by_project(where, params, "s.project", "p.gid")
    by_org(where, params, "p.org", "o.slug")
    for name, column, key_of in (
        ("device", "s.device", slugs.device_key),
        ("block", "s.device", slugs.block_key),
        ("variable", "s.variable", slugs.variable_key),
    ):
        given = text_of(params, name)
        by_key(where, column, given, key_of(given) if given else None)
    by_flag(where, params, enabled="s.enabled")
    if flag_of(params, "all"):
        return
    if "enabled" not in params:
        where.add("s.enabled")
    if flag_of(params, "virtual"):
        where.add("s.device = 0")
    elif flag_of(params, "archived"):
        where.add("s.device NOT BETWEEN 0 AND 281474976710655")
    elif not (text_of(params, "block") or text_of(params, "device")):
        where.add("s.device BETWEEN 1 AND 281474976710655")


async def _recorder(call: Call, connection: Connection, name: str) -> int:
    """The key of a device or data block that a body names; raises 400 for one that is not the account's."""
    key = slugs.device_key(name)
    if key == 0:
        # Of no device: what is computed from other streams.
        return 0
    kind, condition = (
        (DATABLOCK, "b.id = %(id)s") if key and slugs.block_of(key) else (DEVICE, "d.id = %(id)s")
    )
    if key is None or await find(connection, kind, call.where().add(condition, id=key)) is None:
        raise wrong("device", "There is no such device.")
    return key


async def _written(
    connection: Connection, table: str, identity: Any, values: Mapping[str, Any], unique: str
) -> Any:
    """Write a variable or stream; raises 400 for units that are none, and for one that there is already."""
    try:
        async with connection.transaction():
            if identity is None:
                return await insert(connection, table, values)
            await update(connection, table, identity, values)
            return identity
    except errors.UniqueViolation:
        raise wrong(unique, "It exists already.") from None
    except errors.ForeignKeyViolation as error:
        constraint = error.diag.constraint_name or ""
        for name in _UNITS:
            if name in constraint:
                raise wrong(name, "There is no such unit or type.") from None
        raise invalid_texts("What it belongs to is gone.") from None


def routes(site: Site) -> list[Route]:
    """The routes of variables and streams."""
    return [
        route(site, "/variable", variables, methods=("GET", "POST")),
        route(site, "/variable/{variable}", one_variable, methods=("GET", "PUT", "PATCH", "DELETE")),
        route(site, "/variable/{variable}/type", variable_type),
        route(site, "/stream", streams, methods=("GET", "POST")),
        route(site, "/stream/{stream}", one_stream, methods=("GET", "PUT", "PATCH")),
    ]
