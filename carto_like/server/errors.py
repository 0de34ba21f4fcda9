"""What goes wrong, as HTTP knows it: one exception, and the tables from SQLSTATE to status."""

from __future__ import annotations

from collections.abc import Mapping


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
