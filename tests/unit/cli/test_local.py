"""The platform of this machine is found while it runs, and only then."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from carto_like.cli import local
from carto_like.cli.local import RunningPlatform, running_platform

ADDRESS = "http://127.0.0.1:8080/user/me/"


def write(folder: Path, **state: object) -> None:
    (folder / local.STATE_FILE).write_text(json.dumps(state), "utf-8")


def test_running_platform_is_found(tmp_path: Path) -> None:
    write(tmp_path, base_url=ADDRESS, api_key="k", pid=os.getpid())
    assert running_platform(tmp_path) == RunningPlatform(ADDRESS, "k")


def test_platform_that_was_killed_is_not(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    write(tmp_path, base_url=ADDRESS, api_key="k", pid=ended.pid)
    assert running_platform(tmp_path) is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"base_url": "x"}', '{"base_url": "x", "api_key": "k"}', "\x00"]
)
def test_unreadable_state_is_no_platform(tmp_path: Path, text: str) -> None:
    (tmp_path / local.STATE_FILE).write_text(text, "utf-8")
    assert running_platform(tmp_path) is None


def test_no_state_is_no_platform(tmp_path: Path) -> None:
    assert running_platform(tmp_path) is None
    assert running_platform(tmp_path / "nowhere") is None


def test_key_is_not_shown() -> None:
    assert "secret-key" not in repr(RunningPlatform(ADDRESS, "secret-key"))


def test_root_keeps_data_where_the_database_can_enter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert local.default_data_dir() == Path("/var/lib/carto-like")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert local.default_data_dir().is_relative_to(Path.home())
