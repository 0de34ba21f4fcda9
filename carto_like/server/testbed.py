"""A whole platform for the length of a test run: database and server, on loopback, gone afterwards."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from uuid import uuid4

from .accounts import Account
from .background import BackgroundServer
from .bootstrap import bootstrap
from .migrations import migrate
from .postgres import PrivatePostgres
from .secrets import Secrets, new_secret
from .services.organizations import Organization, Organizations
from .services.users import Changes
from .settings import Settings

SECRET = new_secret()
"""The instance secret of this process's test beds."""


@dataclass(frozen=True)
class TestUser:
    """A user, and the key to his account."""

    __test__ = False

    account: Account
    api_key: str
    base_url: str

    def __repr__(self) -> str:
        return f"<user {self.account.name} at {self.base_url}>"


class Testbed:
    """Starts what it is asked for, when it is asked for, and stops it with :meth:`close`."""

    __test__ = False

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Testbed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @cached_property
    def folder(self) -> Path:
        """A folder that the database's OS user can enter, which a test runner's own (0700) is not."""
        folder = Path(tempfile.mkdtemp(prefix="carto-like-test-", dir="/tmp"))
        self._stack.callback(shutil.rmtree, folder)
        folder.chmod(0o711)
        return folder

    @cached_property
    def postgres(self) -> PrivatePostgres:
        """The database.

        Raises:
            StartError: there is no PostgreSQL with PostGIS on this machine, or it does not start.
        """
        # Tests make nothing that must survive a power cut.
        postgres = PrivatePostgres(self.folder / "data", settings={"fsync": "off"})
        return self._stack.enter_context(postgres)

    @cached_property
    def settings(self) -> Settings:
        """Settings of a server on the database, which is ready for one."""
        dsn = bootstrap(self.postgres)
        asyncio.run(migrate(dsn, Secrets(SECRET)))
        return Settings(dsn=dsn, secret=SECRET, data_dir=self.postgres.data_dir)

    def another_server(self, database: str) -> BackgroundServer:
        """A server without a worker, on a database of its own."""
        dsn = bootstrap(self.postgres, database)
        asyncio.run(migrate(dsn, Secrets(SECRET)))
        return self._stack.enter_context(BackgroundServer(Settings(dsn=dsn, secret=SECRET, worker=False)))

    @cached_property
    def server(self) -> BackgroundServer:
        """The server."""
        return self._stack.enter_context(BackgroundServer(self.settings))

    def make_user(
        self, name: str | None = None, *, quota_bytes: int | None = None, organization: str | None = None
    ) -> TestUser:
        """A new user, of whatever name when none is given.

        Raises:
            Problem: the name is taken, or cannot be one.
        """
        name = name or f"t{uuid4().hex[:10]}"
        run, users = self.server.on_server, self.server.app.platform.users
        if organization is None:
            account = run(users.create(name, quota_bytes=quota_bytes))
        else:
            changes = Changes(quota_bytes=quota_bytes)
            account = run(self._organizations.create_user(organization, name, changes=changes))
        token = run(users.keys(account))[0].token
        return TestUser(account, token, f"{self.server.base_url}user/{name}/")

    def delete_user(self, name: str) -> None:
        """Delete a user with all that is his, his organization's other users too; no user is no error."""
        run, users = self.server.on_server, self.server.app.platform.users
        account = run(users.get(name))
        if account is None:
            return
        if account.membership is not None and account.membership.is_owner:
            own = Organization(account.membership.organization_id, account.membership.organization)
            for member in run(self._organizations.members(own)).accounts:
                if member.id != account.id:
                    run(users.delete(member))
        run(users.delete(account))

    @property
    def _organizations(self) -> Organizations:
        platform = self.server.app.platform
        return Organizations(platform.database, platform.users)

    def close(self) -> None:
        """Stop everything, and leave nothing behind."""
        self._stack.close()
