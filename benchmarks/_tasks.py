"""What the measured child processes do: our own client, and libpq doing the same without us."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks._measure import Cost, measured, serve_one_task


def _copy_client(base_url: str, api_key: str, fast: bool) -> Any:
    if not fast:
        # As if it were not installed; it must happen before our modules look for it.
        sys.modules["isal"] = None  # type: ignore[assignment]
    from carto_like.auth import APIKeyAuthClient
    from carto_like.sql import CopySQLClient

    warnings.simplefilter("ignore", FutureWarning)
    return CopySQLClient(APIKeyAuthClient(base_url, api_key))


def up(base_url: str, api_key: str, query: str, path: str, fast: bool = True, **options: Any) -> Cost:
    """A file up, by our client."""
    client = _copy_client(base_url, api_key, fast)
    return measured(lambda: {"rows": client.copyfrom_file_path(query, path, **options)["total_rows"]})


def down(base_url: str, api_key: str, query: str, path: str) -> Cost:
    """A table down into a file, by our client."""
    client = _copy_client(base_url, api_key, fast=True)

    def transfer() -> dict[str, Any]:
        client.copyto_file_path(query, path)
        return {"bytes": Path(path).stat().st_size}

    return measured(transfer)


def stream_up(base_url: str, api_key: str, query: str, size: int, **options: Any) -> Cost:
    """So many bytes of rows up, made while they are sent, by our client."""
    from benchmarks._points import repeated

    client = _copy_client(base_url, api_key, fast=True)
    sent = 0

    def counted() -> Iterator[bytes]:
        nonlocal sent
        for block in repeated(size):
            sent += len(block)
            yield block

    return measured(
        lambda: {"rows": client.copyfrom(query, counted(), **options)["total_rows"], "bytes": sent}
    )


def stream_down(base_url: str, api_key: str, query: str) -> Cost:
    """The answer of a COPY down, looked at and thrown away, by our client."""
    client = _copy_client(base_url, api_key, fast=True)

    def transfer() -> dict[str, Any]:
        with client.copyto(query) as answer:
            return {"bytes": sum(map(len, answer.iter_content(256 * 1024)))}

    return measured(transfer)


def libpq_up(dsn: str, query: str, path: str) -> Cost:
    """A file up, by libpq, in one transaction."""
    import psycopg

    from benchmarks import _libpq

    def transfer() -> dict[str, Any]:
        with psycopg.connect(dsn) as connection:
            return {"rows": _libpq.copy_in(connection, query, path)}

    return measured(transfer)


def libpq_down(dsn: str, query: str, path: str) -> Cost:
    """A table down into a file, by libpq."""
    import psycopg

    from benchmarks import _libpq

    def transfer() -> dict[str, Any]:
        with psycopg.connect(dsn, autocommit=True) as connection:
            return {"bytes": _libpq.copy_out(connection, query, path)}

    return measured(transfer)


def psql(program: str, dsn: str, command: str) -> Cost:
    r"""One ``\copy``, by psql."""
    from benchmarks import _libpq

    def transfer() -> dict[str, Any]:
        _libpq.psql(program, dsn, command)
        return {}

    return measured(transfer)


def bulk_load(dsn: str, way: str, path: str) -> Cost:
    """A file into a finished table, the hand-written way, in one transaction."""
    import psycopg

    from benchmarks import _bulkload

    def transfer() -> dict[str, Any]:
        with psycopg.connect(dsn) as connection:
            connection.execute(f"SET LOCAL search_path = {_bulkload.SCHEMA}, public")
            return {"rows": _bulkload.WAYS[way](connection, path)}

    return measured(transfer)


if __name__ == "__main__":
    tasks = (up, down, stream_up, stream_down, libpq_up, libpq_down, psql, bulk_load)
    serve_one_task({task.__name__: task for task in tasks})
