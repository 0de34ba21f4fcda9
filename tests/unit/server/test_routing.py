"""The route of a request is the first of all that fit, whatever is left out of the search."""

import pytest
from starlette.routing import Route

from carto_like.server.routing import Routes

PATHS = (
    "/",
    "/api/{version}/map",
    "/api/{version}/{any}/{thing}",
    "/api/{version}/map/{token}",
    "/api/{version}/sql{rest:path}",
    "/api/v1/{rest:path}",
    "/{page}",
    "/files/{name:path}",
    "/{any:path}/end",
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", 0),
        ("/home", 6),
        ("/api/v1/map", 1),
        ("/api/v2/map/abc", 2),
        ("/api/v2/sql/job", 2),
        ("/api/v2/sql", 4),
        ("/api/v1/maps", 5),
        ("/api/v1/map/a/b", 5),
        ("/api/v2/maps", None),
        ("/api", 6),
        ("/files/a/b/end", 7),
        ("/other/a/b/end", 8),
        ("/api/v2/b/c/end", 8),
    ],
)
def test_the_first_route_that_fits_is_found(path: str, expected: int | None) -> None:
    routes = Routes(Route(each, lambda _: None, methods=["GET"]) for each in PATHS)
    scope = {"type": "http", "path": path, "method": "GET"}
    found = routes.find(scope)
    assert (None if found is None else PATHS.index(found.path)) == expected
    assert [route.path for route in routes] == list(PATHS)
    assert routes.find({**scope, "method": "PUT"}) is None
