"""A question, its answer in two formats, and an error."""

import os

from carto.auth import APIKeyAuthClient
from carto.exceptions import CartoException
from carto.sql import SQLClient

auth_client = APIKeyAuthClient(api_key=os.environ["CARTO_API_KEY"], base_url=os.environ["CARTO_API_URL"])
sql = SQLClient(auth_client)

data = sql.send("SELECT n, n * n AS square FROM generate_series(1, 3) AS n")
for row in data["rows"]:
    print(row["n"], row["square"])
print(data["total_rows"], data["fields"]["square"]["type"])

print(sql.send("SELECT 1 AS one, 'a' AS letter", format="csv").decode().split())
print(sql.send("SELECT 2 AS two", do_post=False)["rows"])

try:
    sql.send("SELECT * FROM no_such_table")
except CartoException as e:
    print("failed:", e)
