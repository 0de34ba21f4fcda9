"""Filters of lists: query parameters as conditions."""

from __future__ import annotations

from starlette.datastructures import QueryParams

from carto_like.server.services.iotile import slugs
from carto_like.server.services.iotile.kinds import Where

from .parameters import flag_of, text_of, uuid_of


def by_text(where: Where, params: QueryParams, **columns: str) -> None:
    """What is given under a name must be the column's text; raises 400 for what is no text."""
    for name, column in columns.items():
        value = text_of(params, name)
        if value is not None:
            where.add(f"{column} = %(value)s", value=value)


def by_flag(where: Where, params: QueryParams, **conditions: str) -> None:
    """What is said under a name must be what the condition is; raises 400 for neither yes nor no."""
    for name, condition in conditions.items():
        value = flag_of(params, name)
        if value is not None:
            where.add(condition if value else f"NOT ({condition})")


def by_org(where: Where, params: QueryParams, id_column: str, slug_column: str) -> None:
    """``org`` is a UUID or a slug, ``org__slug`` a slug."""
    by_text(where, params, org__slug=slug_column)
    given = text_of(params, "org")
    if given is None:
        return
    identity = uuid_of(given)
    if identity is not None:
        where.add(f"{id_column} = %(value)s", value=identity)
    else:
        where.add(f"{slug_column} = %(value)s", value=given)


def by_project(where: Where, params: QueryParams, id_column: str, gid_column: str) -> None:
    """``project`` is a UUID or a slug; what is neither matches nothing."""
    given = text_of(params, "project")
    if given is None:
        return
    identity, number = uuid_of(given), slugs.project_number(given)
    if identity is not None:
        where.add(f"{id_column} = %(value)s", value=identity)
    elif number is not None:
        where.add(f"{gid_column} = %(value)s", value=number)
    else:
        where.nothing()


def by_key(where: Where, column: str, given: str | None, key: int | None) -> None:
    """A slug that was given must be the column's; a malformed one matches nothing."""
    if given is None:
        return
    if key is None:
        where.nothing()
    else:
        where.add(f"{column} = %(value)s", value=key)
