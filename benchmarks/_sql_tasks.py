"""What the measured child processes of the SQL benchmark do."""

from __future__ import annotations

import http.client
import warnings
from typing import Any
from urllib.parse import urlencode, urlsplit

from benchmarks import _load
from benchmarks._measure import Cost, measured, serve_one_task


def ask_http(base_url: str, api_key: str, query: str, clients: int, duration: float) -> Cost:
    """A short query again and again, through the platform."""
    return measured(lambda: _load.over_http(base_url, api_key, query, clients, duration))


def ask_psycopg(dsn: str, query: str, clients: int, duration: float) -> Cost:
    """A short query again and again, with psycopg."""
    return measured(lambda: _load.with_psycopg(dsn, query, clients, duration))


def rows_http(base_url: str, api_key: str, query: str, form: str) -> Cost:
    """An answer of many rows: every byte read, none looked at."""
    parts = urlsplit(base_url)
    target = f"{parts.path}api/v2/sql?" + urlencode({"q": query, "format": form, "api_key": api_key})

    def transfer() -> dict[str, Any]:
        connection = http.client.HTTPConnection(parts.netloc)
        connection.request("GET", target)
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(answer.read().decode())
        size = 0
        while block := answer.read(256 * 1024):
            size += len(block)
        connection.close()
        return {"bytes": size}

    return measured(transfer)


def rows_sdk(base_url: str, api_key: str, query: str, form: str) -> Cost:
    """An answer of many rows as users get it: parsed, where the format is JSON."""
    from carto_like.auth import APIKeyAuthClient
    from carto_like.sql import SQLClient

    warnings.simplefilter("ignore", FutureWarning)
    client = SQLClient(APIKeyAuthClient(base_url, api_key))

    def transfer() -> dict[str, Any]:
        answer = client.send(query, format=form, parse_json=form != "csv")
        rows = answer.get("rows", answer.get("features")) if isinstance(answer, dict) else None
        return {} if rows is None else {"rows": len(rows)}

    return measured(transfer)


def rows_psycopg(dsn: str, table: str, form: str) -> Cost:
    """The same rows fetched and encoded in one process, with psycopg."""
    import psycopg

    from benchmarks import _rows

    def transfer() -> dict[str, Any]:
        with psycopg.connect(dsn, autocommit=True) as connection:
            return {"bytes": len(_rows.FORMATS[form](connection, table))}

    return measured(transfer)


if __name__ == "__main__":
    tasks = (ask_http, ask_psycopg, rows_http, rows_sdk, rows_psycopg)
    serve_one_task({task.__name__: task for task in tasks})
