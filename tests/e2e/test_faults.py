"""What goes wrong on the way of a request is told, leaves nothing half done, and the next request works."""

from __future__ import annotations

import gzip
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from carto_like.auth import APIKeyAuthClient, NoAuthClient
from carto_like.datasets import DatasetManager
from carto_like.exceptions import (
    CartoException,
    ForbiddenErrorException,
    NotFoundException,
    RateLimitException,
    UnauthorizedErrorException,
)
from carto_like.server.errors import QUERY_TIMEOUT
from carto_like.server.postgres import PrivatePostgres
from carto_like.sql import CopySQLClient, SQLClient
from carto_like.tables import TableManager
from tests.conftest import MakeServer
from tests.support.api import TestAccount, make_account
from tests.support.processes import processes_mentioning
from tests.support.raw import active_queries, eventually, sessions
from tests.support.serving import Serving

ROWS = [(number, f"name {number}") for number in range(1000)]


@pytest.fixture
def client(account: TestAccount) -> Iterator[APIKeyAuthClient]:
    with APIKeyAuthClient(account.base_url, account.api_key) as client:
        SQLClient(client).send("CREATE TABLE t (id int, name text)")
        yield client


def count(client: APIKeyAuthClient, table: str = "t") -> int:
    return int(SQLClient(client).send(f"SELECT count(*) AS n FROM {table}")["rows"][0]["n"])


BAD_SQL = {
    "SELEC 1": (400, 'syntax error at or near "SELEC"'),
    "SELECT * FROM nowhere": (400, 'relation "nowhere" does not exist'),
    "SELECT 'open": (400, "unterminated quoted string"),
    "SELECT 1/0": (400, "division by zero"),
    "INSERT INTO t VALUES ('x')": (400, "invalid input syntax for type integer"),
    "SELECT * FROM carto_like.users": (403, "permission denied for schema carto_like"),
}


@pytest.mark.parametrize("q", BAD_SQL)
def test_bad_sql_is_told_in_postgresqls_words(client: APIKeyAuthClient, q: str) -> None:
    status, message = BAD_SQL[q]
    with pytest.raises(CartoException, match=message) as caught:
        SQLClient(client).send(q)
    assert caught.value.status_code == status
    assert count(client) == 0


BAD_DATA = {
    "too many columns": (b"1\tone\textra\n", "extra data after last expected column"),
    "too few columns": (b"1\tone\n2\n", 'missing data for column "name"'),
    "a wrong type": (b"1\tone\nx\ttwo\n", "invalid input syntax for type integer"),
    "invalid UTF-8": (b"1\tone\n2\t\xff\xfe\n", 'invalid byte sequence for encoding "UTF8"'),
    "a zero byte": (b"1\tone\n2\t\x00\n", "invalid byte sequence"),
}


@pytest.mark.parametrize("what", BAD_DATA)
@pytest.mark.parametrize("dataset", [False, True], ids=["table", "dataset"])
def test_bad_data_store_nothing(client: APIKeyAuthClient, what: str, dataset: bool) -> None:
    data, message = BAD_DATA[what]
    copy, sql = CopySQLClient(client), SQLClient(client)
    if dataset:
        sql.send("SELECT CDB_CartodbfyTable('t')")
    query = "COPY t (id, name) FROM STDIN"
    with pytest.raises(CartoException, match=message) as caught:
        copy.copyfrom(query, [data], compress=False)
    assert caught.value.status_code == 400
    assert count(client) == 0
    assert copy.copyfrom(query, [b"1\tone\n"])["total_rows"] == 1


def test_a_gzip_that_ends_too_early_stores_nothing(client: APIKeyAuthClient) -> None:
    packed = gzip.compress(b"".join(b"%d\t%b\n" % (number, name.encode()) for number, name in ROWS))
    answer = client.send(
        "api/v2/sql/copyfrom",
        "post",
        params={"q": "COPY t FROM STDIN"},
        headers={"Content-Encoding": "gzip"},
        data=packed[:-20],
    )
    assert answer.status_code == 400
    assert answer.json()["error"][0].startswith("Error while gunzipping: ")
    assert count(client) == 0


