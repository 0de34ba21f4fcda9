"""The pages of an account, and the link by which its owner gets in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from carto_like.server.accounts import Account
from carto_like.server.authentication import account_of
from carto_like.server.errors import Problem
from carto_like.server.pages.home import datasets_of, jobs_of
from carto_like.server.pages.rendering import HEADERS, page
from carto_like.server.pages.sessions import COOKIE, LINK_SECONDS, SESSION_TIME, Sessions
from carto_like.server.platform import Platform
from carto_like.server.vizapi.access import require_master, root_of
from carto_like.server.vizapi.answers import answering, json_answer
from carto_like.server.vizapi.bodies import read_body

Handler = Callable[[Request], Awaitable[Response]]

_SEE_OTHER = 303
_PERMANENT = 308


def routes(platform: Platform) -> list[Route]:
    """The routes, relative to a user's root."""
    pages = _Pages(platform)
    return [
        Route("/api/v1/page_links", answering(pages.link), methods=["POST"]),
        Route("/enter", _explained(pages.enter), methods=["GET"]),
        Route("/leave", _explained(pages.leave), methods=["POST"]),
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
        jobs = await jobs_of(self._platform, account)
        title = f"Maps and data of {account.name}"
        return page("home.html", title=title, root=root, datasets=datasets, total=total, maps=[], jobs=jobs)

    async def _require_session(self, request: Request, account: Account) -> None:
        if await self._sessions.master_key(request, account) is None:
            raise Problem(401, "This page is for whoever holds the master key. Get a link to it with:")


def _cookie_path(root: str) -> str:
    return f"{urlsplit(root).path}/"
