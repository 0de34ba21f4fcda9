"""Make an organization, read it, change it, and delete it.

``IOTILE_DOMAIN``, ``IOTILE_EMAIL`` and ``IOTILE_PASSWORD`` name the server and the account.
"""

from __future__ import annotations

import os

from carto_like.iotile.api.connection import Api
from carto_like.iotile.api.exceptions import HttpClientError, HttpNotFoundError


def main() -> None:
    """Take an organization from its beginning to its end."""
    api = Api(os.environ["IOTILE_DOMAIN"])
    if not api.login(email=os.environ["IOTILE_EMAIL"], password=os.environ["IOTILE_PASSWORD"]):
        raise SystemExit("The login failed.")

    new = api.org.post({"name": "My new Org"})
    print(f"Made {new['slug']}.")
    try:
        api.org.post({"name": "My new Org"})
    except HttpClientError as error:
        print(f"Its name is taken: {error.status_code}.")

    for org in api.org.get()["results"]:
        print(f"- {org['slug']}: {org['name']}")

    org = api.org("my-new-org")
    print(f"Read {org.get()['name']}.")
    print(f"It is about: {org.put({'about': 'This is about my new org'})['about']}")
    print(f"It is about: {org.patch({'about': 'Something else'})['about']}")
    print(f"Deleted: {org.delete()}.")
    try:
        org.get()
    except HttpNotFoundError:
        print("It is gone.")
    api.logout()


if __name__ == "__main__":
    main()