def test_wrong_keys_are_told_from_missing_rights(client: APIKeyAuthClient, account: TestAccount) -> None:
    wrong = APIKeyAuthClient(account.base_url, "f" * 40)
    with pytest.raises(UnauthorizedErrorException, match="Unauthorized"):
        SQLClient(wrong).send("SELECT 1")
    with pytest.raises(CartoException) as caught:
        CopySQLClient(wrong).copyfrom("COPY t FROM STDIN", [b"1\tone\n"])
    assert caught.value.status_code == 401
    public = NoAuthClient(account.base_url)
    with pytest.raises(ForbiddenErrorException, match="permission denied for table t"):
        SQLClient(public).send("SELECT * FROM t")
    with (
        pytest.warns(UserWarning, match="writing without authentication"),
        pytest.raises(CartoException, match="permission denied for table t") as caught,
    ):
        CopySQLClient(public).copyfrom("COPY t FROM STDIN", [b"1\tone\n"])
    assert caught.value.status_code == 403
    assert "f" * 40 not in str(caught.value)
    assert count(client) == 0


@pytest.mark.parametrize(
    "name", ["a/b", "../users/me", "..", ".", "a%2Fb", "a?b=c", "a#b", "a b", "é", "x" * 3000]
)
def test_ids_of_any_letters_are_only_ids(client: APIKeyAuthClient, name: str) -> None:
    for manager in (DatasetManager(client), TableManager(client)):
        with pytest.raises((NotFoundException, ValueError)):
            manager.get(name)
    assert count(client) == 0


@pytest.mark.parametrize("name", ["a/b", "..", "a%2Fb", "a?b=c", "a#b", "a b", "é"])
def test_tables_of_any_name_are_found_by_it(client: APIKeyAuthClient, name: str) -> None:
    SQLClient(client).send(f"""CREATE TABLE "{name}" (n int); SELECT CDB_CartodbfyTable('"{name}"')""")
    [listed] = DatasetManager(client).all()
    assert listed.name == name
    dataset = DatasetManager(client).get(listed.id)
    dataset.description = "still the same"
    dataset.save()
    dataset.delete()
    assert DatasetManager(client).all() == []


def test_limits_are_told_and_cost_nobody_the_connection(make_server: MakeServer) -> None:
    server = make_server(query_timeout=0.3, cancel_grace=0.3, body_max_bytes=50_000, connections=1)
    account = make_account(server)
    with APIKeyAuthClient(account.base_url, account.api_key) as client:
        sql, copy = SQLClient(client), CopySQLClient(client)
        with pytest.raises(RateLimitException, match=QUERY_TIMEOUT[:40]):
            sql.send("SELECT pg_sleep(30)")
        with pytest.raises(CartoException, match="larger than the 50000 bytes") as caught:
            sql.send(f"SELECT '{'x' * 100_000}'")
        assert caught.value.status_code == 413
        sql.send("CREATE TABLE t (id int, name text)")
        with pytest.raises(CartoException) as caught:
            copy.copyfrom(f"COPY t FROM STDIN WITH (NULL '{'x' * 100_000}')", [b"1\tone\n"])
        assert caught.value.status_code == 414
        assert copy.copyfrom_rows("t", ROWS)["total_rows"] == len(ROWS)
        assert count(client) == len(ROWS)


def test_a_download_that_is_broken_off_frees_the_connection(
    make_server: MakeServer, admin: psycopg.Connection[Any]
) -> None:
    server = make_server(connections=1)
    account = make_account(server)
    q = "SELECT n, repeat('x', 1000) AS text FROM generate_series(1, 10000000) n"
    with APIKeyAuthClient(account.base_url, account.api_key) as client:
        for _ in range(2):
            with CopySQLClient(client).copyto_stream(f"COPY ({q}) TO STDOUT") as stream:
                assert stream.read(1000)
            with SQLClient(client).iterate(q) as rows:
                assert next(rows)["n"] == 1
        assert SQLClient(client).send("SELECT 1 AS a")["rows"] == [{"a": 1}]
    eventually(lambda: not active_queries(admin, account.role), "nothing runs on")


