"""The public surface of ``carto`` 1.11.3 is here: the same names, taking at least the same arguments."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.compat.freeze_surface import describe_package

FROZEN: dict[str, Any] = json.loads(Path(__file__).with_name("surface_carto_1_11_3.json").read_text("utf-8"))
OURS = describe_package("carto_like")

# What is still to come. A name that exists by now has to leave this list.
PENDING = {
    "api_keys": "the Auth API beyond reading",
    "do_dataset": "the Data Observatory",
    "do_subscription_info": "the Data Observatory",
    "do_subscriptions": "the Data Observatory",
    "do_token": "the Data Observatory",
    "kuvizs": "published maps",
    "visualizations.VisualizationManager": "listing maps",
}

# Where the original is wrong, or has to be, and what is right.
CORRECTED = {
    "auth.APIKeyAuthClient.CARTO_VERSION": "this package's own version",
    "auth.NonVerifiedAPIKeyAuthClient.CARTO_VERSION": "this package's own version",
    "auth._ClientIdentifier.CARTO_VERSION": "this package's own version",
    "resources.Manager.paginator_class": "the original's default cannot be constructed the way it is",
    "synchronizations.Synchronization.log_id": "an id is text, no boolean",
    "synchronizations.Synchronization.visualization_id": "an id is text, no boolean",
    "tables.TableManager.json_collection_attribute": "the answer's list is called tables, not data",
    "users.UserManager.json_collection_attribute": "the answer is a bare list",
    "utils.ResponseStream.readinto": "file objects are asked by position; the name is Python's own",
}

# What modules lend from others, where scripts are known to import it; the rest are accidents of import.
LENT = {
    "auth": ["BaseAuthClient", "BasicAuthClient"],
    "fields": ["CharField", "ResourceField"],
    "paginators": ["Paginator"],
    "resources": ["Resource"],
}


def differences(frozen: dict[str, Any], ours: dict[str, Any], module: str) -> Iterator[tuple[str, str]]:
    """Dotted name and description of each thing that a caller of the original would miss."""
    for name, value in frozen["constants"].items():
        if name not in ours["constants"]:
            yield f"{module}.{name}", "missing"
        elif ours["constants"][name] != value:
            yield f"{module}.{name}", f"{ours['constants'][name]!r} where the original has {value!r}"
    importable = {*ours["lent"], *ours["classes"]}
    for name in LENT.get(module, ()):
        assert name in frozen["lent"]
        if name not in importable:
            yield f"{module}.{name}", "cannot be imported"
    for name, described in frozen["classes"].items():
        if name not in ours["classes"]:
            yield f"{module}.{name}", "missing"
        else:
            yield from class_differences(described, ours["classes"][name], f"{module}.{name}")


def class_differences(frozen: dict[str, Any], ours: dict[str, Any], name: str) -> Iterator[tuple[str, str]]:
    """The same for one class."""
    for parent in frozen["parents"]:
        if parent not in ours["parents"] and parent != name.rpartition(".")[2]:
            yield f"{name}.{parent}", "is no parent"
    for problem in missing_parameters(frozen["constructor"], ours["constructor"]):
        yield f"{name}.__init__", problem
    for method, wanted in frozen["methods"].items():
        if method not in ours["methods"]:
            yield f"{name}.{method}", "missing"
            continue
        for problem in missing_parameters(wanted, ours["methods"][method]):
            yield f"{name}.{method}", problem
    for field, wanted in frozen["fields"].items():
        if not set(wanted) <= set(ours["fields"].get(field, ())):
            yield f"{name}.{field}", f"{ours['fields'].get(field)} where the original has {wanted}"
    for key, value in {**frozen["attributes"], **frozen.get("meta", {})}.items():
        found = {**ours["attributes"], **ours.get("meta", {})}
        if key not in found and not (key in ours["fields"] and value is None):
            yield f"{name}.{key}", "missing"
        elif value is not None and renamed(found.get(key)) != value:
            yield f"{name}.{key}", f"{found.get(key)!r} where the original has {value!r}"


def renamed(value: Any) -> Any:
    """A value in which our package has the original's name."""
    return value.replace("carto_like.", "carto.") if isinstance(value, str) else value


def missing_parameters(frozen: list[str], ours: list[str]) -> Iterator[str]:
    """What a call that the original takes would fail on."""
    by_position = ours[: ours.index("*")] if "*" in ours else ours
    named = [each for each in by_position if not each.startswith("*")]
    any_position = any(each.startswith("*") and each.lstrip("*") and each[1] != "*" for each in ours)
    any_name = any(each.startswith("**") for each in ours)
    wanted = [each for each in frozen if not each.startswith("*")]
    takes_anything = any_position and any_name and not named
    if named[: len(wanted)] != wanted and not takes_anything:
        yield f"takes ({', '.join(ours)}) where the original takes ({', '.join(frozen)})"
    if any(each.startswith("**") for each in frozen) and not any_name:
        yield "does not take names of any kind"
    by_name = ours[ours.index("*") + 1 :] if "*" in ours else []
    for each in (*named[len(wanted) :], *by_name):
        if "=" not in each and not each.startswith("**"):
            yield f"asks for {each}, which the original does not know"


def pending(name: str) -> str | None:
    """The entry of the list of what is to come that covers a name."""
    return next((each for each in PENDING if name == each or name.startswith(each + ".")), None)


def found_differences() -> dict[str, str]:
    """Every difference, by dotted name; a module that is missing counts as one."""
    found: dict[str, str] = {}
    for module, frozen in FROZEN.items():
        if module in OURS:
            found.update(differences(frozen, OURS[module], module))
        else:
            found[module] = "missing"
    return found


def test_nothing_is_missing_but_what_is_named() -> None:
    unexpected = {
        name: problem
        for name, problem in found_differences().items()
        if pending(name) is None and name not in CORRECTED
    }
    assert unexpected == {}


@pytest.mark.parametrize("name", [*PENDING, *CORRECTED])
def test_what_is_named_really_differs(name: str) -> None:
    assert name in found_differences(), f"{name} is there: take it off the list"


@pytest.mark.parametrize(
    ("frozen", "ours", "fits"),
    [
        (["a", "b=1"], ["a", "b=1"], True),
        (["a", "b=1"], ["a", "b=1", "c=2"], True),
        (["a", "b=1"], ["a", "b=1", "*", "c=2", "**kw"], True),
        (["a"], ["a", "b"], False),
        (["a", "b=1"], ["a", "b=2"], False),
        (["a", "b=1"], ["b=1", "a"], False),
        (["a", "b=1"], ["a", "*", "b=1"], False),
        (["a", "**kw"], ["a"], False),
        (["a", "**kw"], ["a", "**kwargs"], True),
        (["**kw"], ["*args", "**values"], True),
        (["a"], [], False),
        (["a"], ["*args", "**values"], True),
        (["a"], ["*", "a", "**values"], False),
        (["a"], ["a", "*", "b"], False),
    ],
)
def test_the_comparison_notices(frozen: list[str], ours: list[str], fits: bool) -> None:
    assert (list(missing_parameters(frozen, ours)) == []) is fits


def test_the_page_about_porting_names_the_modules_that_are_kept() -> None:
    page = (Path(__file__).parents[2] / "doc" / "porting.rst").read_text("utf-8")
    sentence = page[page.index("are kept for the modules") : page.index("a test compares")]
    assert set(re.findall(r"``(\w+)``", sentence)) == set(FROZEN) - set(PENDING)
