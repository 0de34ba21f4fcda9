"""Datasets made of a file, of an open file, and of what was asked for in a query; how an import went."""

import os
from pathlib import Path

import carto.datasets
from carto.auth import APIKeyAuthClient
from carto.datasets import DatasetManager
from carto.file_import import FileImportJob
from carto.sql import SQLClient

auth_client = APIKeyAuthClient(api_key=os.environ["CARTO_API_KEY"], base_url=os.environ["CARTO_API_URL"])
dataset_manager = DatasetManager(auth_client)
carto.datasets.INTERVAL_BETWEEN_RETRIES_S = 0.2

Path("lamps.csv").write_text("lat,lon,watts\n41.38,2.17,40\n41.15,-8.61,60\n", "utf-8")
dataset = dataset_manager.create("lamps.csv")
print(dataset.name, dataset.privacy)
query = "SELECT ST_AsText(the_geom) AS at, watts FROM lamps ORDER BY watts"
print(SQLClient(auth_client).send(query)["rows"])

with open("lamps.csv", "rb") as file:
    print(dataset_manager.create(file, privacy="link").privacy)

job = FileImportJob("lamps.csv", auth_client)
job.run()
print(job.get_id() is not None)
