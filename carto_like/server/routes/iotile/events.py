"""``event/``: what happened to a device, each with data of its own."""

from __future__ import annotations

from typing import Any

import orjson
from anyio.to_thread import run_sync
from psycopg.types.json import Jsonb
from starlette.responses import Response
from starlette.routing import Route

from carto_like.server.iotile.call import Call, Site, answer, route
from carto_like.server.iotile.lists import MIDDLE, Listing
from carto_like.server.iotile.parameters import can_be_kept, identifier, moment, stamp
from carto_like.server.iotile.problems import invalid, not_found, wrong
from carto_like.server.iotile.slices import filtered, period_of
from carto_like.server.iotile.uploads import unpacked, upload_of
from carto_like.server.pool import Connection
from carto_like.server.routes.iotile.data import stream_scope
from carto_like.server.services.iotile import chunks
from carto_like.server.services.iotile.recording import begin_streams, unknown_streams
from carto_like.server.services.iotile.scopes import NOTHING, Scope, scope_of
from carto_like.server.services.iotile.slugs import (
    StreamKey,
    device_slug,
    project_of,
    project_slug,
    stream_key,
    stream_slug,
    variable_slug,
)

_TABLE = "carto_like.iotile_stream_event"
_COLUMNS = (
    "r.id, r.device, r.variable, r.s3bucket, r.s3key, r.ext, r.has_raw_data, r.device_timestamp, r.timestamp,"
    " r.streamer_local_id, r.dirty_ts, r.status, r.extra_data"
)
_NAMES = (
    *("s3bucket", "s3key", "ext", "has_raw_data", "device_timestamp", "timestamp", "streamer_local_id"),
    *("dirty_ts", "status", "extra_data"),
)
_KINDS = (".json", ".json.gz")


async def list_events(call: Call) -> Response:
    """Events of a stream, device, block or variable, oldest first."""
    async with call.platform.database.metadata() as connection:
        scope = await filtered(call, connection)
    return await _listed(call, scope)


async def stream_events(call: Call) -> Response:
    """Events of the stream in the path."""
    async with call.platform.database.metadata() as connection:
        scope = await stream_scope(call, connection)
    return await _listed(call, scope)


async def _listed(call: Call, scope: Scope) -> Response:
    period = period_of(call.request.query_params)
    narrowed = period.within(scope)
    source, values = f"FROM {_TABLE} r WHERE {narrowed.condition}", {**narrowed.values}
    if period.lastn is not None:
        latest = f"SELECT * {source} ORDER BY r.timestamp DESC, r.id DESC LIMIT %(lastn)s"
        source, values = f"FROM ({latest}) r WHERE true", {**values, "lastn": period.lastn}
    return await call.list(Listing(_COLUMNS, source, values, ("r.timestamp", "r.id")), MIDDLE, shape)


async def show(call: Call) -> Response:
    """One event."""
    async with call.platform.database.metadata() as connection:
        return answer(shape(await _event(connection, call)))


async def data(call: Call) -> Response:
    """What was uploaded with an event, as it was: JSON."""
    async with call.platform.database.metadata() as connection:
        event = await _event(connection, call)
        content = await chunks.content_of(connection, "event", event[0])
    if not content:
        raise not_found()
    return Response(content, media_type="application/json")


async def address(call: Call) -> Response:
    """Where what was uploaded with an event can be read."""
    async with call.platform.database.metadata() as connection:
        event = await _event(connection, call)
    if not event[6]:
        raise not_found()
    request = call.request
    root = call.platform.settings.public_url or f"{request.url.scheme}://{request.url.netloc}"
    path = request.scope["state"]["full_path"].rstrip("/").removesuffix("/url")
    return answer({"url": f"{root.rstrip('/')}{path}/data/"})


