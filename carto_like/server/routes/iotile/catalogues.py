"""``vartype/``, ``sg/`` and ``dt/``: what belongs to nobody, is read by everybody, and kept by the staff."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import errors
from starlette.responses import Response
from starlette.routing import Route

from carto_like.server.iotile import shapes
from carto_like.server.iotile.call import Call, Site, answer, no_content, route
from carto_like.server.iotile.fields import Field, Wrong, number, offset, read, text
from carto_like.server.iotile.lists import SMALL
from carto_like.server.iotile.parameters import object_of
from carto_like.server.iotile.problems import Refusal, forbidden, not_found, wrong
from carto_like.server.routes.iotile.found import the_vartype
from carto_like.server.services.iotile import fleets
from carto_like.server.services.iotile.kinds import delete, insert
from carto_like.server.services.iotile.orgs import slug_of
from carto_like.server.services.iotile.streams import UNIT_TABLE, VARTYPE, VARTYPE_TABLE

_MOST_UNITS = 100
_SLUG = Field(text(longest=100, blank=False))


def _an_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Wrong("Expected an object.")
    return value


_VARTYPE = {
    "slug": _SLUG,
    "name": Field(text(longest=120, blank=False), required=True),
    "storage_units_full": Field(text(longest=60)),
    "stream_data_type": Field(text(longest=4)),
    "decoder": Field(_an_object, null=True),
}
_UNIT = {
    "slug": _SLUG,
    "unit_full": Field(text(longest=60, blank=False), required=True),
    "unit_short": Field(text(longest=20)),
    "m": Field(number(but=0)),
    "d": Field(number(but=0)),
    "o": Field(offset()),
}
_OUTPUT_UNIT = {
    **_UNIT,
    "decimal_places": Field(number(least=0, most=20)),
    "derived_units": Field(_an_object),
}
_UNITS: Mapping[str, Mapping[str, Field]] = {"input": _UNIT, "output": _OUTPUT_UNIT}
_ENTRY = {"slug": Field(text(longest=100, blank=False), required=True)}


async def vartypes(call: Call) -> Response:
    """List what can be measured; or add to it."""
    if call.method == "GET":
        return await call.list_of(VARTYPE, call.where(), SMALL, shapes.vartype)
    _require_staff(call)
    body = await object_of(call.request)
    values = read(body, _VARTYPE)
    values["slug"] = values.get("slug") or slug_of(values["name"])
    units = [unit for kind in _UNITS for unit in _units(body, kind, values["slug"])]
    async with call.platform.database.metadata() as connection:
        try:
            async with connection.transaction():
                await insert(connection, VARTYPE_TABLE, values, key="slug")
                for unit in units:
                    await insert(connection, UNIT_TABLE, unit, key="slug")
        except errors.UniqueViolation:
            raise wrong("slug", "There is one of this slug, or a unit of one of theirs.") from None
        return answer(shapes.vartype(await the_vartype(call, connection, values["slug"])), 201)


async def one_vartype(call: Call) -> Response:
    """Read one of the things that can be measured, or remove it."""
    async with call.platform.database.metadata() as connection:
        found = await the_vartype(call, connection, call.path["vartype"])
        if call.method == "GET":
            return answer(shapes.vartype(found))
        _require_staff(call)
        await delete(connection, VARTYPE_TABLE, found["slug"], key="slug")
    return no_content()


class Catalogue:
    """Sensor graphs (``sg``) or device templates (``dt``).

    Args:
        kind: which of them.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._entries = fleets.catalogue(kind)

    async def collection(self, call: Call) -> Response:
        """List them; or add one, which may say anything about itself."""
        if call.method == "GET":
            return await call.list_of(self._entries, call.where(), SMALL, shapes.catalogued)
        _require_staff(call)
        body = await object_of(call.request)
        slug = read(body, _ENTRY)["slug"]
        data = {name: value for name, value in body.items() if name not in ("id", "slug", "created_on")}
        values = {"kind": self._kind, "slug": slug, "data": data}
        async with call.platform.database.metadata() as connection:
            try:
                async with connection.transaction():
                    await insert(connection, fleets.CATALOG_TABLE, values)
            except errors.UniqueViolation:
                raise wrong("slug", "There is one of this slug.") from None
            where = call.where().add("c.slug = %(slug)s", slug=slug)
            return answer(shapes.catalogued(await call.find(connection, self._entries, where)), 201)

    async def one(self, call: Call) -> Response:
        """Read one of them."""
        slug = call.path["slug"]
        if "\0" in slug:
            raise not_found()
        async with call.platform.database.metadata() as connection:
            where = call.where().add("c.slug = %(slug)s", slug=slug)
            return answer(shapes.catalogued(await call.find(connection, self._entries, where)))


def _units(body: Mapping[str, Any], kind: str, vartype: str) -> list[dict[str, Any]]:
    """The rows of the units that a body lists for one direction; raises 400, naming the unit."""
    name = f"{kind}_units"
    listed = body.get(name) or []
    if not isinstance(listed, Sequence) or isinstance(listed, str) or len(listed) > _MOST_UNITS:
        raise wrong(name, f"Expected a list of up to {_MOST_UNITS} units.")
    rows = []
    for unit in listed:
        if not isinstance(unit, dict):
            raise wrong(name, "Expected an object for each unit.")
        try:
            row = read(unit, _UNITS[kind])
        except Refusal as refusal:
            raise Refusal(400, {name: [refusal.body]}) from None
        short = "in" if kind == "input" else "out"
        row["slug"] = row.get("slug") or f"{short}--{vartype}--{slug_of(row['unit_full'])}"
        rows.append({**row, "vartype": vartype, "kind": kind})
    return rows


def _require_staff(call: Call) -> None:
    if not call.person.is_staff:
        raise forbidden("Only the staff of this server may do that.")


def routes(site: Site) -> list[Route]:
    """The routes of what belongs to nobody."""
    found = [
        route(site, "/vartype", vartypes, methods=("GET", "POST")),
        route(site, "/vartype/{vartype}", one_vartype, methods=("GET", "DELETE")),
    ]
    for kind in ("sg", "dt"):
        catalogue = Catalogue(kind)
        found += [
            route(site, f"/{kind}", catalogue.collection, methods=("GET", "POST")),
            route(site, f"/{kind}/{{slug}}", catalogue.one),
        ]
    return found
