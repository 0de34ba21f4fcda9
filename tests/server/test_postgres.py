from __future__ import annotations

import multiprocessing
import os
import signal
import stat
from pathlib import Path
from typing import Any

import psycopg
import pytest

from carto_like.server.datalock import DataDirectoryBusy
from carto_like.server.errors import StartError
from carto_like.server.postgres import PrivatePostgres
from carto_like.server.programs import Programs, find_programs


def test_it_listens_on_a_private_short_socket_and_no_port(
    cluster: PrivatePostgres, admin: psycopg.Connection[Any]
) -> None:
    assert cluster.socket_dir is not None
    assert len(f"{cluster.socket_dir}/.s.PGSQL.5432") < 100
    assert stat.S_IMODE(os.stat(cluster.socket_dir).st_mode) == 0o700
    row = admin.execute("SELECT current_setting('listen_addresses'), current_setting('wal_level')").fetchone()
    assert row == ("", "minimal")


def test_letters_beyond_ascii_have_cases(admin: psycopg.Connection[Any]) -> None:
    row = admin.execute("SELECT upper('é'), current_setting('server_encoding')").fetchone()
    assert row == ("É", "UTF8")


def test_starting_and_stopping_twice_changes_nothing(short_dir: Path) -> None:
    postgres = PrivatePostgres(short_dir / "twice")
    postgres.start()
    pid, folder = postgres.pid, postgres.socket_dir
    assert pid is not None
    assert folder is not None
    postgres.start()
    assert postgres.pid == pid
    assert postgres.is_running()
    postgres.stop()
    postgres.stop()
    assert not postgres.is_running()
    assert not os.path.exists(folder)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(StartError, match="not running"):
        postgres.dsn()
    postgres.start()
    with psycopg.connect(postgres.dsn()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    postgres.stop()


def test_a_second_owner_is_told_who_the_first_is(cluster: PrivatePostgres) -> None:
    with pytest.raises(DataDirectoryBusy, match=f"process {os.getpid()}") as caught:
        PrivatePostgres(cluster.data_dir).start()
    assert caught.value.holder["socket_dir"] == cluster.socket_dir
    assert cluster.is_running()


def test_another_process_finds_the_running_cluster(cluster: PrivatePostgres, short_dir: Path) -> None:
    found = PrivatePostgres.find(cluster.data_dir)
    assert found is not None
    assert found.dsn() == cluster.dsn()
    assert PrivatePostgres.find(short_dir / "nothing") is None


def _start_and_report(data_dir: Path, pipe: Any) -> None:
    postgres = PrivatePostgres(data_dir)
    postgres.start()
    pipe.send((postgres.pid, postgres.socket_dir))
    signal.pause()


def _killed_owner(data_dir: Path) -> tuple[int, str]:
    """Starts a cluster in a process that is then killed, and answers what it left behind."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    owner = context.Process(target=_start_and_report, args=(data_dir, theirs))
    owner.start()
    pid, socket_dir = ours.recv()
    owner.kill()
    owner.join()
    return pid, socket_dir


def test_a_cluster_whose_owner_was_killed_is_adopted(short_dir: Path) -> None:
    pid, _ = _killed_owner(short_dir / "killed")
    with PrivatePostgres(short_dir / "killed") as postgres:
        assert postgres.pid == pid
        with psycopg.connect(postgres.dsn()) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_owner_and_cluster_killed_leave_nothing_that_hinders(short_dir: Path) -> None:
    pid, socket_dir = _killed_owner(short_dir / "both")
    os.kill(pid, signal.SIGKILL)
    with PrivatePostgres(short_dir / "both") as postgres:
        assert postgres.pid != pid
        assert not os.path.exists(socket_dir)


def test_an_old_postgresql_is_refused_with_help(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("initdb", "postgres"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 9.6.24'\n")
        program.chmod(0o755)
    monkeypatch.setattr("carto_like.server.programs._folders", lambda: [str(tmp_path)])
    with pytest.raises(StartError, match=r"only PostgreSQL 9 in .*apt install"):
        find_programs()


def test_without_any_postgresql_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carto_like.server.programs._folders", lambda: ["/nowhere"])
    with pytest.raises(StartError, match=r"no PostgreSQL was found.*--dsn"):
        find_programs()


def test_a_failing_initdb_is_reported_and_leaves_the_directory_free(short_dir: Path) -> None:
    folder = short_dir / "broken-programs"
    folder.mkdir(mode=0o755)
    initdb = folder / "initdb"
    initdb.write_text("#!/bin/sh\necho no space left >&2\nexit 1\n")
    initdb.chmod(0o755)
    with pytest.raises(StartError, match="no space left"):
        PrivatePostgres(short_dir / "failing", programs=Programs(folder, 15)).start()
    with PrivatePostgres(short_dir / "failing") as postgres:
        assert postgres.is_running()


def test_a_directory_that_was_there_keeps_its_rights(short_dir: Path) -> None:
    folder = short_dir / "mine"
    folder.mkdir()
    folder.chmod(0o1777)
    with PrivatePostgres(folder) as postgres:
        assert postgres.is_running()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o1777
    with PrivatePostgres(folder / "deeper") as postgres:
        assert stat.S_IMODE(postgres.data_dir.stat().st_mode) & 0o066 == 0


def test_root_is_told_when_the_database_cannot_enter(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        tmp_path.chmod(0o700)
        with pytest.raises(StartError, match=r"cannot enter .* --data-dir"):
            PrivatePostgres(tmp_path / "unreachable").start()
    else:
        with PrivatePostgres(tmp_path / "reachable") as postgres:
            assert postgres.is_running()
