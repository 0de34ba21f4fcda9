"""Rows of a statement that must succeed, for tests that look at what something else has done."""

from __future__ import annotations

from typing import Any

from tests.support.api import Api


def rows_of(api: Api, statement: str) -> list[dict[str, Any]]:
    """Run a statement as the account and give its rows."""
    response = api.sql(statement)
    assert response.status_code == 200, response.text
    rows: list[dict[str, Any]] = response.json()["rows"]
    return rows
