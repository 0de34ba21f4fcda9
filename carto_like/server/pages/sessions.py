"""Who looks at the pages: a link that works once makes a session, which a signed cookie carries.

A session stands for the account's master key and ends with it: another key, and the cookie is worth nothing.
"""

from __future__ import annotations

import base64
import re
from datetime import datetime, timedelta, timezone

import jwt
from starlette.requests import Request

from carto_like.server.accounts import Account, Key
from carto_like.server.errors import Problem
from carto_like.server.platform import Platform
from carto_like.server.secrets import new_token, same

COOKIE = "carto_like_session"
SESSION_TIME = timedelta(hours=12)
LINK_SECONDS = 60

_ALGORITHM = "HS256"
# Of all addresses these alone can be asked for, below the account's own and quoted: no link leads elsewhere.
_PAGE = re.compile(r"|(map|dataset)/[^\x00-\x1f]+")

_ADD_LINK = """
INSERT INTO carto_like.page_links (code_index, account_id, page, expires_at)
VALUES (%s, %s, %s, now() + make_interval(secs => %s))
"""
_USE_LINK = """
DELETE FROM carto_like.page_links WHERE code_index = %s AND account_id = %s RETURNING page, expires_at > now()
"""


class Sessions:
    """Makes links and sessions, and knows them again."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._signing_key = platform.secrets.derive("page session")

    async def new_link(self, account: Account, page: str) -> str:
        """The code of a link to a page of the account, for one use within :data:`LINK_SECONDS`.

        Raises:
            Problem: 400, there are no such pages.
        """
        if not _PAGE.fullmatch(page):
            raise Problem(400, "page must be empty, map/NAME or dataset/NAME")
        code = new_token()
        async with self._platform.database.metadata() as connection:
            await connection.execute("DELETE FROM carto_like.page_links WHERE expires_at < now()")
            values = (self._index(code), account.id, page, LINK_SECONDS)
            await connection.execute(_ADD_LINK, values)
        return code

    async def use_link(self, account: Account, code: str) -> str | None:
        """The page that a link leads to; None when it was used before, is too old, or never was."""
        async with self._platform.database.metadata() as connection:
            cursor = await connection.execute(_USE_LINK, (self._index(code), account.id))
            row = await cursor.fetchone()
        return str(row[0]) if row is not None and row[1] else None

    async def new_cookie(self, account: Account) -> str:
        """What the cookie of a session holds."""
        claims = {
            "sub": str(account.id),
            "key": self._fingerprint(await self._master(account)),
            "exp": datetime.now(timezone.utc) + SESSION_TIME,
        }
        return jwt.encode(claims, self._signing_key, _ALGORITHM)

    async def master_key(self, request: Request, account: Account) -> Key | None:
        """The master key of the account, for a request of one of its sessions; None for any other."""
        cookie = request.cookies.get(COOKIE)
        if not cookie:
            return None
        try:
            claims = jwt.decode(
                cookie, self._signing_key, [_ALGORITHM], options={"require": ["sub", "key", "exp"]}
            )
        except jwt.InvalidTokenError:
            return None
        master = await self._master(account)
        valid = claims["sub"] == str(account.id) and same(str(claims["key"]), self._fingerprint(master))
        return master if valid else None

    async def _master(self, account: Account) -> Key:
        return (await self._platform.users.keys(account))[0]

    def _fingerprint(self, key: Key) -> str:
        return base64.b64encode(self._index(f"page session {key.token}")).decode()

    def _index(self, secret: str) -> bytes:
        return self._platform.secrets.token_index(secret)
