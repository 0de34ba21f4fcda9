"""What IOTile Cloud refuses, in its own words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from carto_like.server.errors import Problem

Fields = Mapping[str, Sequence[str]]


class Refusal(Problem):
    """A refusal whose body is any JSON.

    Attributes:
        body: what is answered.
    """

    def __init__(self, status: int, body: Any, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, str(body), headers=headers)
        self.body = body


def detail(status: int, text: str, *, headers: Mapping[str, str] | None = None) -> Refusal:
    """A refusal that says why as ``{"detail": ...}``."""
    return Refusal(status, {"detail": text}, headers=headers)


def not_found() -> Refusal:
    """404: there is no such thing, or none that the account may know of."""
    return detail(404, "Not found.")


def invalid_page() -> Refusal:
    """404: the list ends before that page."""
    return detail(404, "Invalid page.")


def unauthorized(text: str = "Authentication credentials were not provided.") -> Refusal:
    """401, with the way to log in."""
    return detail(401, text, headers={"WWW-Authenticate": 'JWT realm="api"'})


def forbidden(text: str = "You do not have permission to perform this action.") -> Refusal:
    """403: the account sees it, and may not do that."""
    return detail(403, text)


def invalid(fields: Fields) -> Refusal:
    """400: what is wrong, field by field."""
    return Refusal(400, {name: list(texts) for name, texts in fields.items()})


def wrong(field: str, text: str) -> Refusal:
    """400: one thing is wrong with one field."""
    return invalid({field: [text]})


def invalid_texts(*texts: str) -> Refusal:
    """400: what is wrong, as a list of texts."""
    return Refusal(400, list(texts))


def body_of(problem: Problem) -> Any:
    """The body that tells a client of a problem."""
    if isinstance(problem, Refusal):
        return problem.body
    return {"detail": problem.message or "The request cannot be answered."}
