"""Scripts written for ``carto`` do their work on our platform: with ``carto`` itself, and once renamed.

The folder ``snippets`` uses the original as its documentation shows; nothing in it is altered but the name of
the package. The published ``carto`` is installed into an environment of its own, which takes a package index:
``-m "not published and not live"`` leaves those tests out.
"""

from __future__ import annotations

import re
import subprocess
import venv
from pathlib import Path
from typing import Any

import pytest

from carto_like.server.services.organizations import Organizations
from tests.support.api import Api, TestAccount
from tests.support.server import RunningServer

SNIPPETS = Path(__file__).with_name("snippets")


class Runner:
    """Runs a snippet as an account's owner would, in a folder of its own, and returns what it prints.

    Attributes:
        python: of an environment that has the original; None to run the snippet with our names.
    """

    def __init__(self, capsys: pytest.CaptureFixture[str], python: Path | None = None) -> None:
        self.capsys = capsys
        self.python = python

    def __call__(self, name: str) -> list[str]:
        file = SNIPPETS / f"{name}.py"
        if self.python is not None:
            command = [str(self.python), "-W", "ignore", str(file)]
            done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=100)
            assert done.returncode == 0, done.stderr
            return done.stdout.splitlines()
        renamed = re.sub(r"\bcarto\.(?=[a-z])", "carto_like.", file.read_text("utf-8"))
        names: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(renamed, str(file), "exec"), names)
        return self.capsys.readouterr().out.splitlines()


@pytest.fixture(scope="session")
def published_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the last release of the original, and what that needs but does not ask for."""
    folder = tmp_path_factory.mktemp("published")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    wanted = ["carto==1.11.3", "pyrestcli==0.6.11", "six", "setuptools<81"]
    install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *wanted]
    done = subprocess.run(install, capture_output=True, encoding="utf-8", timeout=300)
    assert done.returncode == 0, done.stderr
    return python


@pytest.fixture(params=["renamed", pytest.param("published", marks=pytest.mark.published)])
def run(
    request: pytest.FixtureRequest,
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
    published = request.param == "published"
    return Runner(capsys, request.getfixturevalue("published_python") if published else None)


def make_dataset(api: Api, name: str) -> None:
    """A dataset made as users make them: in SQL."""
    answer = api.sql(f"CREATE TABLE {name} (label text); SELECT CDB_CartodbfyTable('{name}')")
    assert answer.status_code == 200, answer.text


# The original's documentation imports NoAuthClient from where the original does not have it.
@pytest.mark.parametrize("run", ["renamed"], indirect=True)
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
        # The original does not say so of this error.
        "NotFoundException not yet a CartoException" if run.python else "NotFoundException True",
    ]
    assert api.sql("SELECT * FROM old_trees").status_code == 400


def test_account(run: Runner, api: Api) -> None:
    make_dataset(api, "trees")
    assert run("account") == ["True 1"]


def test_batch(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    # The snippet shortens the pause, as scripts do.
    monkeypatch.setattr("carto_like.sql.BATCH_READ_STATUS_AFTER_SECONDS", 2)
    assert run("batch") == [
        "True pending",
        "True",
        "done ['done', 'done']",
        "[{'max': 81}]",
        "True",
        "cancelled",
    ]


def test_imports(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carto_like.datasets.INTERVAL_BETWEEN_RETRIES_S", 10)
    assert run("imports") == [
        "lamps PRIVATE",
        "[{'at': 'POINT(2.17 41.38)', 'watts': 40}, {'at': 'POINT(-8.61 41.15)', 'watts': 60}]",
        "LINK",
        "True",
    ]


def test_members(
    run: Runner, account: TestAccount, platform_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = platform_server.app.platform
    organizations = Organizations(platform.database, platform.users)
    platform_server.on_server(organizations.join(account.account, f"of-{account.name}"))
    monkeypatch.setenv("SNIPPET_ORGANIZATION", f"of-{account.name}")
    assert run("members") == ["True True", "True"]


def test_maps(run: Runner, api: Api) -> None:
    make_dataset(api, "trees")
    assert run("maps") == [
        "all_trees",
        "2 True",
        "None",
        "all_trees True",
        "1",
        "api/v1/map/named/all_trees/all/0/0/0.png?auth_token=first",
        "204",
        "NotFoundException",
        "True",
    ]


def test_every_snippet_has_a_test() -> None:
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {file.stem for file in SNIPPETS.glob("*.py")} <= tested
