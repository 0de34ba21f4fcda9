"""Options that change settings: what is not said stays as it is, what cannot be is refused."""

from __future__ import annotations

import json
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from carto_like.cli.settings import serving, working


@click.command()
@serving
def server(settings: dict[str, Any]) -> None:
    click.echo(json.dumps(settings, default=str))


@click.command()
@working
def worker(settings: dict[str, Any]) -> None:
    click.echo(json.dumps(settings, default=str))


def run(command: click.Command, *arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(command, list(arguments), env=environment)


@pytest.mark.parametrize("command", [server, worker])
def test_what_is_not_said_is_left_alone(command: click.Command) -> None:
    assert json.loads(run(command).output) == {}


def test_the_environment_says_it_too() -> None:
    result = run(
        worker,
        CARTO_LIKE_IMPORT_ADDRESSES="any",
        CARTO_LIKE_UPLOADS_DIR="/srv/uploads",
        CARTO_LIKE_TIMEZONE="Europe/Lisbon",
    )
    assert json.loads(result.output) == {
        "import_addresses": "any",
        "uploads_dir": "/srv/uploads",
        "timezone": "Europe/Lisbon",
    }


def test_basemaps_are_beginnings_of_addresses() -> None:
    result = run(
        server, "--basemap", "https://{s}.tile.example.org/", "--basemap", "http://10.0.0.7:8080/osm/"
    )
    expected = {"basemaps": ["https://{s}.tile.example.org/", "http://10.0.0.7:8080/osm/"]}
    assert json.loads(result.output) == expected
    one, other = expected["basemaps"]
    assert json.loads(run(server, CARTO_LIKE_BASEMAPS=f"{one} {other}").output) == expected


def test_a_public_url_is_scheme_and_host() -> None:
    result = run(server, "--public-url", "https://maps.example.org:8443/", "--hard-system-tables")
    assert json.loads(result.output) == {
        "public_url": "https://maps.example.org:8443",
        "hard_system_tables": True,
    }


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--timezone", "Mars/Olympus"), "'Mars/Olympus' is no time zone"),
        (("--timezone", "../../etc/passwd"), "is no time zone"),
        (("--public-url", "maps.example.org"), "give scheme and host"),
        (("--public-url", "https://maps.example.org/some/path"), "give scheme and host"),
        (("--import-addresses", "all"), "'all' is not one of"),
        (("--basemap", "https://tile.example.org"), "a whole host and a slash after it"),
        (("--basemap", "https://{s}/"), "a whole host and a slash after it"),
        (("--basemap", "https://{s}tile.example.org/"), "a whole host and a slash after it"),
        (("--basemap", "https://me:secret@tile.example.org/"), "a whole host and a slash after it"),
        (("--basemap", "file:///tiles/"), "a whole host and a slash after it"),
    ],
)
def test_what_cannot_be_is_refused(arguments: tuple[str, ...], complaint: str) -> None:
    result = run(server, *arguments)
    assert result.exit_code == 2
    assert complaint in " ".join(result.output.split())
