"""All datasets, one of them, its privacy, and its end."""

import os

from carto.auth import APIKeyAuthClient
from carto.datasets import DatasetManager
from carto.exceptions import CartoException
from carto.permissions import LINK, PRIVATE, PUBLIC

auth_client = APIKeyAuthClient(api_key=os.environ["CARTO_API_KEY"], base_url=os.environ["CARTO_API_URL"])
dataset_manager = DatasetManager(auth_client)

datasets = dataset_manager.all()
print(sorted(dataset.name for dataset in datasets))

dataset = dataset_manager.get("trees")
same = dataset_manager.get(dataset.id)
print(same.name, same.table.name, same.synchronization.get_id())

for privacy in (PUBLIC, LINK, PRIVATE):
    dataset.privacy = privacy
    dataset.save()
    print(dataset_manager.get(dataset.id).privacy)

dataset.license = "CC0"
dataset.attributions = "the parks department"
dataset.tags = ["green", "tall"]
dataset.save()
changed = dataset_manager.get(dataset.id)
print(changed.license, changed.attributions, sorted(changed.tags))

dataset.name = "old_trees"
dataset.save()
print(dataset_manager.get(dataset.id).name)

dataset.delete()
try:
    dataset_manager.get(dataset.id)
except Exception as e:
    print(type(e).__name__, isinstance(e, CartoException) or "not yet a CartoException")
