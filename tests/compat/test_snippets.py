"""Scripts written for ``carto`` do their work on our platform once their imports are renamed.

The folder ``snippets`` uses the original as its documentation shows; nothing in it is altered but the name of
the package.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.api import Api, TestAccount
from tests.support.server import RunningServer

SNIPPETS = Path(__file__).with_name("snippets")


class Runner:
    """Runs a snippet as an account's owner would, in a folder of its own, and returns what it prints."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, name: str) -> list[str]:
        file = SNIPPETS / f"{name}.py"
        renamed = re.sub(r"^from carto\.", "from carto_like.", file.read_text("utf-8"), flags=re.MULTILINE)
        names: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(renamed, str(file), "exec"), names)
        return self.capsys.readouterr().out.splitlines()


@pytest.fixture
def run(
    account: TestAccount,
    platform_server: RunningServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Runner:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CARTO_API_URL", account.base_url)
    monkeypatch.setenv("CARTO_API_KEY", account.api_key)
    monkeypatch.setenv("SNIPPET_HOST", platform_server.base_url)
    monkeypatch.setenv("SNIPPET_USER", account.name)
    return Runner(capsys)


def make_dataset(api: Api, name: str) -> None:
    """A dataset made as users make them: in SQL."""
    answer = api.sql(f"CREATE TABLE {name} (label text); SELECT CDB_CartodbfyTable('{name}')")
    assert answer.status_code == 200, answer.text


def test_authentication(run: Runner) -> None:
    assert run("authentication") == ["anyone", "True", "True"]


def test_query(run: Runner) -> None:
    assert run("query") == [
        "1 1",
        "2 4",
        "3 9",
        "3 number",
        "['one,letter', '1,a']",
        "[{'two': 2}]",
        "failed: ['relation \"no_such_table\" does not exist']",
    ]


def test_copy_files(run: Runner) -> None:
    assert run("copy_files") == [
        "2",
        "2",
        "['label,floors', 'Zürich HB,3', '\"Bern, Hbf\",2', 'Zürich HB,3', '\"Bern, Hbf\",2']",
        "True",
    ]


def test_copy_rows(run: Runner) -> None:
    assert run("copy_rows") == [
        "79",
        "[{'n': 79, 'low': 21, 'east': 79}]",
        "['21,búi', '22,búi']",
        "['21,búi', '22,búi']",
    ]


def test_datasets(run: Runner, api: Api) -> None:
    make_dataset(api, "trees")
    make_dataset(api, "benches")
    assert run("datasets") == [
        "['benches', 'trees']",
        "trees trees None",
        "PUBLIC",
        "LINK",
        "PRIVATE",
        "CC0 the parks department ['green', 'tall']",
        "old_trees",
        "NotFoundException True",
    ]
    assert api.sql("SELECT * FROM old_trees").status_code == 400


def test_account(run: Runner, api: Api) -> None:
    make_dataset(api, "trees")
    assert run("account") == ["True 1"]


def test_every_snippet_has_a_test() -> None:
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {file.stem for file in SNIPPETS.glob("*.py")} <= tested
