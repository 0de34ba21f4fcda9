"""Finding the route of a request among many, without trying all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from starlette.routing import Match, Route
from starlette.types import Scope

_Place = tuple[str | None, str | None]


class Routes:
    """Routes in their order, looked up by fixed parts of paths: ``api`` and ``map`` of ``/api/v1/map``."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes: list[tuple[_Place, Route]] = []
        self._names: set[str | None] = set()
        self._found: dict[_Place, list[Route]] = {}
        for route in routes:
            self.add(route)

    def __iter__(self) -> Iterator[Route]:
        return iter([route for _, route in self._routes])

    def add(self, route: Route) -> None:
        """Add a route behind the others."""
        place = _place(route.path)
        self._routes.append((place, route))
        self._names.update(place)
        self._found.clear()

    def find(self, scope: Scope) -> Route | None:
        """The route for a request; one that has the path but not the method is none, as in the original."""
        for route in self._candidates(scope["path"]):
            match, found = route.matches(scope)
            if match is Match.FULL:
                scope.update(found)
                return route
        return None

    def _candidates(self, path: str) -> list[Route]:
        parts = path.split("/", 4)
        # Names that no route has are one, since anybody can think of any number.
        first, third = (parts[at] if len(parts) > at and parts[at] in self._names else None for at in (1, 3))
        routes = self._found.get((first, third))
        if routes is None:
            routes = self._found[first, third] = [
                route
                for place, route in self._routes
                if place[0] in (None, first) and place[1] in (None, third)
            ]
        return routes


def _place(pattern: str) -> _Place:
    """The first and the third part of a path, None for those that are not fixed."""
    parts = pattern.split("/", 4)
    first, third = (parts[at] if len(parts) > at and "{" not in parts[at] else None for at in (1, 3))
    # Such a parameter may hold several parts.
    return first, None if any(":path}" in part for part in parts[1:3]) else third
