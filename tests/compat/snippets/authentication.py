"""Two ways in: as nobody, and with an API key; both say who is spoken to by the base URL."""

import os

from carto.auth import APIKeyAuthClient, NoAuthClient
from carto.sql import SQLClient

HOST = os.environ["SNIPPET_HOST"]
USER = os.environ["SNIPPET_USER"]
USER_URL = "{host}user/{user}/".format(host=HOST, user=USER)  # noqa: UP032

nobody = NoAuthClient(base_url=USER_URL)
somebody = APIKeyAuthClient(api_key=os.environ["CARTO_API_KEY"], base_url=USER_URL)

print(SQLClient(nobody).send("SELECT 'anyone' AS who")["rows"][0]["who"])
print(SQLClient(somebody).send("SELECT current_schema AS who")["rows"][0]["who"] == somebody.username)
print(somebody.send("api/v3/me", "get").json()["user_data"]["username"] == USER)
