"""Who the key belongs to."""

import os

from carto.auth import APIKeyAuthClient
from carto.users import UserManager

auth_client = APIKeyAuthClient(
    base_url=os.environ["CARTO_API_URL"], api_key=os.environ["CARTO_API_KEY"], organization=None
)
user = UserManager(auth_client).get(os.environ["SNIPPET_USER"])
print(user.username == os.environ["SNIPPET_USER"], user.table_count)
