"""Answers of datasets and accounts: JSON, JSONP, and refusals in the words of each endpoint."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from carto_like.server.errors import Problem

Handler = Callable[[Request], Awaitable[Response]]
Words = Callable[[Problem], Any]

_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*(\.[A-Za-z_$][A-Za-z0-9_$]*)*")
OPEN_TO_ALL = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "*",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
}


def typed(problem: Problem) -> Any:
    """``{"errors": text}`` with room for a cause."""
    return {"errors": problem.message, "errors_cause": None}


def listed(problem: Problem) -> Any:
    """``{"errors": [text]}``, as validations are reported."""
    return {"errors": [problem.message]}


def plain(problem: Problem) -> Any:
    """``{"error": text}``, as lists report what is wrong with their parameters."""
    return {"error": problem.message}


def json_answer(value: Any, status: int = 200) -> Response:
    """An answer that nobody between may keep, as it is the caller's own."""
    return Response(
        orjson.dumps(value),
        status,
        {"Cache-Control": "no-cache, private", "Vary": "Authorization"},
        "application/json; charset=utf-8",
    )


def answering(handler: Handler, words: Words = typed, *, cors: bool = False) -> Handler:
    """The handler with what all endpoints share: refusals and ``callback``.

    A 401, and a refusal that has nothing to say, have an empty body.
    """

    async def endpoint(request: Request) -> Response:
        callback = request.query_params.get("callback")
        if callback and not _IDENTIFIER.fullmatch(callback):
            return json_answer({"errors": {"callback": "it must be a JavaScript identifier"}}, 400)
        try:
            response = await handler(request)
        except Problem as problem:
            response = _refusal(problem, words)
        if cors:
            response.headers.update(OPEN_TO_ALL)
        return _padded(response, callback) if callback else response

    return endpoint


def _refusal(problem: Problem, words: Words) -> Response:
    if problem.status == 401 or problem.message is None:
        response = Response(status_code=problem.status)
    else:
        response = json_answer(words(problem), problem.status)
    response.headers.update(problem.headers)
    return response


def _padded(response: Response, callback: str) -> Response:
    if not response.body:
        return response
    # The comment keeps the body from being read as something else than a script.
    body = b"/**/" + callback.encode() + b"(" + bytes(response.body) + b")"
    of_body = ("content-length", "content-type")
    headers = {name: value for name, value in response.headers.items() if name not in of_body}
    headers["X-Content-Type-Options"] = "nosniff"
    return Response(body, response.status_code, headers, "text/javascript; charset=utf-8")
