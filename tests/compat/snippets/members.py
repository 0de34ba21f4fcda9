"""The users of an organization: made and changed."""

import os

from carto.auth import APIKeyAuthClient
from carto.users import UserManager

auth_client = APIKeyAuthClient(
    base_url=os.environ["CARTO_API_URL"],
    api_key=os.environ["CARTO_API_KEY"],
    organization=os.environ["SNIPPET_ORGANIZATION"],
)
user_manager = UserManager(auth_client)
name = os.environ["SNIPPET_USER"] + "-new"

user = user_manager.create(username=name, password="a-password", email=name + "@example.org")
print(user.username == name, user.org_user)

user = user_manager.get(name)
user.email = "changed-" + user.email
user.save()
print(user_manager.get(name).email == "changed-" + name + "@example.org")
