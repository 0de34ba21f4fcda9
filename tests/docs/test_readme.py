"""What the README promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.api import Api, TestAccount
from tests.support.rows import rows_of

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def test_example_runs(account: TestAccount, api: Api) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    environment = {**os.environ, "CARTO_API_URL": account.base_url, "CARTO_API_KEY": account.api_key}
    command = [sys.executable, "-W", "error", "-W", "ignore::FutureWarning", "-c", block]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[{'name': 'Porto', 'place': 'POINT(-8.61 41.15)'}]", "['cities']"]
    assert rows_of(api, "SELECT to_regclass('cities') AS found") == [{"found": None}]


def test_commands_it_names_exist() -> None:
    for command in set(re.findall(r"scripts/\w+", README)):
        assert os.access(ROOT / command, os.X_OK), command


def test_files_and_modules_it_names_exist() -> None:
    for module in set(re.findall(r"`carto_like\.(\w+)", README)):
        path = ROOT / "carto_like" / module
        assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file(), module
    for name in set(re.findall(r"`([A-Z]+\.md|doc/|examples/)`", README)):
        assert (ROOT / name).exists(), name


def test_examples_that_their_readme_names_exist() -> None:
    named = set(re.findall(r"examples/\S+\.\w+", (ROOT / "examples" / "README.md").read_text("utf-8")))
    assert "examples/map_airports.py" in named
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_every_extra_is_in_the_table_of_them() -> None:
    setup = (ROOT / "setup.py").read_text("utf-8")
    extras = set(re.findall(r'^    "(\w+)": \[', setup, re.MULTILINE)) | {"all"}
    page = (ROOT / "doc" / "start.rst").read_text("utf-8")
    assert {"server", "maps"} <= extras
    assert extras == set(re.findall(r"^   \* - ``(\w+)``$", page, re.MULTILINE))
