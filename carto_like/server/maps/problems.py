"""What goes wrong with maps, in the words and with the statuses that clients of maps know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from carto_like.server.cartocss import CartoCssError
from carto_like.server.errors import Problem
from carto_like.server.sqlapi.guard import Stopped
from carto_like.server.sqlapi.problems import problem_of

UNAUTHORIZED = "Sorry, you are unauthorized (permission denied)"
RENDER_TIMEOUT = (
    "You are over platform's limits: Render timeout error. Contact CARTO support for more details."
)
RATE_LIMITED = "You are over platform's limits: too many requests. Please contact us to know more details"
_DENIED = ("permission denied", "authentication failed")


class MapProblem(Problem):
    """A refusal with the context that answers about maps carry.

    Attributes:
        kind: what it is about (``"layer"``, ``"tile"``, ``"limit"``, ``"auth"``...).
        more: further members of the context, such as ``subtype`` and ``layer``.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "unknown",
        more: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, headers=headers)
        self.kind = kind
        self.more = dict(more or {})


def bad(message: str, kind: str = "unknown", **more: Any) -> MapProblem:
    """A 400."""
    return MapProblem(400, message, kind=kind, more=more)


def body_of(problem: Problem) -> dict[str, Any]:
    """The JSON object that tells a problem."""
    message = problem.message or "Unexpected error"
    context: dict[str, Any] = {"type": "unknown"}
    if isinstance(problem, MapProblem):
        context = {"type": problem.kind, **problem.more}
    elif problem.context:
        context = {"type": problem.context, "subtype": problem.detail}
    elif problem.status == 401:
        context = {"type": "auth", "subtype": "api-key-not-found"}
    return {"errors": [message], "errors_with_context": [{**context, "message": message}]}


def told(error: Exception, *, styled: bool = False, more: Mapping[str, Any] | None = None) -> Problem:
    """An error of drawing or of a layer's SQL as a problem.

    Args:
        error: of the database, of a deadline, of a style, or a problem already.
        styled: whether a missing column is the fault of a style rather than an absent thing.
        more: context of the layer that was read.
    """
    if isinstance(error, Problem):
        return error
    if isinstance(error, Stopped):
        return error.problem or Problem(499)
    if isinstance(error, CartoCssError):
        return bad(str(error), "layer", **(more or {}))
    if not isinstance(error, psycopg.Error):
        raise error
    problem = problem_of(error)
    message = problem.message or ""
    if problem.status >= 429:
        return problem
    kind, context = ("layer", {"subtype": "query", **more}) if more else ("unknown", {})
    return MapProblem(_status(message, styled=styled), message, kind=kind, more=context)


def _status(message: str, *, styled: bool) -> int:
    if any(text in message for text in _DENIED):
        return 403
    if "does not exist" not in message:
        return 400
    if " role " in f" {message}":
        return 403
    if message.startswith("function") or (styled and message.startswith("column")):
        return 400
    return 404
