"""A query that takes its time: created, looked at, waited for, and one that is cancelled."""

import os

import carto.sql
from carto.auth import APIKeyAuthClient
from carto.exceptions import CartoException
from carto.sql import BatchSQLClient, SQLClient

auth_client = APIKeyAuthClient(api_key=os.environ["CARTO_API_KEY"], base_url=os.environ["CARTO_API_URL"])
batch_client = BatchSQLClient(auth_client)
carto.sql.BATCH_READ_STATUS_AFTER_SECONDS = 0.2

job = batch_client.create("CREATE TABLE squares AS SELECT n, n * n AS square FROM generate_series(1, 9) n")
print(job["user"] == os.environ["SNIPPET_USER"], job["status"])
print(batch_client.read(job["job_id"])["job_id"] == job["job_id"])

job = batch_client.create_and_wait_for_completion(["CREATE TABLE cubes AS SELECT 8 AS cube", "ANALYZE cubes"])
print(job["status"], [query["status"] for query in job["query"]])
print(SQLClient(auth_client).send("SELECT max(square) FROM squares")["rows"])

try:
    batch_client.create_and_wait_for_completion("SELECT * FROM no_such_table")
except CartoException as e:
    print("no_such_table" in str(e))

job = batch_client.create("SELECT pg_sleep(60)")
print(batch_client.cancel(job["job_id"]))
