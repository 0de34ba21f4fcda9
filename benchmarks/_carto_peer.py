"""The original client doing the same; runs in an environment of its own, which has nothing of ours."""

from __future__ import annotations

from typing import Any

from benchmarks._measure import Cost, measured, serve_one_task


def _copy_client(base_url: str, api_key: str) -> Any:
    from carto.auth import APIKeyAuthClient
    from carto.sql import CopySQLClient

    return CopySQLClient(APIKeyAuthClient(base_url, api_key))


def up(base_url: str, api_key: str, query: str, path: str, **options: Any) -> Cost:
    """A file up; at its defaults that means gzip, level 1."""
    client = _copy_client(base_url, api_key)
    return measured(lambda: {"rows": client.copyfrom_file_path(query, path, **options)["total_rows"]})


def down(base_url: str, api_key: str, query: str, path: str) -> Cost:
    """A table down into a file."""
    client = _copy_client(base_url, api_key)

    def transfer() -> dict[str, Any]:
        client.copyto_file_path(query, path)
        return {}

    return measured(transfer)


if __name__ == "__main__":
    serve_one_task({"up": up, "down": down})
