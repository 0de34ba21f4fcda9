"""The command line as a whole: quick to answer, clear about what is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from carto_like.cli.root import COMMANDS, cli

ROOT = Path(__file__).resolve().parents[3]


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def run_without(library: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in an interpreter that cannot import a library."""
    code = f"import sys; sys.modules[{library!r}] = None; from carto_like.cli.main import main; main()"
    return python(code, *arguments)


def test_help_loads_neither_sdk_nor_server() -> None:
    code = """
import json, sys
from carto_like.cli.root import cli
try:
    cli(["--help"])
finally:
    print(json.dumps(sorted(sys.modules)))
"""
    done = python(code)
    assert done.returncode == 0, done.stderr
    modules = json.loads(done.stdout.splitlines()[-1])
    tops = {name.split(".")[0] for name in modules}
    assert tops.isdisjoint({"requests", "pyrestcli", "rich", "starlette", "uvicorn", "psycopg"})
    assert "Commands:" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_list_of_commands_says_what_the_commands_say(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.name == name
    assert (command.help or "").split("\n\n")[0].replace("\n", " ") == COMMANDS[name][1]


def test_unknown_command_is_a_mistake_of_the_caller() -> None:
    result = CliRunner().invoke(cli, ["nonsense"])
    assert result.exit_code == 2
    assert "nonsense" in result.stderr


@pytest.mark.parametrize("library", ["click"])
def test_missing_command_line_library_names_the_extra(library: str) -> None:
    done = run_without(library, "--help")
    assert done.returncode == 1
    assert 'pip install "carto-like[cli]"' in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("library", ["uvicorn", "psycopg"])
def test_missing_server_library_names_the_extra(library: str, tmp_path: Path) -> None:
    done = run_without(library, "serve", "--data-dir", str(tmp_path))
    assert done.returncode == 1
    assert 'pip install "carto-like[server]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_module_runs_as_the_command() -> None:
    command = [sys.executable, "-m", "carto_like.cli", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.startswith("carto-like, version ")
