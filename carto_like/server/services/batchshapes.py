"""Batch jobs as clients write and read them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any
from uuid import UUID

from carto_like.server.errors import Problem

from .batchstates import PENDING, Item, Kind, States

_NO_QUERY = "You must indicate a valid SQL"
_NO_CLASS = "there is no job class for the provided query"
_FALLBACKS = ("onsuccess", "onerror")
# What only we write.
_OURS = frozenset({"status", "fallback_status", "failed_reason", "started_at", "ended_at"})
_JOB_ID = re.compile(r"<%=\s*job_id\s*%>")
_ERROR_MESSAGE = re.compile(r"<%=\s*error_message\s*%>")


def read_query(query: Any) -> States:
    """A new job as its creator described it.

    Args:
        query: a text; a list of texts; or an object with a list of objects, which have fallbacks.

    Raises:
        Problem: 400, it is none of these.
    """
    if query is None or query in ("", [], {}):
        raise Problem(400, _NO_QUERY)
    if isinstance(query, str):
        return _new("simple", [{"query": query, "status": PENDING}])
    if isinstance(query, list) and all(isinstance(text, str) for text in query):
        return _new("multiple", [{"query": text, "status": PENDING} for text in query])
    if isinstance(query, dict) and isinstance(query.get("query"), list):
        if not query["query"]:
            raise Problem(400, _NO_QUERY)
        items = [_read_item(item) for item in query["query"]]
        extras = {name: value for name, value in query.items() if name != "query"}
        _check_fallbacks(extras)
        return _new("fallback", items, extras)
    raise Problem(400, _NO_CLASS)


def _new(kind: Kind, items: list[Item], extras: Mapping[str, Any] | None = None) -> States:
    job = {"status": PENDING}
    if extras is not None and _has_fallback(extras):
        job["fallback_status"] = PENDING
    return States(kind, items, job, extras or {})


def _read_item(given: Any) -> Item:
    if not isinstance(given, dict) or not isinstance(given.get("query"), str) or not given["query"]:
        raise Problem(400, _NO_CLASS)
    _check_fallbacks(given)
    item = {name: value for name, value in given.items() if name not in _OURS}
    item["status"] = PENDING
    if _has_fallback(item):
        item["fallback_status"] = PENDING
    return item


def _check_fallbacks(owner: Mapping[str, Any]) -> None:
    if any(not isinstance(owner.get(name, ""), str) for name in _FALLBACKS):
        raise Problem(400, _NO_CLASS)


def _has_fallback(owner: Mapping[str, Any]) -> bool:
    return any(owner.get(name) for name in _FALLBACKS)


def filled(text: str, job_id: UUID, item: Item) -> str:
    """A query's fallback with its placeholders filled in.

    The quotes of an error message are doubled, as it stands between quotes.
    """
    reason = str(item.get("failed_reason", "")).replace("'", "''")
    text = _JOB_ID.sub(str(job_id), text)
    # A function, since backslashes in a message mean nothing.
    return _ERROR_MESSAGE.sub(lambda _: reason, text) if item["status"] == "failed" else text


def item_seconds(item: Item, longest: float) -> float:
    """How long a query may run: what it asks for in milliseconds, if that is less than the server's limit."""
    asked = item.get("timeout")
    if isinstance(asked, bool) or not isinstance(asked, (int, float)) or not asked > 0:
        return longest
    return min(asked / 1000, longest) if longest else asked / 1000


def shown_query(states: States) -> Any:
    """The ``query`` of an answer."""
    if states.kind == "simple":
        return states.items[0]["query"]
    if states.kind == "multiple":
        return states.items
    return {"query": states.items, **states.extras}


def shown_time(moment: datetime) -> str:
    """A moment as the API writes it: UTC, to the millisecond."""
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
