"""The limit to compare with: libpq itself, without HTTP, without Python in the way where that is possible."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psycopg
from psycopg import pq

_BLOCK = 256 * 1024


def copy_in(connection: psycopg.Connection, query: str, path: str) -> int:
    """COPY a file in, in the blocks that suit libpq best; how many rows that were."""
    link = _blocking(connection)
    _expect(link, link.exec_(query.encode()), pq.ExecStatus.COPY_IN)
    with Path(path).open("rb") as file:
        while block := file.read(_BLOCK):
            link.put_copy_data(block)
    link.put_copy_end()
    answer = link.get_result()
    _expect(link, answer, pq.ExecStatus.COMMAND_OK)
    assert answer is not None
    while link.get_result() is not None:
        pass
    return answer.command_tuples or 0


def copy_out(connection: psycopg.Connection, query: str, path: str) -> int:
    """COPY into a file; how many bytes that were."""
    link, size = _blocking(connection), 0
    _expect(link, link.exec_(query.encode()), pq.ExecStatus.COPY_OUT)
    with Path(path).open("wb") as file:
        while True:
            count, data = link.get_copy_data(0)
            if count < 0:
                break
            size += file.write(data)
    while link.get_result() is not None:
        pass
    return size


def psql(program: str, dsn: str, command: str) -> None:
    r"""Run one command of psql, such as a ``\copy``.

    Raises:
        RuntimeError: psql failed; with what it said.
    """
    done = subprocess.run([program, "-qXd", dsn, "-c", command], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)


def _blocking(connection: psycopg.Connection) -> pq.abc.PGconn:
    # As psycopg leaves it, what is put piles up in libpq's buffer, which costs memory and half of the speed.
    connection.pgconn.nonblocking = 0
    return connection.pgconn


def _expect(link: pq.abc.PGconn, answer: pq.abc.PGresult | None, status: pq.ExecStatus) -> None:
    if answer is None or answer.status != status:
        raise RuntimeError(link.get_error_message())
