"""The command line, as a process of its own, against a real platform."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.api import Api, TestAccount
from tests.support.rows import rows_of

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "carto_like.cli", *arguments]


@pytest.fixture
def environment(account: TestAccount) -> dict[str, str]:
    return {**os.environ, "CARTO_API_URL": account.base_url, "CARTO_API_KEY": account.api_key}


@pytest.fixture
def run(environment: dict[str, str]) -> Run:
    """Run a command on the account; its key is in the environment only."""

    def start(
        *arguments: str, stdin: str = "", code: int = 0, **more: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command(*arguments),
            env={**environment, **more},
            cwd=ROOT,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=100,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return start


@pytest.fixture
def cities(api: Api) -> str:
    """A dataset of two rows."""
    rows_of(api, "CREATE TABLE cities (name text, people int, the_geom geometry(Point, 4326))")
    rows_of(api, "SELECT CDB_CartodbfyTable('cities'::regclass)")
    rows_of(api, "INSERT INTO cities (name, people) VALUES ('Évora, city', 56000), ('Vigo', NULL)")
    return "cities"


def test_sql_as_json(run: Run, cities: str) -> None:
    done = run("sql", "SELECT name, people FROM cities ORDER BY people", "--json")
    assert json.loads(done.stdout) == [
        {"name": "Évora, city", "people": 56000},
        {"name": "Vigo", "people": None},
    ]
    assert done.stderr == ""


def test_sql_as_csv(run: Run, cities: str) -> None:
    out = run("sql", "SELECT name, people FROM cities ORDER BY people", "--format", "csv").stdout
    assert list(csv.reader(io.StringIO(out))) == [["name", "people"], ["Évora, city", "56000"], ["Vigo", ""]]


def test_sql_as_table(run: Run, cities: str) -> None:
    lines = run("sql", "SELECT name, people FROM cities ORDER BY people").stdout.splitlines()
    assert "name" in lines[0]
    assert "people" in lines[0]
    assert any("Évora, city" in line and "56000" in line for line in lines)


@pytest.mark.parametrize("form", ["table", "csv"])
def test_sql_without_rows_still_names_the_columns(run: Run, cities: str, form: str) -> None:
    out = run("sql", "SELECT name, people FROM cities WHERE false", "--format", form).stdout
    assert "name" in out
    assert "people" in out


def test_sql_from_stdin(run: Run) -> None:
    assert json.loads(run("sql", "-", "--json", stdin="SELECT 1 AS a").stdout) == [{"a": 1}]


def test_sql_that_changes_rows_says_how_many(run: Run, cities: str) -> None:
    done = run("sql", "UPDATE cities SET people = 1")
    assert "2 rows" in done.stderr
    assert done.stdout == ""


def test_sql_error_is_told_and_exits_with_1(run: Run) -> None:
    done = run("sql", "SELECT * FROM nowhere", code=1)
    assert 'relation "nowhere" does not exist' in done.stderr
    assert done.stdout == ""


def test_sql_error_after_the_first_rows_exits_with_1(run: Run, cities: str) -> None:
    done = run("sql", "SELECT 1 / (3 - n) AS x FROM generate_series(1, 5) n", "--json", code=1)
    assert "division by zero" in done.stderr


def test_long_result_is_cut_off_quietly_when_the_reader_leaves(environment: dict[str, str]) -> None:
    query = "SELECT n, repeat('x', 100) AS t FROM generate_series(1, 200000) n"
    with subprocess.Popen(
        command("sql", query, "--format", "csv"),
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().strip() == b"n,t"
        process.stdout.close()
        assert process.stderr.read() == b""


def test_wrong_key_exits_with_1_and_is_not_shown(run: Run) -> None:
    done = run("sql", "SELECT 1", code=1, CARTO_API_KEY="not-the-key-1234567890")
    assert "Unauthorized" in done.stderr
    assert "not-the-key" not in done.stdout + done.stderr


def test_key_from_a_file(run: Run, account: TestAccount, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(account.api_key + "\n", "utf-8")
    found = {"CARTO_API_KEY": "", "CARTO_API_KEY_FILE": str(tmp_path / "key")}
    done = run("sql", "SELECT current_schema() AS s", "--json", **found)
    assert json.loads(done.stdout) == [{"s": account.schema}]


def test_without_a_platform_it_says_what_to_do(run: Run, tmp_path: Path) -> None:
    done = run("sql", "SELECT 1", "--data-dir", str(tmp_path), code=2, CARTO_API_URL="", CARTO_API_KEY="")
    assert "CARTO_API_URL" in done.stderr
    assert "carto-like serve" in done.stderr


def test_unreachable_platform_exits_with_1(run: Run) -> None:
    done = run("sql", "SELECT 1", code=1, CARTO_API_URL="http://127.0.0.1:9/user/me/")
    assert "127.0.0.1" in done.stderr
    assert "Traceback" not in done.stderr


def test_copy_round_trip(run: Run, cities: str, api: Api, tmp_path: Path) -> None:
    file = tmp_path / "cities.csv"
    assert run("copy", "to", "SELECT people, name FROM cities ORDER BY name -- all", str(file)).stderr == ""
    rows_of(api, "TRUNCATE cities")
    done = run("copy", "from", cities, str(file), "--json")
    assert json.loads(done.stdout)["total_rows"] == 2
    rows = rows_of(api, "SELECT name, people FROM cities ORDER BY people")
    assert rows == [{"name": "Évora, city", "people": 56000}, {"name": "Vigo", "people": None}]


def test_copy_through_pipes(run: Run, cities: str, api: Api) -> None:
    out = run("copy", "to", cities, "-").stdout
    assert out.startswith("cartodb_id,the_geom,")
    rows_of(api, "TRUNCATE cities")
    done = run("copy", "from", cities, "-", stdin=out)
    assert done.stdout == ""
    assert "2 rows" in done.stderr


def test_copy_without_header_and_with_another_delimiter(run: Run, cities: str, api: Api) -> None:
    arguments = ("--no-header", "--columns", "people,name", "--delimiter", ";", "--no-compress")
    run("copy", "from", cities, "-", *arguments, stdin="7;Faro\n")
    assert rows_of(api, "SELECT name FROM cities WHERE people = 7") == [{"name": "Faro"}]
    out = run(
        "copy", "to", "SELECT name, people FROM cities WHERE people = 7", "-", "--delimiter", "tab"
    ).stdout
    assert out == "name\tpeople\nFaro\t7\n"


def test_copy_of_an_empty_file_is_a_mistake_of_the_caller(run: Run, cities: str) -> None:
    assert "header" in run("copy", "from", cities, "-", code=2).stderr


def test_refused_copy_stores_nothing_and_exits_with_1(run: Run, cities: str, api: Api) -> None:
    done = run("copy", "from", cities, "-", stdin="name,people\nFaro,1\nLagos,many\n", code=1)
    assert "many" in done.stderr
    assert rows_of(api, "SELECT count(*) AS n FROM cities") == [{"n": 2}]


def test_copy_shows_progress_on_stderr_when_asked(run: Run, cities: str) -> None:
    done = run("copy", "to", cities, "-", "--progress")
    assert done.stdout.count("\n") == 3
    assert done.stderr != ""


def test_datasets(run: Run, cities: str, api: Api) -> None:
    (listed,) = json.loads(run("datasets", "list", "--json").stdout)
    assert listed["name"] == "cities"
    assert listed["privacy"] == "PRIVATE"
    assert listed["rows"] == 2
    assert "cities" in run("datasets", "list").stdout
    assert json.loads(run("datasets", "list", "--json", "--query", "nothing").stdout) == []
    assert json.loads(run("datasets", "info", cities, "--json").stdout)["name"] == "cities"
    assert "privacy" in run("datasets", "info", cities).stdout


def test_deleting_a_dataset_asks_first(run: Run, cities: str, api: Api) -> None:
    run("datasets", "delete", cities, stdin="n\n", code=1)
    assert rows_of(api, "SELECT to_regclass('cities')::text AS t") == [{"t": "cities"}]
    assert "Deleted cities" in run("datasets", "delete", cities, "--yes").stderr
    assert rows_of(api, "SELECT to_regclass('cities')::text AS t") == [{"t": None}]


def test_missing_dataset_exits_with_1(run: Run) -> None:
    done = run("datasets", "info", "nowhere", code=1)
    assert "404" in done.stderr
    assert "Traceback" not in done.stderr
