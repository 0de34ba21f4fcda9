"""``data/`` and ``stream/<slug>/data/``: readings, as they were recorded and in their units."""

from __future__ import annotations

from typing import Any

from anyio.to_thread import run_sync
from starlette.responses import Response
from starlette.routing import Route

from carto_like.server.iotile.call import Call, Site, answer, route
from carto_like.server.iotile.lists import LARGE, MIDDLE
from carto_like.server.iotile.newreadings import Wrong, reading_of
from carto_like.server.iotile.parameters import identifier, json_of
from carto_like.server.iotile.problems import Refusal, invalid, not_found
from carto_like.server.iotile.slices import SliceAnswer, filtered, period_of
from carto_like.server.pool import Connection
from carto_like.server.services.iotile.readings import point, points, readings
from carto_like.server.services.iotile.recording import NewReading, record, record_one, unknown_streams
from carto_like.server.services.iotile.scopes import Scope, scope_of
from carto_like.server.services.iotile.slugs import StreamKey


async def stream_data(call: Call) -> Response:
    """A part of a stream's readings, oldest first."""
    period = period_of(call.request.query_params)
    part = SliceAnswer(call, LARGE)
    async with call.platform.database.metadata() as connection:
        scope = await stream_scope(call, connection)
        found = await readings(connection, scope, period, part.size, part.place)
    return part.respond(found)


async def stream_scope(call: Call, connection: Connection) -> Scope:
    """The readings or events of the stream in the path; raises 404 for one without a record."""
    scope = await scope_of(connection, call.person.id, call.path["slug"])
    if scope is None or scope.stream is None:
        raise not_found()
    cursor = await connection.execute(
        "SELECT 1 FROM carto_like.iotile_stream WHERE device = %s AND variable = %s", scope.stream
    )
    if await cursor.fetchone() is None:
        raise not_found()
    return scope


async def list_points(call: Call) -> Response:
    """A part of the points of a stream, device, block or variable."""
    period = period_of(call.request.query_params)
    part = SliceAnswer(call, MIDDLE)
    async with call.platform.database.metadata() as connection:
        scope = await filtered(call, connection)
        found = await points(connection, scope, period, part.size, part.place)
    return part.respond(found)


async def show_point(call: Call) -> Response:
    """One point, by its number."""
    async with call.platform.database.metadata() as connection:
        text = await _point(connection, call.person.id, _number(call.path["id"]))
    return Response(text, media_type="application/json")


async def add(call: Call) -> Response:
    """Record a reading, or all of a list of them."""
    given = await json_of(call.request)
    if isinstance(given, list):
        return await _add_all(call, given)
    try:
        reading = reading_of({} if given is None else given)
    except Wrong as error:
        raise invalid(error.problems) from None
    account = call.person.id
    async with call.platform.database.metadata() as connection:
        problems = await unknown_streams(connection, account, [reading.key])
        if problems:
            raise invalid({"stream": list(problems.values())})
        number = await record_one(connection, reading, account)
        text = await _point(connection, account, number)
    return Response(text, 201, media_type="application/json")


async def _add_all(call: Call, items: list[Any]) -> Response:
    # A body full of readings takes seconds, which nobody else shall wait for.
    new = await run_sync(_readings_of, items)
    account = call.person.id
    async with call.platform.database.metadata() as connection:
        unknown = await unknown_streams(connection, account, [reading.key for reading in new])
        if unknown:
            raise Refusal(400, [_told(reading.key, unknown) for reading in new])
        await record(connection, new, account)
    return answer({"count": len(new)}, 201)


def _readings_of(items: list[Any]) -> list[NewReading]:
    """The readings in a list of objects; raises 400, with what is wrong with each, for any that is none."""
    new: list[NewReading] = []
    problems: list[dict[str, list[str]]] = []
    for item in items:
        try:
            new.append(reading_of(item))
            problems.append({})
        except Wrong as error:
            problems.append(error.problems)
    if any(problems):
        raise Refusal(400, problems)
    return new


def _told(key: StreamKey, problems: dict[StreamKey, str]) -> dict[str, list[str]]:
    return {"stream": [problems[key]]} if key in problems else {}


async def _point(connection: Connection, account: int, number: int) -> str:
    cursor = await connection.execute(
        "SELECT carto_like.iotile_stream_slug(r.device, r.variable)"
        " FROM carto_like.iotile_stream_data r WHERE r.id = %s",
        (number,),
    )
    row = await cursor.fetchone()
    scope = None if row is None else await scope_of(connection, account, row[0])
    text = None if scope is None else await point(connection, scope, number)
    if text is None:
        raise not_found()
    return text


def _number(text: str) -> int:
    number = identifier(text)
    if number is None:
        raise not_found()
    return number


async def points_or_new(call: Call) -> Response:
    """The two things that a collection of points does."""
    return await (add(call) if call.method == "POST" else list_points(call))


def routes(site: Site) -> list[Route]:
    """The routes, relative to the root of the API."""
    return [
        route(site, "/stream/{slug}/data", stream_data),
        route(site, "/data", points_or_new, methods=("GET", "POST")),
        route(site, "/data/{id}", show_point),
    ]
