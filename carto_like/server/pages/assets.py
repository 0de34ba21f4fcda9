"""The files that pages are made with: our own, and MapLibre as its package on this machine has it."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carto_like.server.errors import Problem

_OWN = Path(__file__).with_name("static")
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
_MAPLIBRE = ("maplibre-gl.js", "maplibre-gl.css")
_OWN_FILES = ("page.css", "map.css", "map.js")


class MissingMapLibre(Problem):
    """The package that brings MapLibre is not installed."""

    def __init__(self) -> None:
        super().__init__(
            501, 'maplibre is not installed, which draws maps. Get it with: pip install "carto-like[maps]"'
        )


@cache
def _maplibre() -> Path | None:
    # Looked up and not imported: the package would bring much that nobody here uses.
    spec = find_spec("maplibre")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    found = [Path(folder) / "srcjs" for folder in folders]
    return next((folder for folder in found if all((folder / name).is_file() for name in _MAPLIBRE)), None)


@cache
def _content(name: str) -> tuple[bytes, str] | None:
    """Content and ETag of a file; None when there is none of that name."""
    folder = _OWN if name in _OWN_FILES else _maplibre() if name in _MAPLIBRE else None
    if folder is None:
        return None
    content = (folder / name).read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def require_maplibre() -> None:
    """See that maps can be drawn in browsers.

    Raises:
        MissingMapLibre: they cannot.
    """
    if _maplibre() is None:
        raise MissingMapLibre


def routes() -> list[Route]:
    """The routes of the files, which are the same for everybody."""
    return [Route("/assets/{name}", _serve, methods=["GET"])]


async def _serve(request: Request) -> Response:
    name = request.path_params["name"]
    found = _content(name)
    if found is None:
        raise Problem(404, f"There is no file '{name}'.")
    content, tag = found
    headers = {"ETag": tag, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=_TYPES[Path(name).suffix])
