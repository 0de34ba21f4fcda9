"""Errors as the SQL API tells them."""

from __future__ import annotations

from typing import Any

import psycopg

from carto_like.server.errors import Problem, database_problem


def problem_of(error: psycopg.Error) -> Problem:
    """The answer to a query that PostgreSQL refused or broke off."""
    message = error.diag.message_primary or str(error).strip()
    # Errors of our own, such as a NUL in the text, have no code although nothing was lost.
    if error.sqlstate is None and not isinstance(error, psycopg.OperationalError):
        return Problem(400, message)
    # A COPY that we ended has the code of a cancelled query, and says why it was ended.
    if message.startswith("COPY from stdin failed"):
        return Problem(400, message)
    return database_problem(error.sqlstate, message, error.diag.message_detail, error.diag.message_hint)


def body_of(problem: Problem) -> dict[str, Any]:
    """The JSON object that tells a problem."""
    members = {"context": problem.context, "detail": problem.detail, "hint": problem.hint}
    present = {name: value for name, value in members.items() if value is not None}
    return {"error": [problem.message or ""], **present}
