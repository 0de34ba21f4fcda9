"""How a command finds the platform it talks to: option, environment, file, this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from carto_like.cli import options
from carto_like.cli.local import RunningPlatform

ADDRESS = "http://127.0.0.1:8080/user/ana/"


@click.command()
@options.connected
def probe(client: Any) -> None:
    """Say who is logged in, and where."""
    click.echo(f"{type(client).__name__} {client.base_url} {getattr(client, 'api_key', None)}")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CARTO_API_URL", "CARTO_API_KEY", "CARTO_API_KEY_FILE", "CARTO_LIKE_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(probe, list(arguments), env=environment)


def test_environment_names_the_account() -> None:
    result = run(CARTO_API_URL=ADDRESS, CARTO_API_KEY="k" * 20)
    assert result.stdout == f"APIKeyAuthClient {ADDRESS} {'k' * 20}\n"


def test_options_win_over_the_environment() -> None:
    result = run(
        "--base-url", ADDRESS, "--api-key", "given", CARTO_API_URL="http://127.0.0.1/u/x/", CARTO_API_KEY="k"
    )
    assert result.stdout == f"APIKeyAuthClient {ADDRESS} given\n"


def test_key_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-a-file\n", "utf-8")
    result = run("--base-url", ADDRESS, "--api-key-file", str(tmp_path / "key"))
    assert result.stdout.endswith(" from-a-file\n")


def test_missing_key_file_is_a_mistake_of_the_caller() -> None:
    assert run("--base-url", ADDRESS, "--api-key-file", "/nonexistent/key").exit_code == 2


def test_address_without_a_key_is_anonymous() -> None:
    assert run(CARTO_API_URL=ADDRESS).stdout == f"NoAuthClient {ADDRESS} None\n"


def test_platform_of_this_machine_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def found(data_dir: Path | None) -> RunningPlatform:
        asked.append(data_dir)
        return RunningPlatform(ADDRESS, "local-key")

    monkeypatch.setattr(options, "running_platform", found)
    assert run("--data-dir", str(tmp_path)).stdout == f"APIKeyAuthClient {ADDRESS} local-key\n"
    assert asked == [tmp_path]


def test_key_of_this_machine_does_not_go_to_another_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "running_platform", lambda data_dir: RunningPlatform(ADDRESS, "local-key"))
    assert "local-key" not in run("--base-url", "http://127.0.0.1:9/user/ana/").stdout


def test_nothing_found_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "running_platform", lambda data_dir: None)
    result = run()
    assert result.exit_code == 2
    assert "CARTO_API_URL" in result.stderr
    assert "carto-like serve" in result.stderr


def test_bar_is_drawn_when_a_person_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert options.shown(None)
    assert not options.shown(False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: False)
    assert not options.shown(None)
    assert options.shown(True)
