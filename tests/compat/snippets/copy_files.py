"""A file into a table and back, by its path and as an open file."""

import os
from pathlib import Path

from carto.auth import APIKeyAuthClient
from carto.sql import CopySQLClient, SQLClient

auth_client = APIKeyAuthClient(api_key=os.environ["CARTO_API_KEY"], base_url=os.environ["CARTO_API_URL"])
sql_client = SQLClient(auth_client)
copy_client = CopySQLClient(auth_client)

sql_client.send("""
    CREATE TABLE IF NOT EXISTS stations (the_geom geometry(Geometry, 4326), label text, floors integer)
""")
sql_client.send("SELECT CDB_CartodbfyTable(current_schema, 'stations')")

Path("stations.csv").write_text(
    'the_geom,label,floors\nSRID=4326;POINT(8.5 47.4),Zürich HB,3\nSRID=4326;POINT(7.4 46.9),"Bern, Hbf",2\n',
    "utf-8",
)

into = "COPY stations (the_geom, label, floors) FROM stdin WITH (FORMAT csv, HEADER true)"
result = copy_client.copyfrom_file_path(into, "stations.csv")
print(result["total_rows"])

with open("stations.csv", "rb") as file:
    print(copy_client.copyfrom_file_object(into, file)["total_rows"])

out = "COPY (SELECT label, floors FROM stations ORDER BY cartodb_id) TO stdout WITH (FORMAT csv, HEADER true)"
copy_client.copyto_file_path(out, "export.csv")
print(Path("export.csv").read_text("utf-8").splitlines())

with open("again.csv", "wb") as file:
    copy_client.copyto_file_object(out, file)
print(Path("again.csv").read_bytes() == Path("export.csv").read_bytes())
