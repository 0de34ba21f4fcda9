"""The documentation is complete, and its Python runs."""

from __future__ import annotations

import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import GenericAlias
from typing import Any

import click
import pytest

from carto_like.auth import APIKeyAuthClient
from carto_like.cli.root import cli
from carto_like.sql import CopySQLClient, SQLClient
from tests.support.api import TestAccount
from tests.support.source import Source

ROOT = Path(__file__).resolve().parents[2]
DOC = ROOT / "doc"
PAGES = ("start", "sql", "copy", "batch", "datasets", "imports", "sync", "maps", "export", "errors")


def documented_modules() -> set[str]:
    return set(re.findall(r"^\.\. automodule:: (\S+)", (DOC / "api.rst").read_text("utf-8"), re.MULTILINE))


def public_modules() -> set[str]:
    package = ROOT / "carto_like"
    patterns = ("*.py", "core/*.py", "pure/*.py", "iotile/**/*.py")
    files = [path for pattern in patterns for path in package.glob(pattern)]
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in files
        if not path.stem.startswith("_")
    }


def test_reference_has_every_public_module() -> None:
    assert documented_modules() == public_modules()


@pytest.mark.parametrize("name", sorted(public_modules()))
def test_every_public_name_has_a_docstring(name: str) -> None:
    module = importlib.import_module(name)
    things = {public: getattr(module, public) for public in module.__all__}
    # Python 3.10 takes an alias such as list[int] for a class.
    things = {public: thing for public, thing in things.items() if not isinstance(thing, GenericAlias)}
    bare = [
        public
        for public, thing in things.items()
        if (inspect.isclass(thing) or inspect.isroutine(thing)) and not (thing.__doc__ or "").strip()
    ]
    assert bare == []


def test_every_page_is_in_the_table_of_contents() -> None:
    index = (DOC / "index.rst").read_text("utf-8")
    pages = {path.stem for path in DOC.glob("*.rst")} - {"index"}
    assert [page for page in pages if not re.search(rf"^   {page}$", index, re.MULTILINE)] == []


def commands(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, (*path, name))


def test_command_line_page_is_generated_from_all_commands() -> None:
    page = (DOC / "cli.rst").read_text("utf-8")
    assert re.search(r"^\.\. click:: carto_like\.cli\.root:cli\n.*\n   :nested: full$", page, re.MULTILINE)
    paths = [path for path, _ in commands(cli)]
    assert {
        ("serve",),
        ("user", "create"),
        ("user", "list"),
        ("sql",),
        ("copy", "from"),
        ("copy", "to"),
    } <= set(paths)
    assert {("datasets", name) for name in ("list", "info", "delete")} <= set(paths)


def test_every_command_and_option_explains_itself() -> None:
    for path, command in commands(cli):
        assert command.help, path
        silent = [o.name for o in command.params if isinstance(o, click.Option) and not o.help]
        assert silent == [], path


def python_blocks(page: str) -> list[str]:
    """The Python of a page, block by block."""
    text = (DOC / f"{page}.rst").read_text("utf-8")
    blocks = re.findall(r"^\.\. code-block:: python\n\n((?:   .*\n|\n)+)", text, re.MULTILINE)
    return [textwrap.dedent(block) for block in blocks]


@pytest.fixture
def workplace(
    account: TestAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: Source
) -> dict[str, Any]:
    """What the pages take for granted: an account, a dataset of airports, a file of them, and an address."""
    monkeypatch.setenv("CARTO_API_URL", account.base_url)
    monkeypatch.setenv("CARTO_API_KEY", account.api_key)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "airports.csv").write_text('name,the_geom\nLisbon,"SRID=4326;POINT(-9.13 38.77)"\n', "utf-8")
    auth_client = APIKeyAuthClient(account.base_url, account.api_key)
    clients = {"auth_client": auth_client, "sql": SQLClient(auth_client), "copy": CopySQLClient(auth_client)}
    return {**clients, "address": source.url()}


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("page", PAGES)
def test_python_of_the_page_runs(page: str, workplace: dict[str, Any]) -> None:
    if page != "datasets":
        workplace["sql"].send(
            "CREATE TABLE airports (name text, country text, the_geom geometry(Point, 4326))"
        )
        workplace["sql"].send("SELECT CDB_CartodbfyTable('airports'::regclass)")
    blocks = python_blocks(page)
    assert blocks
    names: dict[str, Any] = dict(workplace)
    for number, block in enumerate(blocks):
        exec(compile(block, f"{page}.rst block {number}", "exec"), names)
