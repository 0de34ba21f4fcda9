"""Log in with a password, renew the token, go on with it in another connection, and log out.

``IOTILE_DOMAIN``, ``IOTILE_EMAIL`` and ``IOTILE_PASSWORD`` name the server and the account.
"""

from __future__ import annotations

import os

from carto_like.iotile.api.connection import Api


def main() -> None:
    """Log in and out, and say as whom."""
    api = Api(os.environ["IOTILE_DOMAIN"])
    if not api.login(email=os.environ["IOTILE_EMAIL"], password=os.environ["IOTILE_PASSWORD"]):
        raise SystemExit("The server knows no such account, or the password is wrong.")
    print(f"Logged in as {api.username}.")
    if api.refresh_token():
        print("The token is good for another week.")

    other = Api(os.environ["IOTILE_DOMAIN"])
    other.set_token(api.token)
    print(f"The account's address is {other.account.get()['results'][0]['email']}.")

    permanent = Api(os.environ["IOTILE_DOMAIN"])
    permanent.set_token(api.auth.token.get()["token"], token_type="token")
    print(f"A key that does not expire sees {permanent.org.get()['count']} organizations.")

    api.logout()
    print(f"Logged out: the token is {api.token}.")


if __name__ == "__main__":
    main()
