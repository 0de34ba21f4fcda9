"""Rows made on the way, streamed in without a file, and read back as a stream."""

import os
from collections.abc import Iterator

from carto.auth import APIKeyAuthClient
from carto.sql import CopySQLClient, SQLClient

auth_client = APIKeyAuthClient(api_key=os.environ["CARTO_API_KEY"], base_url=os.environ["CARTO_API_URL"])
sql_client = SQLClient(auth_client)
copy_client = CopySQLClient(auth_client)

sql_client.send("CREATE TABLE buoys (the_geom geometry(Geometry, 4326), label text, depth integer)")
sql_client.send("SELECT CDB_CartodbfyTable(current_schema, 'buoys')")


def rows() -> Iterator[bytearray]:
    """Bytes of one row at a time; each ends in a newline."""
    for number in range(1, 80):
        row = "SRID=4326;POINT({lon} {lat}),{label},{depth}\n".format(
            lon=number, lat=number, label="búi", depth=100 - number
        )
        yield bytearray(row, "utf-8")


into = "COPY buoys (the_geom, label, depth) FROM stdin WITH (FORMAT csv)"
print(copy_client.copyfrom(into, rows())["total_rows"])

answer = sql_client.send("SELECT count(*) AS n, min(depth) AS low, max(ST_X(the_geom)) AS east FROM buoys")
print(answer["rows"])

query = "COPY (SELECT depth, label FROM buoys ORDER BY depth LIMIT 2) TO stdout WITH (FORMAT csv)"
for block in copy_client.copyto(query).iter_content(1024):
    print(block.decode("utf-8").split())

stream = copy_client.copyto_stream(query)
print([line.decode("utf-8").strip() for line in stream])
