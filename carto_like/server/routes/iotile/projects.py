"""``project/``: projects, which paths address by their UUID."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from carto_like.server.iotile import shapes
from carto_like.server.iotile.call import Call, Site, answer, route
from carto_like.server.iotile.fields import Field, text
from carto_like.server.iotile.filters import by_org, by_text
from carto_like.server.iotile.lists import SMALL
from carto_like.server.iotile.parameters import text_of
from carto_like.server.iotile.problems import Refusal
from carto_like.server.pool import Connection
from carto_like.server.routes.iotile.found import the_project
from carto_like.server.routes.iotile.owned import Owned
from carto_like.server.services.iotile import projects, slugs
from carto_like.server.services.iotile.kinds import Record
from carto_like.server.services.iotile.projects import PROJECT

_CHANGES = {
    "name": Field(text(longest=50, blank=False), required=True),
    "about": Field(text(longest=400)),
    "project_template": Field(text(longest=255), null=True),
}


async def _without_devices(connection: Connection, project: Record) -> None:
    if await projects.has_devices(connection, project["id"]):
        raise Refusal(403, {"error": "The project has devices. Unclaim them first."})


_OWNED = Owned(PROJECT, projects.TABLE, "p.id", _CHANGES, shapes.project, the_project, _without_devices)


async def collection(call: Call) -> Response:
    """List projects; or make one."""
    if call.method == "GET":
        params, where = call.request.query_params, call.where()
        by_org(where, params, "p.org", "o.slug")
        by_text(where, params, name="p.name")
        slug = text_of(params, "slug")
        if slug is not None:
            number = slugs.project_number(slug)
            where.nothing() if number is None else where.add("p.gid = %(gid)s", gid=number)
        # Facts say under which slug they belong to a project.
        by_property = text_of(params, "property")
        if by_property is not None:
            where.add(
                "EXISTS (SELECT FROM carto_like.iotile_property q WHERE q.name = %(name)s AND q.target = "
                "'p--' || regexp_replace(lpad(to_hex(p.gid), 8, '0'), '(....)(....)', '\\1-\\2'))",
                name=by_property,
            )
        return await call.list_of(PROJECT, where, SMALL, shapes.project)
    return await _OWNED.make(call)


async def extra(call: Call) -> Response:
    """How much there is in a project."""
    async with call.platform.database.metadata() as connection:
        project = await the_project(call, connection)
        counts = await projects.counts(connection, project["id"])
    return answer({"id": str(project["id"]), "slug": slugs.project_slug(project["gid"]), **counts})


def routes(site: Site) -> list[Route]:
    """The routes of projects."""
    return [
        route(site, "/project", collection, methods=("GET", "POST")),
        route(site, "/project/new", _OWNED.make, methods=("POST",)),
        route(site, "/project/{project}", _OWNED.one, methods=("GET", "PUT", "PATCH", "DELETE")),
        route(site, "/project/{project}/extra", extra),
    ]
