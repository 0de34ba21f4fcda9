"""``carto-like serve`` from start to end, as a process: what it leaves, what it says, what it survives."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import requests
from psycopg import sql

from carto_like.server.bootstrap import DATABASE
from carto_like.server.postgres import PrivatePostgres
from carto_like.server.secrets import write_private
from tests.support.processes import processes, processes_mentioning
from tests.support.serving import Serving, wait_for

SECRET = b"an instance secret given by an operator"


@pytest.fixture
def data_dir(short_dir: Path) -> Path:
    return short_dir / f"serve-{uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def home(short_dir: Path) -> Path:
    """A data directory that several tests start a server on, one after the other."""
    return short_dir / "serve"


def at(home: Path) -> tuple[str, str]:
    return "--data-dir", str(home)


def query(serving: Serving, q: str, **params: str) -> requests.Response:
    url = f"{serving.base_url}api/v2/sql"
    return requests.get(url, {"q": q, "api_key": serving.api_key, **params}, timeout=30)


def postgres_pid(home: Path) -> int:
    return int((home / "postgres" / "postmaster.pid").read_text().split()[0])


def superuser_dsn(home: Path) -> str:
    """How to reach the database of a running server."""
    _, _, _, port, folder, *_ = (home / "postgres" / "postmaster.pid").read_text().splitlines()
    return f"host={folder} port={port} dbname={DATABASE} user=postgres"


def test_from_nothing_to_a_platform_and_back(data_dir: Path) -> None:
    with Serving(*at(data_dir)) as serving:
        assert set(serving.ready) == {"base_url", "user", "api_key", "pid"}
        assert serving.ready["user"] == "me"
        assert serving.ready["pid"] == serving.process.pid
        assert serving.base_url.endswith("/user/me/")
        assert query(serving, "SELECT 1 AS one").json()["rows"] == [{"one": 1}]
        without_user = serving.base_url.replace("/user/me", "")
        assert requests.get(f"{without_user}api/v2/sql?q=SELECT+2+AS+two", timeout=30).status_code == 200
        for name in ("secret", "api_key", "server.json", "lock"):
            assert (data_dir / name).stat().st_mode & 0o077 == 0
        state = json.loads((data_dir / "server.json").read_text())
        assert state == serving.ready
        assert (data_dir / "api_key").read_text().strip() == serving.api_key
        socket_dir = json.loads((data_dir / "lock").read_text())["socket_dir"]
        assert serving.stop() == 0
    assert serving.stdout == ""
    assert serving.api_key not in serving.stderr
    assert processes_mentioning(str(data_dir)) == []
    assert not os.path.exists(socket_dir)
    assert not (data_dir / "server.json").exists()


def test_the_key_stays_and_ctrl_c_stops(home: Path) -> None:
    with Serving(*at(home)) as first:
        key = first.api_key
        assert first.stop(signal.SIGINT) == 0
    with Serving(*at(home)) as second:
        assert second.api_key == key
    with Serving(*at(home), environment={"CARTO_LIKE_API_KEY": key}) as third:
        assert third.api_key == key
    other = Serving(*at(home), environment={"CARTO_LIKE_API_KEY": "another-key-altogether"})
    assert other.finish() == 1
    assert "has another key than the one given" in other.stderr
    assert "another-key" not in other.stderr
    assert processes_mentioning(str(home)) == []


def test_a_given_key_and_user_show_up_in_no_process_list(data_dir: Path) -> None:
    environment = {"CARTO_LIKE_API_KEY": "given-key-4711", "CARTO_LIKE_SECRET": SECRET.decode()}
    with Serving(*at(data_dir), "--user", "ana", environment=environment) as serving:
        assert serving.api_key == "given-key-4711"
        assert serving.base_url.endswith("/user/ana/")
        assert query(serving, "SELECT current_schema() AS s").json()["rows"] == [{"s": "ana"}]
        assert not (data_dir / "secret").exists()
        for hidden in ("given-key-4711", SECRET.decode()):
            assert processes_mentioning(hidden) == []


def test_workers_share_the_work_and_end_with_their_parent(home: Path) -> None:
    with Serving(*at(home), "--workers", "2") as serving:
        for number in range(20):
            assert query(serving, f"SELECT {number} AS n").json()["rows"] == [{"n": number}]
        metrics = requests.get(serving.base_url.split("user/")[0] + "metrics", timeout=30).text
        line = 'carto_like_requests_total{endpoint="/api/{version}/sql",method="GET",status="200"} 20.0'
        assert line in metrics
        workers = _children(serving.process.pid)
        assert len(workers) >= 2
        pid = postgres_pid(home)
        serving.process.kill()
        serving.finish()
        wait_for(lambda: not any(map(_is_alive, workers)), "the workers run on")
    with Serving(*at(home), "--workers", "2") as serving:
        assert postgres_pid(home) == pid
        assert query(serving, "SELECT 1 AS one").status_code == 200
        assert serving.stop() == 0
    assert processes_mentioning(str(home)) == []


def _children(pid: int) -> list[int]:
    return [found.pid for found in processes() if found.parent == pid and "spawn_main" in found.command]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_second_server_is_told_who_is_there(home: Path) -> None:
    with Serving(*at(home)) as serving:
        second = Serving(*at(home))
        assert second.finish() == 1
        assert f"in use by process {serving.process.pid}" in second.stderr
        assert second.stdout == ""
        assert query(serving, "SELECT 1 AS one").status_code == 200


def test_the_database_killed_under_the_server_comes_back(home: Path) -> None:
    with Serving(*at(home)) as serving:
        assert query(serving, "SELECT 1 AS one").status_code == 200
        pid = postgres_pid(home)
        os.kill(pid, signal.SIGKILL)

        def is_back() -> bool:
            answer = query(serving, "SELECT 1 AS one")
            if answer.status_code == 200:
                # Sessions of the old one may answer for a moment longer than it lives.
                return postgres_pid(home) != pid
            assert answer.status_code == 500
            assert answer.json()["error"] == ["cannot connect to the database"]
            return False

        wait_for(is_back, "the database stays away", 30)
        health = requests.get(serving.base_url.split("user/")[0] + "health", timeout=30)
        assert health.json()["ok"] is True
    assert processes_mentioning(str(home)) == []


def test_an_import_survives_the_database(home: Path) -> None:
    with Serving(*at(home)) as serving:
        imports = f"{serving.base_url}api/v1/imports"
        key = {"api_key": serving.api_key}
        asked = {**key, "sql": "SELECT 1 AS a FROM pg_sleep(1)", "table_name": "slow"}
        identity = requests.post(imports, params=asked, timeout=30).json()["item_queue_id"]
        busy = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'CREATE TABLE%pg_sleep%' AND state = 'active'"
        with psycopg.connect(superuser_dsn(home), autocommit=True) as admin:
            wait_for(lambda: admin.execute(busy).fetchone() is not None, "the import does not begin", 30)
        os.kill(postgres_pid(home), signal.SIGKILL)

        def told() -> Any:
            answer = requests.get(f"{imports}/{identity}", key, timeout=30)
            return answer.json() if answer.status_code == 200 else {}

        wait_for(lambda: told().get("state") in ("complete", "failure"), "the import does not end", 60)
        assert (told()["state"], told()["table_name"]) == ("complete", "slow")
        rows = query(
            serving, "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ 'slow|_import_'"
        )
        assert rows.json()["rows"] == [{"relname": "slow"}]
        assert query(serving, "DROP TABLE slow").status_code == 200


def test_a_running_request_is_answered_before_the_end(home: Path) -> None:
    with Serving(*at(home)) as serving:
        answers = []
        asking = threading.Thread(
            target=lambda: answers.append(query(serving, "SELECT pg_sleep(2), 'drained' AS x"))
        )
        asking.start()
        with psycopg.connect(_superuser_dsn(home), autocommit=True) as admin:
            running = (
                "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%drained%'"
            )
            wait_for(lambda: (admin.execute(running).fetchone() or (0,))[0] > 1, "the query does not run")
        assert serving.stop() == 0
        asking.join()
    assert answers[0].status_code == 200
    assert answers[0].json()["rows"][0]["x"] == "drained"


def _superuser_dsn(home: Path) -> str:
    found = PrivatePostgres.find(home)
    assert found is not None
    return found.dsn("carto_like")


def test_stopped_while_starting_it_leaves_nothing_behind(data_dir: Path) -> None:
    serving = Serving(*at(data_dir))
    wait_for(lambda: bool(processes_mentioning(str(data_dir / "postgres"))), "no database is being made")
    assert serving.stop() == 0
    wait_for(lambda: processes_mentioning(str(data_dir)) == [], "something runs on")
    with Serving(*at(data_dir)) as again:
        assert query(again, "SELECT 1 AS one").status_code == 200


def test_a_taken_port_is_named(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        serving = Serving(*at(data_dir), "--port", str(port))
        assert serving.finish() == 1
    assert f"Cannot listen on 127.0.0.1 port {port}" in serving.stderr
    assert "--port" in serving.stderr


@pytest.mark.parametrize(
    ("arguments", "warned"),
    [(("--host", "0.0.0.0"), True), (("--host", "0.0.0.0", "--tls-in-front"), False), ((), False)],
)
def test_addresses_that_others_reach_are_warned_about(
    home: Path, arguments: tuple[str, ...], warned: bool
) -> None:
    with Serving(*at(home), *arguments) as serving:
        assert query(serving, "SELECT 1 AS one").status_code == 200
        serving.stop()
    assert ("shows them every key" in serving.stderr) is warned


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--limit", "nonsense=1"), "there is no limit 'nonsense'"),
        (("--limit", "connections=many"), "'many' is no number"),
        (("--limit", "connections=0"), "connections must be 1 or more"),
        (("--limit", "query_timeout=nan"), "query_timeout must be 0 or more"),
        (("--rate-limit", "query"), "is not of the form"),
        (("--rate-limit", "nothing=1/1"), "there are no rate limits for 'nothing'"),
        (("--workers", "0"), "0 is not in the range"),
    ],
)
def test_wrong_options_are_explained(data_dir: Path, arguments: tuple[str, ...], complaint: str) -> None:
    serving = Serving(*at(data_dir), *arguments)
    assert serving.finish() == 2
    assert complaint in " ".join(serving.stderr.split())
    assert not data_dir.exists()


def test_limits_given_on_the_command_line_hold(home: Path) -> None:
    with Serving(*at(home), "--limit", "query_timeout=0.2", "--rate-limit", "query=2/3600") as serving:
        assert query(serving, "SELECT pg_sleep(20)").status_code == 429
        answers = [query(serving, "SELECT 1 AS one") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert int(answers[2].headers["Retry-After"]) > 1000


def test_settings_given_on_the_command_line_hold(home: Path) -> None:
    uploads = home / "elsewhere"
    given = (
        "--timezone",
        "Asia/Tokyo",
        "--public-url",
        "https://maps.example.org/",
        "--uploads-dir",
        str(uploads),
    )
    with Serving(*at(home), *given, "--import-addresses", "public", "--hard-system-tables") as serving:
        zone = query(serving, "SELECT current_setting('TimeZone') AS zone").json()["rows"]
        assert zone == [{"zone": "Asia/Tokyo"}]
        assert query(serving, "SELECT * FROM pg_class").status_code == 403
        me = requests.get(f"{serving.base_url}api/v3/me", {"api_key": serving.api_key}, timeout=30).text
        assert "https://maps.example.org/user/me" in me
        imports, key = f"{serving.base_url}api/v1/imports", {"api_key": serving.api_key}

        def end_of(started: requests.Response) -> tuple[str, int | None]:
            told: dict[str, Any] = {}

            def is_final() -> bool:
                identity = started.json()["item_queue_id"]
                told.update(requests.get(f"{imports}/{identity}", key, timeout=30).json())
                return "success" in told

            wait_for(is_final, "the import does not end", 30)
            return told["state"], told["error_code"]

        asked = {**key, "url": f"{serving.base_url}nothing.csv"}
        files = {"file": ("t.csv", b"a\n1\n")}
        ends = [
            end_of(requests.post(imports, params=asked, timeout=30)),
            end_of(requests.post(imports, params=key, files=files, timeout=30)),
        ]
        assert ends == [("failure", 1001), ("complete", None)]
        assert uploads.is_dir()
        assert query(serving, "DROP TABLE t").status_code == 200


@pytest.fixture
def foreign(admin: psycopg.Connection[Any], cluster: PrivatePostgres) -> Iterator[tuple[str, str]]:
    """A database and a role of somebody else: ``(name of both, DSN)``, without any right."""
    name = f"foreign_{uuid4().hex[:8]}"
    admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
    admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield name, cluster.dsn(name, name)
    admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def refused(dsn: str, secret_file: Path) -> str:
    serving = Serving("--secret-file", str(secret_file), environment={"CARTO_LIKE_DSN": dsn})
    assert serving.finish() == 1
    assert serving.stdout == ""
    return " ".join(serving.stderr.split())


def test_a_foreign_database_is_used_once_it_grants_what_is_needed(
    foreign: tuple[str, str], cluster: PrivatePostgres, tmp_path: Path
) -> None:
    name, dsn = foreign
    secret_file = tmp_path / "secret"
    write_private(secret_file, SECRET)
    with psycopg.connect(cluster.dsn(name), autocommit=True) as owner:
        for complaint, statement in {
            "has no PostGIS": "CREATE EXTENSION postgis;",
            "does not let": f'ALTER ROLE "{name}" CREATEROLE;',
            "make schemas": f'GRANT CREATE ON DATABASE "{name}" TO "{name}";',
        }.items():
            said = refused(dsn, secret_file)
            assert complaint in said
            assert statement in said
            owner.execute(statement.encode())
        with Serving("--secret-file", str(secret_file), environment={"CARTO_LIKE_DSN": dsn}) as serving:
            assert query(serving, "SELECT current_schema() AS s").json()["rows"] == [{"s": "me"}]
            key = serving.api_key
            assert serving.stop() == 0
        assert "REVOKE EXECUTE ON FUNCTION pg_terminate_backend" in serving.stderr
        write_private(secret_file, b"an instance secret that is not the right one")
        assert "another instance secret" in refused(dsn, secret_file)
        # The database is somebody else's: it must survive us.
        assert owner.execute("SELECT 1").fetchone() == (1,)
        shown = owner.execute("SELECT k::text FROM carto_like.api_keys k").fetchall()
        assert key not in str(shown)


def test_a_foreign_database_needs_a_secret_and_an_answer(foreign: tuple[str, str], tmp_path: Path) -> None:
    serving = Serving(environment={"CARTO_LIKE_DSN": foreign[1]})
    assert serving.finish() == 1
    assert "the instance secret must be given" in serving.stderr
    secret_file = tmp_path / "secret"
    write_private(secret_file, SECRET)
    said = refused("host=/nowhere dbname=x password=hidden-password", secret_file)
    assert "cannot be reached" in said
    assert "hidden-password" not in said
    secret_file.chmod(0o644)
    assert "chmod 600" in refused(foreign[1], secret_file)


def user_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "carto_like.cli", "user", *arguments]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CARTO_")}
    return subprocess.run(
        command, capture_output=True, text=True, env=inherited, cwd=Path(__file__).parents[2], check=False
    )


def test_users_are_made_beside_a_server_and_without_one(home: Path) -> None:
    name = f"u{uuid4().hex[:8]}"
    with Serving(*at(home)) as serving:
        made = user_command("create", name, "--quota", "1000000", "--json", *at(home))
        assert made.returncode == 0, made.stderr
        described = json.loads(made.stdout)
        assert (described["user"], described["quota_in_bytes"]) == (name, 1_000_000)
        url = serving.base_url.replace("/me/", f"/{name}/") + "api/v2/sql"
        params = {"q": "SELECT current_schema() AS s", "api_key": described["api_key"]}
        assert requests.get(url, params, timeout=30).json()["rows"] == [{"s": name}]
        again = user_command("create", name, *at(home))
        assert again.returncode == 1
        assert f"already a user or schema named '{name}'" in again.stderr
        impossible = user_command("create", "Not A Name", *at(home))
        assert impossible.returncode == 1
        assert "cannot be a user's name" in impossible.stderr
        assert serving.stop() == 0
    listed = user_command("list", "--json", *at(home))
    assert listed.returncode == 0, listed.stderr
    assert {name, "me"} <= {user["user"] for user in json.loads(listed.stdout)}
    assert processes_mentioning(str(home)) == []
