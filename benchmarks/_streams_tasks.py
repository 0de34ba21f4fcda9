"""What the clients of the streams benchmark do, each in a process of its own."""

from __future__ import annotations

import json
from typing import Any

import numpy
import requests

from benchmarks._measure import Cost, measured, serve_one_task


def by_client(domain: str, token: str, stream: str) -> Cost:
    """All readings by our client, as an array."""
    from carto_like.iotile.client import IOTileClient
    from carto_like.iotile.data import Readings

    with IOTileClient(domain, token=token, token_type="token") as client:
        return measured(lambda: {"rows": len(Readings(client, stream).to_numpy())})


def by_hand(domain: str, token: str, stream: str) -> Cost:
    """All readings as one would write it: requests and json, page by page, into the same array."""

    def read() -> dict[str, Any]:
        kind = [("timestamp", "M8[us]"), ("value", "f8"), ("output_value", "f8")]
        session = requests.Session()
        session.headers["Authorization"] = f"token {token}"
        url: str | None = f"{domain}/api/v1/stream/{stream}/data/?page_size=20000"
        pages = []
        while url:
            page = json.loads(session.get(url, timeout=60).text)
            rows = [(item["timestamp"][:-1], item["value"], item["output_value"]) for item in page["results"]]
            pages.append(numpy.array(rows, dtype=kind))
            url = page["next"]
        return {"rows": len(numpy.concatenate(pages))}

    return measured(read)


if __name__ == "__main__":
    serve_one_task({"by_client": by_client, "by_hand": by_hand})
