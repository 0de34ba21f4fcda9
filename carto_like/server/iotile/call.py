"""One request to IOTile Cloud: who sends it, what it asks for, and how it is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from typing import Any, TypeAlias

import anyio.lowlevel
import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from carto_like.server.platform import Platform
from carto_like.server.pool import Connection
from carto_like.server.services.iotile import orgs
from carto_like.server.services.iotile.accounts import Accounts, Person
from carto_like.server.services.iotile.kinds import Kind, Record, Where, find
from carto_like.server.services.iotile.tokens import TokenError

from .lists import CHUNK, Cursors, Listing, Page, Paging, Sizes, answer_of, read_page, read_paging
from .problems import detail, forbidden, not_found, unauthorized

_SIGNED = "jwt"
_PERMANENT = "token"


class Site:
    """What all requests to IOTile Cloud share.

    Attributes:
        platform: below it.
        accounts: who may come in.
        cursors: of lists.
    """

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.accounts = Accounts(platform.database, platform.secrets)
        self.cursors = Cursors(platform.secrets.derive("iotile cursors"))


class Call:
    """A request.

    Attributes:
        request: as it came.
        site: the shared parts.
    """

    def __init__(self, site: Site, request: Request, person: Person | None) -> None:
        self.site = site
        self.request = request
        self._person = person

    @property
    def person(self) -> Person:
        """Who sends it.

        Raises:
            Refusal: 401, nobody knows.
        """
        if self._person is None:
            raise unauthorized()
        return self._person

    @property
    def known_person(self) -> Person | None:
        """Who sends it, None when that was not said."""
        return self._person

    @property
    def platform(self) -> Platform:
        """The platform."""
        return self.site.platform

    @property
    def method(self) -> str:
        """The verb; that of a HEAD is GET."""
        return "GET" if self.request.method == "HEAD" else self.request.method

    @cached_property
    def path(self) -> dict[str, Any]:
        """What the parameters of the route stand for."""
        return dict(self.request.path_params)

    def paging(self, sizes: Sizes) -> Paging:
        """The page of a list that is asked for; raises 404 for one that cannot be."""
        return read_paging(self.request, self.site.cursors, sizes)

    def page(self, page: Page, items: Sequence[Any]) -> Response:
        """The answer that tells of a page of a list."""
        public_url = self.platform.settings.public_url
        return answer(answer_of(self.request, self.site.cursors, page, items, public_url=public_url))

    def where(self) -> Where:
        """Conditions on what this account sees."""
        return Where(self.person.id)

    async def list(self, listing: Listing, sizes: Sizes, shape: Callable[[tuple[Any, ...]], Any]) -> Response:
        """Answer with the page of a list that is asked for, each row in the shape it is told in."""
        paging = self.paging(sizes)
        async with self.platform.database.metadata() as connection:
            page = await read_page(connection, listing, paging)
        items: list[Any] = []
        for begin in range(0, len(page.rows), CHUNK):
            items += map(shape, page.rows[begin : begin + CHUNK])
            await anyio.lowlevel.checkpoint()
        return self.page(page, items)

    async def list_of(
        self, kind: Kind, where: Where, sizes: Sizes, shape: Callable[[Record], Any]
    ) -> Response:
        """:meth:`list` of the things of a kind that meet conditions."""
        listing = Listing(kind.selected, kind.found(where), where.values, kind.keys)
        return await self.list(listing, sizes, lambda row: shape(kind.record(row)))

    async def find(self, connection: Connection, kind: Kind, where: Where) -> Record:
        """The thing that meets conditions.

        Raises:
            Refusal: 404, there is none that this account may see.
        """
        record = await find(connection, kind, where)
        if record is None:
            raise not_found()
        return record

    async def require_admin(self, connection: Connection, org: Any) -> None:
        """Go on only for an administrator of an organization that the account is in.

        Raises:
            Refusal: 403.
        """
        if not (await orgs.rights(connection, self.person.id, org)).is_admin:
            raise forbidden("Only administrators of the organization may do that.")


Handler: TypeAlias = Callable[[Call], Awaitable[Response]]


class Endpoint:
    """A handler as an ASGI application.

    Args:
        site: the shared parts.
        handler: answers the calls.
        is_open: whether those without credentials get there, too.
    """

    def __init__(self, site: Site, handler: Handler, *, is_open: bool = False) -> None:
        self._site = site
        self._handler = handler
        self._is_open = is_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        person = await identify(self._site, request)
        if person is None and not self._is_open:
            raise unauthorized()
        if person is not None:
            # For the request's line in the log.
            scope["state"].update(account=person, user=person.username)
        response = await self._handler(Call(self._site, request, person))
        if request.method == "HEAD" and not isinstance(response, StreamingResponse):
            response.body = b""
        await response(scope, receive, send)


def route(
    site: Site,
    path: str,
    handler: Handler,
    *,
    methods: Sequence[str] = ("GET",),
    is_open: bool = False,
) -> Route:
    """The route of a handler; the path has no slash at its end, with which it is found as well."""
    return Route(path, Endpoint(site, handler, is_open=is_open), methods=list(methods))


async def identify(site: Site, request: Request) -> Person | None:
    """The account whose token a request shows, None when it shows none.

    Raises:
        Refusal: 401 for a token that is not good.
    """
    scheme, _, token = request.headers.get("authorization", "").strip().partition(" ")
    scheme, token = scheme.lower(), token.strip()
    if scheme not in (_SIGNED, _PERMANENT):
        return None
    if not token or " " in token:
        raise unauthorized("Invalid Authorization header.")
    if scheme == _PERMANENT:
        person = await site.accounts.by_permanent_token(token)
        if person is None:
            raise unauthorized("Invalid token.")
        return person
    try:
        return await site.accounts.by_signed_token(token)
    except TokenError as error:
        raise unauthorized(str(error)) from None


def answer(body: Any, status: int = 200) -> Response:
    """An answer in JSON."""
    return Response(orjson.dumps(body), status, media_type="application/json")


def no_content() -> Response:
    """An answer that says nothing but that it is done."""
    return Response(status_code=204)


def not_allowed(method: str, allowed: Sequence[str]) -> Response:
    """The answer to a verb that a path does not have."""
    problem = detail(405, f'Method "{method}" not allowed.', headers={"Allow": ", ".join(sorted(allowed))})
    response = answer(problem.body, 405)
    response.headers.update(problem.headers)
    return response
