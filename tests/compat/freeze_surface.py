"""Writes down the public surface of the ``carto`` package that this interpreter has installed.

Run it with an interpreter that has the original::

    python -m venv original
    original/bin/pip install carto==1.11.3 pyrestcli==0.6.11 six "setuptools<81"
    original/bin/python tests/compat/freeze_surface.py tests/compat/surface_carto_1_11_3.json

It looks at names, signatures, constants, fields and parents by ``inspect`` and reads no source.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

SIMPLE = (str, int, float, bool, list, dict, tuple, type(None))
META = ("collection_endpoint", "id_field", "name_field", "json_data", "parse_json")


def describe_package(name: str) -> dict[str, Any]:
    """The surface of each module of a package, by the module's name."""
    package = importlib.import_module(name)
    found = sorted(each.name for each in pkgutil.iter_modules(package.__path__))
    return {module: describe_module(importlib.import_module(f"{name}.{module}")) for module in found}


def describe_module(module: ModuleType) -> dict[str, Any]:
    """Constants, and the classes that the module defines or lends."""
    described: dict[str, Any] = {"constants": {}, "classes": {}, "lent": []}
    for name, value in sorted(vars(module).items()):
        if inspect.isclass(value) and value.__module__ == module.__name__:
            described["classes"][name] = describe_class(value)
        elif inspect.isclass(value) and value.__module__.partition(".")[0] not in sys.stdlib_module_names:
            described["lent"].append(name)
        elif name.isupper() and isinstance(value, SIMPLE):
            described["constants"][name] = list(value) if isinstance(value, tuple) else value
    return described


def describe_class(kind: type) -> dict[str, Any]:
    """Parents, constructor, methods, fields and plain attributes, inherited ones included."""
    described: dict[str, Any] = {
        "parents": [parent.__name__ for parent in kind.__mro__[1:] if parent is not object],
        "constructor": parameters(kind),
        "methods": {},
        "fields": {},
        "attributes": {},
    }
    for name in dir(kind):
        if name.startswith("_") or name == "fields" or not hasattr(kind, name) or is_pythons(kind, name):
            continue
        value, raw = getattr(kind, name), inspect.getattr_static(kind, name)
        if name == "Meta":
            described["meta"] = {key: getattr(value, key, None) for key in META}
        elif hasattr(raw, "__set__") and hasattr(raw, "many"):
            described["fields"][name] = [*kinds_of(raw), "many" if raw.many else "one"]
        elif inspect.isroutine(value):
            described["methods"][name] = parameters(value, bound=isinstance(raw, (classmethod, staticmethod)))
        elif inspect.isclass(value):
            described["attributes"][name] = f"class {value.__name__}"
        elif isinstance(value, SIMPLE) and not issubclass(kind, BaseException):
            described["attributes"][name] = list(value) if isinstance(value, tuple) else value
    return described


def is_pythons(kind: type, name: str) -> bool:
    """Whether an attribute comes from the standard library, where it depends on Python's version."""
    owner = next((parent for parent in kind.__mro__ if name in vars(parent)), kind)
    return owner.__module__.partition(".")[0] in sys.stdlib_module_names


def kinds_of(field: object) -> list[str]:
    """Names of the field's class and of those it derives from, the general ones left out."""
    names = [parent.__name__ for parent in type(field).__mro__]
    return [name for name in names if name not in ("Field", "Generic", "object")]


def parameters(callable_: Any, bound: bool = True) -> list[str]:
    """Each parameter that a caller gives, as in a ``def``; ``*`` stands before those given by name only."""
    try:
        found = list(inspect.signature(callable_).parameters.values())
    except ValueError:
        return []
    if not bound and found and found[0].name == "self":
        found = found[1:]
    texts = [str(each.replace(annotation=inspect.Parameter.empty)) for each in found]
    by_name_only = [each for each in found if each.kind is inspect.Parameter.KEYWORD_ONLY]
    has_star = any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in found)
    if by_name_only and not has_star:
        texts.insert(found.index(by_name_only[0]), "*")
    return texts


def as_text(surface: dict[str, Any]) -> str:
    """JSON with lists on one line each, to be read in a review."""
    text = json.dumps(surface, indent=1, sort_keys=True)
    return re.sub(r"\[[^\[\]{}]*\]", lambda found: re.sub(r"\n\s*", " ", found.group()), text) + "\n"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    Path(sys.argv[1]).write_text(as_text(describe_package("carto")), "utf-8")
