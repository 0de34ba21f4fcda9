"""Imports only go down: pure, core, the platforms; the server stands apart, the command line on top."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "carto_like"
MODULES = sorted(PACKAGE.rglob("*.py"))

# The one module of the SDK's floor that runs the server; its own tests see that it imports that late.
PYTEST_PLUGIN = PACKAGE / "testing.py"

STANDARD = frozenset(sys.stdlib_module_names)
CLIENT = frozenset({"requests", "urllib3", "dateutil", "isal"})
SERVER = frozenset(
    {"starlette", "uvicorn", "orjson", "psycopg", "psycopg_pool", "cryptography"}
    | {"prometheus_client", "platformdirs", "python_multipart", "anyio", "isal", "h11"}
    | {"httptools", "pyogrio", "pyarrow", "procrastinate", "charset_normalizer", "jwt", "msgpack"}
    | {"numpy", "pyproj", "mapnik", "jinja2", "markupsafe", "urllib3"}
)
FRAMES = frozenset({"numpy", "pandas", "pyarrow", "orjson"})
COMMANDS = frozenset({"click", "rich", "platformdirs", "requests"})
# A function of these would read files, the clock or the environment, or write a log.
IMPURE = frozenset(
    {"os", "logging", "socket", "subprocess", "tempfile", "pathlib", "time", "shutil", "random"}
)
SERVER_COMMANDS = frozenset({"home", "limits", "serve", "user", "worker"})


def floor_of(path: Path) -> str:
    """The floor a file stands on: the folder it is in, or ``carto`` for the package's own modules."""
    parts = path.relative_to(PACKAGE).parts
    if parts == ("__init__.py",):
        return "package"
    return "carto" if len(parts) == 1 else parts[0]


def imported(path: Path) -> Iterator[str]:
    """The absolute name of everything that a file imports, at any depth of its code."""
    package = ("carto_like", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join((*package[: len(package) - node.level + 1], *filter(None, [base])))
            yield from (f"{base}.{alias.name}" for alias in node.names)


def own_floor(name: str) -> str:
    """The floor on which a name of our own package stands."""
    parts = name.split(".")
    if len(parts) == 1 or parts[1].startswith("__"):
        return "package"
    return parts[1] if (PACKAGE / parts[1]).is_dir() else "carto"


def allowed_floors(path: Path) -> frozenset[str]:
    """Floors of our own that a file may import from."""
    table = {
        "package": frozenset[str](),
        "pure": frozenset({"pure"}),
        "core": frozenset({"pure", "core", "package"}),
        "carto": frozenset({"pure", "core", "carto", "package"}),
        "iotile": frozenset({"pure", "core", "iotile", "package"}),
        "server": frozenset({"pure", "server", "package"}),
        "cli": frozenset({"pure", "core", "carto", "cli", "package"}),
    }
    floors = table[floor_of(path)]
    if path == PYTEST_PLUGIN or (floor_of(path) == "cli" and path.stem in SERVER_COMMANDS):
        floors |= {"server"}
    return floors


def allowed_libraries(path: Path) -> frozenset[str]:
    """Top-level modules that are not ours and that a file may import."""
    table = {
        "package": frozenset[str](),
        "pure": STANDARD - IMPURE,
        "core": STANDARD | CLIENT | {"rich", "tqdm"},
        "carto": STANDARD | CLIENT,
        "iotile": STANDARD | CLIENT | FRAMES,
        "server": STANDARD | SERVER,
        "cli": STANDARD | COMMANDS,
    }
    libraries = table[floor_of(path)]
    if path == PACKAGE / "core" / "_pyrestcli.py":
        libraries |= {"pyrestcli"}
    if path == PYTEST_PLUGIN:
        libraries |= {"pytest"}
    if floor_of(path) == "cli" and path.stem in SERVER_COMMANDS:
        libraries |= SERVER
    return libraries


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_stay_on_their_floor(path: Path) -> None:
    strangers = []
    for name in imported(path):
        top = name.split(".")[0]
        if top == "carto_like":
            if own_floor(name) not in allowed_floors(path):
                strangers.append(name)
        elif top not in allowed_libraries(path):
            strangers.append(name)
    assert strangers == []


def test_relative_imports_are_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader of imports sees through dots, so that no import hides from the test above."""
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    folder = tmp_path / "core"
    folder.mkdir()
    file = folder / "thing.py"
    file.write_text(
        "from ..server import app\nfrom . import errors\nimport json\ndef f():\n    import requests\n"
    )
    assert set(imported(file)) == {"carto_like.server.app", "carto_like.core.errors", "json", "requests"}
