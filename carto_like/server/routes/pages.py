"""The pages of an account, and the link by which its owner gets in."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from carto_like.server.accounts import Account
from carto_like.server.authentication import account_of
from carto_like.server.errors import Problem
from carto_like.server.pages.assets import require_maplibre
from carto_like.server.pages.home import datasets_of, jobs_of
from carto_like.server.pages.namedmaps import NamedMaps, tokens_of
from carto_like.server.pages.rendering import HEADERS, page
from carto_like.server.pages.sessions import COOKIE, LINK_SECONDS, SESSION_TIME, Sessions
from carto_like.server.platform import Platform
from carto_like.server.services.datasets import Datasets
from carto_like.server.services.preview import LAYER, Preview
from carto_like.server.vizapi.access import require_master, root_of
from carto_like.server.vizapi.answers import answering, json_answer
from carto_like.server.vizapi.bodies import read_body

Handler = Callable[[Request], Awaitable[Response]]

# Tiles' numbers have fewer; Python refuses to read numbers of thousands of digits.
_DIGITS = re.compile(r"[0-9]{1,18}")
_SEE_OTHER = 303
_PERMANENT = 308


def routes(platform: Platform) -> list[Route]:
    """The routes, relative to a user's root."""
    pages = _Pages(platform)
    return [
        Route("/api/v1/page_links", answering(pages.link), methods=["POST"]),
        Route("/enter", _explained(pages.enter), methods=["GET"]),
        Route("/leave", _explained(pages.leave), methods=["POST"]),
        Route("/dataset/{name:path}/{z}/{x}/{y}.mvt", answering(pages.dataset_tile), methods=["GET"]),
        Route("/dataset/{name:path}", _explained(pages.dataset), methods=["GET"]),
        Route("/map/{name:path}", _explained(pages.map), methods=["GET"]),
        Route("/", _explained(pages.home), methods=["GET"]),
    ]


def _explained(handler: Handler) -> Handler:
    """The handler, whose refusals become pages."""

    async def endpoint(request: Request) -> Response:
        try:
            return await handler(request)
        except Problem as problem:
            text = problem.message or "This is not for everybody."
            command = "carto-like open" if problem.status == 401 else None
            answer = page(
                "message.html",
                problem.status,
                title=_TITLES.get(problem.status, "Sorry"),
                text=text,
                command=command,
            )
            answer.headers.update(problem.headers)
            return answer

    return endpoint


_TITLES = {401: "Who is there?", 403: "Not for everybody", 404: "There is no such page"}


