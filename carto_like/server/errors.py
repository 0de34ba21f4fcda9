"""What goes wrong, as HTTP knows it: one exception, and the tables from SQLSTATE to status."""

from __future__ import annotations

from collections.abc import Mapping

UNREACHABLE = "cannot connect to the database"


class Problem(Exception):
    """A refusal with its HTTP status; each API family renders the body in its own words.

    Attributes:
        status: HTTP status code.
        message: what is wrong and, where it helps, what to do; None for an answer with an empty body.
        context: kind of the limit that was hit (``"limit"``), if any.
        detail: PostgreSQL's detail, or the limit's name.
        hint: PostgreSQL's hint.
        headers: extra response headers.
    """

    def __init__(
        self,
        status: int,
        message: str | None = None,
        *,
        context: str | None = None,
        detail: str | None = None,
        hint: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message or "")
        self.status = status
        self.message = message
        self.context = context
        self.detail = detail
        self.hint = hint
        self.headers = dict(headers or {})


class StartError(Exception):
    """The server cannot start; the message says why and what to do about it."""


QUERY_TIMEOUT = (
    "You are over platform's limits: SQL query timeout error. Refactor your query before running again or "
    "contact CARTO support for more details."
)
RATE_LIMITED = "You are over platform's limits. Please contact us to know more details"

_QUERY_CANCELED = "57014"
_TOO_MANY_CONNECTIONS = "53300"
# Connection exceptions, and a server that stops, crashed or does not accept anybody yet.
_LOST = ("08", "57P01", "57P02", "57P03")


def query_timeout() -> Problem:
    """The answer to a query that used up its time."""
    return Problem(429, QUERY_TIMEOUT, context="limit", detail="datasource")


def database_problem(
    sqlstate: str | None, message: str, detail: str | None = None, hint: str | None = None
) -> Problem:
    """What an error of PostgreSQL is to a client whose SQL caused it.

    Args:
        sqlstate: the error's code; None when the connection broke without one.
        message: PostgreSQL's primary message, without severity and code.
        detail: its detail, passed on.
        hint: its hint, passed on.
    """
    if sqlstate == _QUERY_CANCELED:
        return query_timeout()
    if sqlstate is None or sqlstate.startswith(_LOST):
        return Problem(500, UNREACHABLE)
    if sqlstate == _TOO_MANY_CONNECTIONS:
        return Problem(503, message, headers={"Retry-After": "1"})
    # By the words, not by 42501: "must be owner of table t" has that code, too, and is a bad request.
    return Problem(403 if "permission denied" in message else 400, message, detail=detail, hint=hint)
