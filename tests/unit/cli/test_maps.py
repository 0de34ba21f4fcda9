"""The commands that work with maps and pages: what they ask for, and what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
import responses
from click.testing import CliRunner, Result

from carto_like.cli.root import cli
from tests.unit.sent import sent_json, sent_paths, sent_query

ROOT = "https://ana.carto.com/"
MAPS = ROOT + "api/v1/map/"
NAMED = MAPS + "named/"
KEY = "0123456789abcdef"
TEMPLATE: dict[str, Any] = {
    "version": "0.0.1",
    "name": "world",
    "auth": {"method": "token", "valid_tokens": ["t1"]},
    "layergroup": {"layers": [{"options": {"sql": "select 1"}}]},
}
PNG = b"\x89PNG a picture"


def run(*arguments: str, stdin: str | None = None, key: str = KEY) -> Result:
    environment = {"CARTO_API_URL": ROOT, "CARTO_API_KEY": key, "CARTO_MAP_TOKEN": None}
    return CliRunner().invoke(cli, arguments, input=stdin, env=environment)


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses for which a browser was started."""
    addresses: list[str] = []

    def launch(url: str) -> int:
        addresses.append(url)
        return 0

    monkeypatch.setattr(click, "launch", launch)
    return addresses


@responses.activate
def test_list() -> None:
    responses.get(NAMED, json={"template_ids": ["a template", "world"]})
    assert run("maps", "list").output == "a template\nworld\n"
    assert json.loads(run("maps", "list", "--json").output) == ["a template", "world"]


@pytest.mark.parametrize("name", [None, "other"])
@responses.activate
def test_create(tmp_path: Path, name: str | None) -> None:
    responses.post(NAMED, json={"template_id": name or "world"})
    file = tmp_path / "world.json"
    file.write_text(json.dumps(TEMPLATE), "utf-8")
    result = run("maps", "create", str(file), *(["--name", name] if name else []))
    assert result.exit_code == 0, result.output
    assert sent_json() == {**TEMPLATE, "name": name or "world"}
    assert result.stderr == f"Made the map {name or 'world'}.\n"


@responses.activate
def test_replace() -> None:
    responses.get(NAMED + "world", json={"template": TEMPLATE})
    responses.put(NAMED + "world", json={"template_id": "world"})
    changed = {"version": "0.0.1", "name": "world", "layergroup": {"layers": []}}
    result = run("maps", "create", "-", "--replace", stdin=json.dumps(changed))
    assert result.exit_code == 0, result.output
    assert sent_json() == changed
    assert result.stderr == "Replaced the map world.\n"


@pytest.mark.parametrize(("text", "said"), [("{", "is not JSON"), ("[]", "must be a JSON object")])
@responses.activate
def test_what_is_no_template(text: str, said: str) -> None:
    result = run("maps", "create", "-", stdin=text)
    assert result.exit_code == 1
    assert said in result.stderr
    assert sent_paths() == []


@responses.activate
def test_delete() -> None:
    responses.delete(NAMED + "world", status=204)
    assert run("maps", "delete", "world", stdin="n\n").exit_code == 1
    assert sent_paths() == []
    assert run("maps", "delete", "world", "--yes").stderr == "Deleted world.\n"
    assert sent_paths() == ["DELETE /api/v1/map/named/world"]


@responses.activate
def test_a_picture_of_a_map_with_a_token(tmp_path: Path) -> None:
    responses.get(NAMED + "world", json={"template": TEMPLATE})
    responses.get(MAPS + "static/named/world/300/200.png", body=PNG)
    out = tmp_path / "out.png"
    result = run(
        "maps", "static", "world", str(out), "--width", "300", "--height", "200", "--bbox", "-9,38,3,44"
    )
    assert result.exit_code == 0, result.output
    assert out.read_bytes() == PNG
    query = sent_query()
    assert (query["auth_token"], query["bbox"]) == ("t1", "-9.0,38.0,3.0,44.0")


@responses.activate
def test_a_picture_without_the_right_to_read_templates(tmp_path: Path) -> None:
    instance = {"layergroupid": "ana@0a1b2c3d@c01a:1"}
    responses.get(NAMED + "world", status=403, json={"errors": ["Forbidden"]})
    responses.post(NAMED + "world", json=instance)
    responses.get(MAPS + "static/center/ana@0a1b2c3d@c01a:1/4/2.0/1.0/800/600.jpg", body=b"jpeg")
    out = tmp_path / "out.jpg"
    view = ("--center", "1,2", "--zoom", "4")
    result = run("maps", "static", "world", str(out), "-p", "color=a=b", "--auth-token", "t2", *view)
    assert result.exit_code == 0, result.output
    assert out.read_bytes() == b"jpeg"
    assert sent_json(1) == {"color": "a=b"}
    assert sent_query(1)["auth_token"] == "t2"


@pytest.mark.parametrize(
    "wrong", [("--bbox", "1,2,3"), ("--center", "a,b"), ("-p", "color"), ("--zoom", "x")]
)
@responses.activate
def test_options_that_say_nothing(tmp_path: Path, wrong: tuple[str, str]) -> None:
    result = run("maps", "static", "world", str(tmp_path / "out.png"), *wrong)
    assert result.exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "page"),
    [
        (("open",), ""),
        (("open", "--dataset", "trees"), "dataset/trees"),
        (("maps", "open", "world"), "map/world"),
    ],
)
@responses.activate
def test_open(launched: list[str], arguments: tuple[str, ...], page: str) -> None:
    url = ROOT + "enter?code=0a1b"
    responses.post(ROOT + "api/v1/page_links", status=201, json={"url": url, "expires_in": 60})
    assert run(*arguments).stdout == url + "\n"
    assert launched == [url]
    assert sent_json() == {"page": page}
    assert "api_key" not in sent_query()
    assert run(*arguments, "--no-browser").stdout == url + "\n"
    assert launched == [url]


@responses.activate
def test_open_where_there_is_no_browser(launched: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(click, "launch", lambda url: 3)
    url = ROOT + "enter?code=0a1b"
    responses.post(ROOT + "api/v1/page_links", status=201, json={"url": url, "expires_in": 60})
    result = run("open")
    assert (result.exit_code, result.stdout) == (0, url + "\n")
    assert "No browser" in result.stderr
