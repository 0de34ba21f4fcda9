"""What the modules promise about themselves."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "carto_like"

FILES = [
    path for pattern in ("*.py", "pure/*.py", "core/*.py", "iotile/**/*.py") for path in PACKAGE.glob(pattern)
]
PUBLIC_SDK = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in FILES if not path.stem.startswith("_")
)
SERVER_LIBRARIES = (
    "starlette",
    "uvicorn",
    "psycopg",
    "psycopg_pool",
    "orjson",
    "cryptography",
    "prometheus_client",
    "python_multipart",
    "click",
    "carto_like.server",
    "carto_like.cli",
)
PROBE = """
import importlib, json, sys
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
print(json.dumps(sorted(sys.modules)))
"""


def fresh_import(*names: str) -> set[str]:
    """Modules loaded after importing these in an interpreter of their own."""
    command = [sys.executable, "-c", PROBE, json.dumps(names)]
    answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout)
    return set(answer)


@pytest.mark.parametrize("name", PUBLIC_SDK)
def test_public_modules_say_what_is_public(name: str) -> None:
    module = importlib.import_module(name)
    public = module.__all__
    assert len(public) == len(set(public))
    assert [entry for entry in public if not hasattr(module, entry)] == []


def test_sdk_loads_no_server_library() -> None:
    loaded = fresh_import(*PUBLIC_SDK)
    assert "carto_like.sql" in loaded
    assert [name for name in SERVER_LIBRARIES if name in loaded] == []


def test_package_itself_imports_nothing_heavy() -> None:
    loaded = fresh_import("carto_like")
    assert [name for name in loaded if name.split(".")[0] in {"requests", "pyrestcli", "dateutil"}] == []
    assert not any(name.startswith("carto_like.") for name in loaded)


def test_sdk_loads_little_more_than_requests() -> None:
    """Counted in modules, not in seconds, so that a busy machine does not matter."""
    ours = fresh_import("carto_like.auth", "carto_like.sql", "carto_like.datasets")
    theirs = fresh_import("requests", "dateutil.parser")
    asked_for = ("carto_like", "pyrestcli", "six", "future")
    more = [name for name in ours - theirs if name.split(".")[0] not in asked_for]
    assert len(more) <= 30, sorted(more)


def test_sdk_ignores_no_warning_and_configures_no_log() -> None:
    """Importing a library must not change what the program around it prints."""
    probe = """
import logging, warnings
import pyrestcli.auth, requests
before = list(warnings.filters)
import carto_like.sql, carto_like.datasets
assert list(warnings.filters) == before
assert logging.getLogger().handlers == []
assert logging.getLogger("carto_like").level == logging.NOTSET
"""
    subprocess.run([sys.executable, "-c", probe], check=True, cwd=ROOT)
