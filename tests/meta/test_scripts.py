"""The commands of the house: they parse, may be executed, and name no host that packages come from."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHELL = [ROOT / "scripts" / name for name in ("setup", "demo", "test", "check")] + [ROOT / ".ci" / "run"]


@pytest.mark.parametrize("path", SHELL, ids=lambda path: path.name)
def test_script_parses_and_may_be_executed(path: Path) -> None:
    assert os.access(path, os.X_OK)
    done = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "set -euo pipefail" in path.read_text("utf-8")


@pytest.mark.parametrize("path", SHELL, ids=lambda path: path.name)
def test_packages_come_from_where_the_machine_takes_them(path: Path) -> None:
    assert re.findall(r"--(?:extra-)?index-url|--trusted-host|--find-links", path.read_text("utf-8")) == []


def test_one_command_runs_all_that_a_change_must_pass() -> None:
    text = (ROOT / ".ci" / "run").read_text("utf-8")
    assert text.index("scripts/check") < text.index("scripts/test")


def test_hooks_run_commands_that_exist() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    entries = re.findall(r"entry: (\S+)", text)
    assert {"scripts/check", "scripts/test"} <= set(entries)
    assert [
        entry for entry in entries if not entry.startswith(".venv/") and not (ROOT / entry).is_file()
    ] == []
