"""Imports by the API, and what becomes of them."""

from __future__ import annotations

from typing import Any

from tests.support.api import Api
from tests.support.raw import eventually

FINAL = ("complete", "failure")


def start(api: Api, **request: Any) -> str:
    """Start an import; answers its id."""
    response = api.post("api/v1/imports", **request)
    assert response.status_code == 200, response.text
    body = response.json()
    assert body["success"] is True
    identity: str = body["item_queue_id"]
    return identity


def ended(api: Api, identity: str, seconds: float = 60.0) -> dict[str, Any]:
    """The import when it has ended."""
    last: dict[str, Any] = {}

    def is_final() -> bool:
        last.clear()
        last.update(api.get(f"api/v1/imports/{identity}").json())
        return last["state"] in FINAL

    eventually(is_final, "the import's end", seconds)
    return last


def upload(api: Api, name: str, content: bytes | str, **params: Any) -> dict[str, Any]:
    """Import a file; the import when it has ended."""
    data = content.encode() if isinstance(content, str) else content
    return ended(api, start(api, files={"file": (name, data)}, params=params))


def imported(api: Api, name: str, content: bytes | str, **params: Any) -> str:
    """Import a file that is good; the name of its table."""
    end = upload(api, name, content, **params)
    assert (end["state"], end["success"]) == ("complete", True), end
    table: str = end["table_name"]
    return table