async def upload(call: Call) -> Response:
    """Record an event with the data of a file."""
    given = await upload_of(call.request, wrong("file", "No file was submitted."))
    limit = call.platform.settings.limits.body_max_bytes
    # Unpacking and parsing take seconds, which nobody else shall wait for.
    content = await run_sync(_document, given.name, given.content, limit)
    key, when, extra = _fields(given.fields)
    account = call.person.id
    async with call.platform.database.metadata() as connection:
        problems = await unknown_streams(connection, account, [key])
        if problems:
            raise invalid({"stream": list(problems.values())})
        await begin_streams(connection, [key], account)
        row = await (
            await connection.execute(
                f"INSERT INTO {_TABLE} (device, variable, timestamp, extra_data, ext, has_raw_data,"
                " created_by) VALUES (%s, %s, %s, %s, 'json', true, %s) RETURNING id".encode(),
                (*key, when, Jsonb(extra), account),
            )
        ).fetchone()
        assert row is not None, "INSERT ... RETURNING answers"
        await chunks.keep(connection, "event", row[0], content)
    told = {
        "id": row[0],
        "stream": stream_slug(key),
        "timestamp": stamp(when),
        "device_timestamp": None,
        "streamer_local_id": 0,
        "encoded_extra_data": extra,
    }
    return answer(told, 201)


def shape(row: tuple[Any, ...]) -> dict[str, Any]:
    """An event as it is told."""
    number, device, variable, *rest = row
    told = dict(zip(_NAMES, rest, strict=True))
    key = StreamKey(device, variable)
    return {
        "id": number,
        "stream": stream_slug(key),
        "project": project_slug(project_of(variable)),
        "device": device_slug(device),
        "variable": variable_slug(variable),
        **told,
        "timestamp": stamp(told["timestamp"]),
    }


def _document(name: str, content: bytes, limit: int) -> bytes:
    """The JSON in a file, unpacked up to a limit of bytes; raises 400 for anything else."""
    if not name.lower().endswith(_KINDS):
        raise wrong("file", f"An event's file is named *.json or *.json.gz, not '{name}'.")
    try:
        if name.lower().endswith(".gz"):
            content = unpacked(content, limit)
        orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise wrong("file", f"The file is not JSON: {error}.") from None
    except ValueError as error:
        raise wrong("file", f"The file cannot be unpacked: {error}.") from None
    return content


def _fields(fields: dict[str, str]) -> tuple[StreamKey, Any, dict[str, Any]]:
    problems = {name: ["This field is required."] for name in ("stream", "timestamp") if not fields.get(name)}
    if problems:
        raise invalid(problems)
    key = stream_key(fields["stream"])
    if key is None:
        raise wrong("stream", "Enter the slug of a stream.")
    return key, moment(fields["timestamp"], "timestamp"), _extra(fields.get("encoded_extra_data") or "{}")


def _extra(text: str) -> dict[str, Any]:
    try:
        extra = orjson.loads(text)
    except orjson.JSONDecodeError:
        extra = None
    if not isinstance(extra, dict) or not can_be_kept(extra):
        raise wrong("encoded_extra_data", "Enter a JSON object.")
    return extra


async def _event(connection: Connection, call: Call) -> tuple[Any, ...]:
    number = identifier(call.path["id"])
    if number is None:
        raise not_found()
    cursor = await connection.execute(
        f"SELECT {_COLUMNS} FROM {_TABLE} r WHERE r.id = %s".encode(), (number,)
    )
    row = await cursor.fetchone()
    if row is None:
        raise not_found()
    scope = await scope_of(connection, call.person.id, stream_slug(StreamKey(row[1], row[2])))
    if scope is None or scope is NOTHING:
        raise not_found()
    return tuple(row)


def routes(site: Site) -> list[Route]:
    """The routes, relative to the root of the API; names before numbers."""
    return [
        route(site, "/stream/{slug}/event", stream_events),
        route(site, "/event", list_events),
        route(site, "/event/upload", upload, methods=("POST",)),
        route(site, "/event/{id}", show),
        route(site, "/event/{id}/data", data),
        route(site, "/event/{id}/url", address),
    ]
