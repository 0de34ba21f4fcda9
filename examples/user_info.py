"""Say who the account is and how much room it uses.

python examples/user_info.py
"""

from __future__ import annotations

from carto_like.sql import SQLClient
from carto_like.users import UserManager

import account

ATTRIBUTES = ("username", "email", "base_url", "quota_in_bytes", "db_size_in_bytes", "table_count", "viewer")


def main() -> None:
    """Print the account's attributes and what the database says of its quota."""
    parser = account.parser(__doc__)
    parser.add_argument("--user", help="name of the user (default: the one of the address)")
    arguments = parser.parse_args()

    auth_client = account.connect(arguments)
    user = UserManager(auth_client).get(arguments.user or auth_client.username)
    for name in ATTRIBUTES:
        print(f"{name}: {getattr(user, name)}")
    used = SQLClient(auth_client).send("SELECT CDB_UserDataSize(current_schema()) AS bytes")["rows"][0]
    print(f"data: {used['bytes']} bytes")


if __name__ == "__main__":
    main()
