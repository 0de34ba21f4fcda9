"""Filling in the placeholders of templates, each escaped as its type says."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

import orjson

from .problems import bad

_PLACEHOLDER = re.compile(r"<%=\s*([A-Za-z][A-Za-z0-9_]*)\s*%>")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_COLOR = re.compile(r"[A-Za-z]+|#[0-9A-Fa-f]{3,6}")


def fill_in(template: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The map configuration that a template gives with these parameters, defaults in place of others.

    Raises:
        Problem: 400 for a value that its placeholder's type refuses.
    """
    values = {
        name: _escaped(name, placeholder["type"], parameters.get(name, placeholder["default"]))
        for name, placeholder in template["placeholders"].items()
    }
    config: dict[str, Any] = copy.deepcopy(template["layergroup"])
    styles = parameters.get("styles")
    for index, layer in enumerate(config["layers"]):
        options = layer["options"]
        for name in ("sql", "cartocss"):
            if isinstance(options.get(name), str):
                options[name] = _substituted(options[name], values)
        own = styles.get(str(index)) if isinstance(styles, dict) else None
        if isinstance(own, str) and "cartocss" in options:
            options["cartocss"] = own
    buffers = config.get("buffersize")
    if isinstance(buffers, dict):
        for name, value in buffers.items():
            if isinstance(value, str):
                buffers[name] = _integer(_substituted(value, values))
    return config


def _substituted(text: str, values: Mapping[str, str]) -> str:
    def value_of(match: re.Match[str]) -> str:
        value = values.get(match[1])
        if value is None:
            return match[0]
        # Two of them would begin a comment, and hide the rest of the line.
        if value.startswith("-") and text[: match.start()].endswith("-"):
            return f" {value}"
        return value

    return _PLACEHOLDER.sub(value_of, text)


def _integer(text: str) -> int | str:
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        return text


def _escaped(name: str, kind: Any, value: Any) -> str:
    if kind in ("sql_literal", "sql_ident"):
        if not isinstance(value, str) or "\0" in value:
            raise _invalid(kind, name, value)
        return value.replace("'", "''") if kind == "sql_literal" else value.replace('"', '""')
    if kind == "number":
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return repr(value)
        if not isinstance(value, str) or not _NUMBER.fullmatch(value):
            raise _invalid(kind, name, value)
        return value
    if kind == "css_color":
        if not isinstance(value, str) or not _COLOR.fullmatch(value):
            raise _invalid(kind, name, value)
        return value
    raise bad(f"Invalid placeholder type '{kind}'")


def _invalid(kind: str, name: str, value: Any) -> Exception:
    shown = value if isinstance(value, str) else orjson.dumps(value).decode()
    return bad(f"Invalid {kind} value for template parameter '{name}': {shown}")