def test_an_upload_that_is_cut_off_stores_nothing(
    client: APIKeyAuthClient, account: TestAccount, admin: psycopg.Connection[Any]
) -> None:
    """The session behind an upload is ended in its middle, as an operator would, or a failing machine."""
    half, gone = threading.Event(), threading.Event()

    def chunks() -> Iterator[bytes]:
        yield b"1\tone\n" * 1000
        half.set()
        assert gone.wait(30)
        yield b"2\ttwo\n" * 1000

    def cut() -> None:
        half.wait(30)
        eventually(
            lambda: any(q.startswith("COPY") for q in active_queries(admin, account.role)), "COPY runs"
        )
        for pid in sessions(admin, account.role):
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        gone.set()

    cutting = threading.Thread(target=cut)
    cutting.start()
    with pytest.raises(CartoException) as caught:
        CopySQLClient(client).copyfrom("COPY t FROM STDIN", chunks(), compress=False)
    cutting.join()
    assert caught.value.status_code in (None, 500, 503)
    assert count(client) == 0


@pytest.fixture(scope="module")
def home(short_dir: Path) -> Path:
    return short_dir / f"faults-{uuid4().hex[:6]}"


def fill(client: APIKeyAuthClient) -> None:
    SQLClient(client).send("DROP TABLE IF EXISTS kept; CREATE TABLE kept (id int, name text)")
    SQLClient(client).send("SELECT CDB_CartodbfyTable('kept')")
    CopySQLClient(client).copyfrom_rows("kept", ROWS, ["id", "name"])


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_client_goes_on_when_its_server_was_started_again(home: Path, end: signal.Signals) -> None:
    """On the same data directory and port; a killed server's database is taken over as it runs."""
    first = Serving("--data-dir", str(home)).wait_until_ready()
    port = first.base_url.split(":")[2].split("/")[0]
    try:
        with APIKeyAuthClient(first.base_url, first.api_key) as client:
            fill(client)
            postgres = postgres_pid(home)
            first.stop(end)
            with pytest.raises(CartoException):
                SQLClient(
                    client,
                ).send("SELECT 1", retry=False)
            with Serving("--data-dir", str(home), "--port", port):
                assert count(client, "kept") == len(ROWS)
                assert [dataset.name for dataset in DatasetManager(client).all()] == ["kept"]
                assert CopySQLClient(client).copyfrom_rows("kept", ROWS, ["id", "name"])["total_rows"] == 1000
                assert (postgres_pid(home) == postgres) is (end == signal.SIGKILL)
    finally:
        first.stop(signal.SIGKILL)
    assert processes_mentioning(str(home)) == []


def postgres_pid(home: Path) -> int:
    return int((home / "postgres" / "postmaster.pid").read_text().split()[0])


def test_a_database_that_crashes_costs_what_was_running_and_no_more(home: Path) -> None:
    with (
        Serving("--data-dir", str(home)) as serving,
        APIKeyAuthClient(serving.base_url, serving.api_key) as client,
    ):
        fill(client)
        running = threading.Event()
        failed: list[int | None] = []

        def upload() -> Iterator[bytes]:
            yield b"1\tone\n" * 1000
            running.set()
            while not failed:
                yield b"2\ttwo\n" * 1000

        def restart() -> None:
            assert running.wait(30)
            found = PrivatePostgres.find(home)
            assert found is not None
            with psycopg.connect(found.dsn("carto_like"), autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                )
            crash(home)

        crashing = threading.Thread(target=restart)
        crashing.start()
        with pytest.raises(CartoException) as caught:
            CopySQLClient(client).copyfrom("COPY kept (id, name) FROM STDIN", upload())
        failed.append(caught.value.status_code)
        crashing.join()

        told: list[tuple[int | None, str]] = []

        def is_back() -> bool:
            try:
                return count(client, "kept") == len(ROWS)
            except CartoException as error:
                told.append((error.status_code, str(error)))
                return False

        eventually(is_back, "the database is back, with its rows", 30)
        assert {status for status, _ in told} <= {500}
        assert all("cannot connect to the database" in message for _, message in told)
        assert DatasetManager(client).get("kept").name == "kept"


def crash(home: Path) -> None:
    """End PostgreSQL at once, without a checkpoint, as ``pg_ctl stop -m immediate`` does."""
    os.kill(postgres_pid(home), signal.SIGQUIT)
