"""Templates of named maps: what a client may store."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from carto_like.server.secrets import same

from .problems import bad

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_PLACEHOLDER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
# An index holds no name of thousands of characters.
_LONGEST_NAME = 1000
_CREDENTIALS = ("api_key", "map_key")


def read_template(given: Mapping[str, Any]) -> dict[str, Any]:
    """A template as it is stored: checked, defaults filled in, without keys that came along.

    Raises:
        Problem: 400 for the first thing that is wrong.
    """
    template = {name: value for name, value in given.items() if name not in _CREDENTIALS}
    if template.get("version") != "0.0.1":
        raise bad(f"Unsupported template version {template.get('version', 'undefined')}")
    name = template.get("name")
    if not name:
        raise bad("Missing template name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise bad(f"Invalid characters in template name '{name}'")
    if len(name) > _LONGEST_NAME:
        raise bad(f"The template name has {len(name)} characters, more than {_LONGEST_NAME}")
    _check_layers(template.get("layergroup"))
    placeholders = template.setdefault("placeholders", {})
    _check_placeholders(placeholders)
    template["auth"] = _checked_auth(template.get("auth") or {"method": "open"})
    return template


def _check_layers(layergroup: Any) -> None:
    if not isinstance(layergroup, dict):
        raise bad("Missing layergroup")
    layers = layergroup.get("layers")
    if not isinstance(layers, list) or not layers:
        raise bad("Missing or empty layers array from layergroup config")
    bare = [
        str(index)
        for index, layer in enumerate(layers)
        if not isinstance(layer, dict) or not isinstance(layer.get("options"), dict)
    ]
    if bare:
        raise bad(f"Missing `options` in layergroup config for layers: {', '.join(bare)}")
    for name in _CREDENTIALS:
        layergroup.pop(name, None)


def _check_placeholders(placeholders: Any) -> None:
    if not isinstance(placeholders, dict):
        raise bad("The placeholders must be an object")
    for name, placeholder in placeholders.items():
        if not _PLACEHOLDER.fullmatch(name):
            raise bad(f"Invalid characters in placeholder name '{name}'")
        given = placeholder if isinstance(placeholder, dict) else {}
        for member in ("default", "type"):
            if member not in given:
                raise bad(f"Missing {member} for placeholder '{name}'")


def _checked_auth(auth: Any) -> dict[str, Any]:
    method = auth.get("method") if isinstance(auth, dict) else None
    if method == "open":
        return {"method": "open"}
    if method != "token":
        raise bad(f"Unsupported authentication method: {method}")
    tokens = auth.get("valid_tokens")
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise bad("Invalid 'token' authentication: missing valid_tokens")
    if not tokens:
        raise bad("Invalid 'token' authentication: no valid_tokens")
    return {"method": "token", "valid_tokens": tokens}


def passes(auth: Mapping[str, Any] | None, tokens: list[str]) -> bool:
    """Whether somebody who shows these tokens may use what the block guards; without a block nobody may."""
    if auth is None:
        return False
    if auth["method"] == "open":
        return True
    # All are compared, so that the time does not tell which was near.
    return sum(same(valid, token) for valid in auth["valid_tokens"] for token in tokens) > 0
