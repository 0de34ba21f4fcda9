"""``auth/``: logging in and out, tokens and their renewal."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from carto_like.server.iotile import shapes
from carto_like.server.iotile.call import Call, Handler, Site, answer, no_content, route
from carto_like.server.iotile.parameters import object_of, stamp
from carto_like.server.iotile.problems import Refusal, forbidden, invalid
from carto_like.server.services.iotile.accounts import Person
from carto_like.server.services.iotile.tokens import TokenError

_BAD_LOGIN = "Username/password combination invalid."
_LONGEST = 1000


async def log_in(call: Call) -> Response:
    """The account and both kinds of token, for an address (or user name) and its password."""
    given = _texts(await object_of(call.request), "email", "password")
    if call.known_person is not None:
        raise forbidden("You are logged in already.")
    person = await call.site.accounts.log_in(given["email"], given["password"])
    if person is None:
        raise Refusal(401, _BAD_LOGIN)
    return answer({**shapes.account(person), **await _tokens(call, person)})


async def log_out(call: Call) -> Response:
    """Nothing is left to do: signed tokens expire by themselves, and permanent ones are permanent."""
    return no_content()


async def tokens(call: Call) -> Response:
    """Both kinds of token, for who has one."""
    return answer(await _tokens(call, call.person))


async def user_info(call: Call) -> Response:
    """The account itself."""
    return answer(shapes.account(call.person))


async def sign_in(call: Call) -> Response:
    """A signed token, for an address under the name ``username`` and its password."""
    given = _texts(await object_of(call.request), "username", "password")
    person = await call.site.accounts.log_in(given["username"], given["password"])
    if person is None:
        raise _no_field("Unable to log in with provided credentials.")
    return answer({"token": call.site.accounts.signed_token(person)})


async def renew(call: Call) -> Response:
    """A signed token that expires later."""
    token = _texts(await object_of(call.request), "token")["token"]
    try:
        return answer({"token": await call.site.accounts.renewed(token)})
    except TokenError as error:
        raise _no_field(str(error)) from None


async def verify(call: Call) -> Response:
    """The signed token itself, when it is good."""
    token = _texts(await object_of(call.request), "token")["token"]
    try:
        await call.site.accounts.by_signed_token(token)
    except TokenError as error:
        raise _no_field(str(error)) from None
    return answer({"token": token})


async def server(call: Call) -> Response:
    """Which server this is, and what time it has."""
    async with call.platform.database.metadata() as connection:
        row = await (await connection.execute("SELECT now()")).fetchone()
    now = stamp(row[0]) if row else None
    return answer({"now": now, "stage": "local", "name": "carto-like", "company": "carto-like"})


def routes(site: Site) -> list[Route]:
    """The routes of logins, and the one that tells about the server."""
    open_posts: tuple[tuple[str, Handler], ...] = (
        ("/auth/login", log_in),
        ("/auth/api-jwt-auth", sign_in),
        ("/auth/api-jwt-refresh", renew),
        ("/auth/api-jwt-verify", verify),
    )
    return [
        *(route(site, path, handler, methods=["POST"], is_open=True) for path, handler in open_posts),
        route(site, "/auth/logout", log_out, methods=["POST"]),
        route(site, "/auth/token", tokens),
        route(site, "/auth/user-info", user_info),
        route(site, "/server", server, is_open=True),
    ]


async def _tokens(call: Call, person: Person) -> dict[str, str]:
    accounts = call.site.accounts
    return {"token": await accounts.permanent_token(person), "jwt": accounts.signed_token(person)}


def _texts(body: dict[str, Any], *names: str) -> dict[str, str]:
    """What the body says under names that it must have.

    Raises:
        Refusal: 400, with what is wrong under each.
    """
    problems: dict[str, list[str]] = {}
    for name in names:
        value = body.get(name)
        if name not in body:
            problems[name] = ["This field is required."]
        elif value is None:
            problems[name] = ["This field may not be null."]
        elif not isinstance(value, str):
            problems[name] = ["Not a valid string."]
        elif not value.strip():
            problems[name] = ["This field may not be blank."]
        elif len(value) > _LONGEST and name != "token":
            problems[name] = [f"Ensure this field has no more than {_LONGEST} characters."]
    if problems:
        raise invalid(problems)
    return {name: body[name] for name in names}


def _no_field(text: str) -> Refusal:
    return invalid({"non_field_errors": [text]})