class _Pages:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._sessions = Sessions(platform)
        self._maps = NamedMaps(platform)

    async def link(self, request: Request) -> Response:
        """Make a link that logs its user in, once; for whoever holds the master key."""
        account = account_of(request)
        body = await read_body(request)
        await require_master(self._platform, request, account, body)
        wanted = body.get("page", "")
        if not isinstance(wanted, str):
            raise Problem(400, "page must be text")
        code = await self._sessions.new_link(account, wanted)
        url = f"{root_of(self._platform, request, account)}/enter?code={code}"
        return json_answer({"url": url, "expires_in": LINK_SECONDS}, 201)

    async def enter(self, request: Request) -> Response:
        account = account_of(request)
        if request.method == "HEAD":
            # Some look at an address before they go there; that must not be the one use of the link.
            return Response(headers=HEADERS)
        wanted = await self._sessions.use_link(account, request.query_params.get("code", ""))
        if wanted is None:
            raise Problem(401, "This link was used before, or is older than a minute. Get another one with:")
        root = root_of(self._platform, request, account)
        kind, _, name = wanted.partition("/")
        target = f"{root}/{kind}/{quote(name, safe='')}" if wanted else f"{root}/"
        answer = RedirectResponse(target, _SEE_OTHER, HEADERS)
        answer.set_cookie(
            COOKIE,
            await self._sessions.new_cookie(account),
            max_age=round(SESSION_TIME.total_seconds()),
            path=_cookie_path(root),
            secure=root.startswith("https:"),
            httponly=True,
            samesite="lax",
        )
        return answer

    async def leave(self, request: Request) -> Response:
        root = root_of(self._platform, request, account_of(request))
        answer = RedirectResponse(f"{root}/", _SEE_OTHER, HEADERS)
        secure = root.startswith("https:")
        answer.delete_cookie(COOKIE, _cookie_path(root), secure=secure, httponly=True, samesite="lax")
        return answer

    async def home(self, request: Request) -> Response:
        account = account_of(request)
        root = root_of(self._platform, request, account)
        # Links and the cookie are below the account's own address, with a slash at its end.
        if not request.scope["state"]["full_path"].endswith(f"/user/{account.name}/"):
            return RedirectResponse(f"{root}/", _PERMANENT, HEADERS)
        await self._require_session(request, account)
        datasets, total = await datasets_of(self._platform, account, root)
        maps, jobs = await self._maps.listed(account, root), await jobs_of(self._platform, account)
        title = f"Maps and data of {account.name}"
        return page("home.html", title=title, root=root, datasets=datasets, total=total, maps=maps, jobs=jobs)

    async def dataset(self, request: Request) -> Response:
        account = account_of(request)
        require_maplibre()
        is_owner = await self._sessions.master_key(request, account) is not None
        dataset = await Datasets(self._platform.database).find(account, request.path_params["name"])
        if not is_owner and (dataset is None or dataset.privacy == "private"):
            # Whether there is one is the owner's business, too.
            raise Problem(401, "If there is such a dataset, it is private. Its owner gets a link to it with:")
        if dataset is None:
            raise Problem(404, "There is no such dataset.")
        preview = self._preview(account, dataset.name, is_owner=is_owner)
        path = urlsplit(root_of(self._platform, request, account)).path
        config = {
            "vector": f"{path}/dataset/{quote(dataset.name, safe='')}/{{z}}/{{x}}/{{y}}.mvt",
            "raster": None,
            "layers": [LAYER],
            "bounds": await preview.bounds(),
        }
        return page("map.html", title=dataset.name, config=config)

    async def map(self, request: Request) -> Response:
        account, name = account_of(request), request.path_params["name"]
        require_maplibre()
        is_owner = await self._sessions.master_key(request, account) is not None
        tokens = tokens_of(request.query_params.multi_items())
        path = urlsplit(root_of(self._platform, request, account)).path
        config = await self._maps.config(account, path, name, tokens, is_owner=is_owner)
        return page("map.html", title=name, config=config)

    async def dataset_tile(self, request: Request) -> Response:
        account = account_of(request)
        is_owner = await self._sessions.master_key(request, account) is not None
        name, *place = (request.path_params[part] for part in ("name", "z", "x", "y"))
        if not all(_DIGITS.fullmatch(part) for part in place):
            raise Problem(404, f"There is no tile {'/'.join(place)}.")
        preview = self._preview(account, name, is_owner=is_owner)
        content = await preview.tile(*map(int, place))
        return tile_answer(request, content)

    def _preview(self, account: Account, name: str, *, is_owner: bool) -> Preview:
        role = account.role if is_owner else account.public_role
        return Preview(self._platform.database, account, role, name)

    async def _require_session(self, request: Request, account: Account) -> None:
        if await self._sessions.master_key(request, account) is None:
            raise Problem(401, "This page is for whoever holds the master key. Get a link to it with:")


def tile_answer(request: Request, content: bytes) -> Response:
    """A vector tile, which a browser asks about again each time and gets only when it has changed."""
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Cookie"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    status = 200 if content else 204
    return Response(content, status, headers, "application/x-protobuf" if content else None)


def _cookie_path(root: str) -> str:
    return f"{urlsplit(root).path}/"
