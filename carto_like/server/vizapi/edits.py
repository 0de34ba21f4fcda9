"""What a PUT asks to change of a dataset; all that cannot be changed is accepted and ignored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from carto_like.server.errors import Problem
from carto_like.server.services.changes import Changes
from carto_like.server.services.registry import Privacy

_TEXTS = ("display_name", "title", "description", "license", "attributions", "source")
_PRIVACIES: tuple[Privacy, ...] = get_args(Privacy)
_PRIVACY_NUMBERS: tuple[Privacy, ...] = ("private", "public", "link")


def viz_changes(body: Mapping[str, Any]) -> Changes:
    """The changes that a visualization's new attributes ask for.

    Raises:
        Problem: 400 for a value that cannot be.
    """
    described: dict[str, Any] = {name: _text(body[name], name) for name in _TEXTS if name in body}
    if "tags" in body:
        described["tags"] = _tags(body["tags"])
    if (locked := str(body.get("locked")).lower()) in ("true", "false"):
        described["locked"] = locked == "true"
    return Changes(_text(body.get("name"), "name"), _privacy(body.get("privacy")), described)


def table_changes(body: Mapping[str, Any]) -> Changes:
    """The changes that a table's new attributes ask for: privacy by number, tags with commas between.

    Raises:
        Problem: 400 for a value that cannot be.
    """
    described: dict[str, Any] = {}
    if "description" in body:
        described["description"] = _text(body["description"], "description")
    if "tags" in body:
        described["tags"] = _tags(body["tags"])
    privacy = body.get("privacy")
    if not isinstance(privacy, bool) and str(privacy) in ("0", "1", "2"):
        privacy = _PRIVACY_NUMBERS[int(str(privacy))]
    return Changes(None, _privacy(privacy), described)


def _privacy(value: Any) -> Privacy | None:
    if value is None:
        return None
    for privacy in _PRIVACIES:
        if isinstance(value, str) and value.lower() == privacy:
            return privacy
    raise Problem(400, "Privacy of a dataset must be one of PUBLIC, LINK, PRIVATE")


def _tags(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list):
        raise Problem(400, "Tags must be a list of texts")
    tags = [(_text(tag, "tags") or "").strip() for tag in value]
    return list(dict.fromkeys(tag for tag in tags if tag))


def _text(value: Any, name: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise Problem(400, f"{name.capitalize()} must be text")
    if "\0" in value:
        raise Problem(400, f"{name.capitalize()} must not have the character NUL")
    return value
