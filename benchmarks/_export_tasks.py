"""What the measured child processes of the export benchmark do; the peers' need no package of ours."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from benchmarks._measure import Cost, measured, serve_one_task


def ours(base_url: str, api_key: str, query: str, path: str, format: str) -> Cost:
    """A query into a file, by our client."""
    from carto_like.auth import APIKeyAuthClient
    from carto_like.export import Exporter

    exporter = Exporter(APIKeyAuthClient(base_url, api_key))

    def transfer() -> dict[str, Any]:
        return {"bytes": exporter.to_path(query, path, format).stat().st_size}

    return measured(transfer)


def ours_arrow(base_url: str, api_key: str, query: str) -> Cost:
    """A query into a table of Arrow, by our client."""
    from carto_like.auth import APIKeyAuthClient
    from carto_like.export import Exporter

    exporter = Exporter(APIKeyAuthClient(base_url, api_key))
    return measured(lambda: {"rows": exporter.to_arrow(query).num_rows})


def ogr2ogr(dsn: str, query: str, path: str, driver: str) -> Cost:
    """A query into a file, by ogr2ogr."""

    def transfer() -> dict[str, Any]:
        command = ["ogr2ogr", "-f", driver, path, f"PG:{dsn}", "-sql", query, "-nln", "export"]
        subprocess.run(command, check=True, capture_output=True)
        return {"bytes": Path(path).stat().st_size}

    return measured(transfer)


def geopandas_parquet(dsn: str, query: str, path: str) -> Cost:
    """A query into a GeoParquet file, by geopandas."""
    import geopandas

    with _engine(dsn).connect() as connection:

        def transfer() -> dict[str, Any]:
            geopandas.read_postgis(query, connection, geom_col="the_geom").to_parquet(path)
            return {"bytes": Path(path).stat().st_size}

        return measured(transfer)


def pyarrow_rows(dsn: str, query: str) -> Cost:
    """A query into a table of Arrow, by psycopg and pyarrow."""
    import psycopg
    import pyarrow

    def transfer() -> dict[str, Any]:
        with psycopg.connect(dsn) as connection:
            cursor = connection.execute(query.encode(), binary=True)
            names = [column.name for column in cursor.description or ()]
            columns = list(zip(*cursor.fetchall(), strict=True))
        table = pyarrow.table(dict(zip(names, map(pyarrow.array, columns), strict=True)))
        return {"rows": table.num_rows}

    return measured(transfer)


def _engine(dsn: str) -> Any:
    import psycopg
    from sqlalchemy import create_engine

    return create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn))


if __name__ == "__main__":
    tasks = (ours, ours_arrow, ogr2ogr, geopandas_parquet, pyarrow_rows)
    serve_one_task({task.__name__: task for task in tasks})
