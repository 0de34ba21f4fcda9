"""Where a platform lives: in a private cluster in a data directory, or in an existing database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from .bootstrap import DATABASE, PLATFORM_ROLE, bootstrap
from .errors import Problem, StartError
from .migrations import migrate
from .platform import Platform
from .postgres import PrivatePostgres
from .probe import probe
from .secrets import Secrets, keep_secret, new_token, read_secret
from .settings import Limits, Settings

# Connections of a server process beside those of clients' SQL, and those nobody plans for.
_OTHER_CONNECTIONS = 14


@dataclass(frozen=True)
class Home:
    """Which deployment is meant.

    Attributes:
        data_dir: of the private cluster; may be None when there is a ``dsn``.
        dsn: of an existing database; None for a private one.
        secret: the instance secret; None to take it from ``secret_file`` or the data directory.
        secret_file: file that holds the instance secret.
    """

    data_dir: Path | None
    dsn: str | None = field(default=None, repr=False)
    secret: bytes | None = field(default=None, repr=False)
    secret_file: Path | None = None

    def read_secret(self) -> bytes:
        """The instance secret; one for a private cluster is made on first use.

        Raises:
            StartError: there is none, or it cannot be used.
        """
        if self.secret is not None:
            return self.secret
        if self.secret_file is not None:
            return read_secret(self.secret_file)
        if self.dsn is not None or self.data_dir is None:
            raise StartError(
                "With a database of your own the instance secret must be given, since others may read a "
                "database: --secret-file FILE, or CARTO_LIKE_SECRET. To make one: "
                "(umask 077; head -c 32 /dev/urandom | base64 > FILE)"
            )
        return keep_secret(self.data_dir / "secret")


@contextmanager
def running_database(
    home: Home, *, workers: int = 1, limits: Limits | None = None
) -> Iterator[PrivatePostgres | str]:
    """The deployment's database while the block runs: a private cluster of ours, or the DSN of another.

    Raises:
        StartError: it cannot be had.
    """
    if home.dsn is not None:
        # Without the secret there is no point in looking at the database.
        home.read_secret()
        probe(home.dsn)
        yield home.dsn
        return
    if home.data_dir is None:
        raise StartError("A private database needs a data directory.")
    connections = workers * ((limits or Limits()).connections + _OTHER_CONNECTIONS) + _OTHER_CONNECTIONS
    with PrivatePostgres(home.data_dir, settings={"max_connections": str(max(100, connections))}) as postgres:
        yield postgres


def platform_dsn(database: PrivatePostgres | str) -> str:
    """The DSN of the platform's role, in a database that is ready for migrations."""
    return database if isinstance(database, str) else bootstrap(database)


@contextmanager
def joined(home: Home) -> Iterator[Settings]:
    """Settings for work beside a server, or without one: a private cluster that runs is used as it is.

    Raises:
        StartError: the database cannot be had, or belongs to another secret.
    """
    running = PrivatePostgres.find(home.data_dir) if home.dsn is None and home.data_dir else None
    if running is not None:
        yield Settings(
            dsn=running.dsn(DATABASE, PLATFORM_ROLE), secret=home.read_secret(), data_dir=home.data_dir
        )
        return
    with running_database(home) as database:
        settings = Settings(dsn=platform_dsn(database), secret=home.read_secret(), data_dir=home.data_dir)
        asyncio.run(migrate(settings.dsn, Secrets(settings.secret)))
        yield settings


@asynccontextmanager
async def opened_platform(settings: Settings) -> AsyncIterator[Platform]:
    """A platform without a server, for work at the command line."""
    platform = Platform.create(settings)
    await platform.open()
    try:
        yield platform
    finally:
        await platform.close()


async def prepare(settings: Settings, api_key: str | None) -> str:
    """Bring the database up to date and see that the default user is there; answers his master key.

    Args:
        settings: of the server that is about to start.
        api_key: the key that the default user shall have; made when absent.

    Raises:
        StartError: the user has another key, or the database does not let the user's role log in.
    """
    await migrate(settings.dsn, Secrets(settings.secret))
    async with opened_platform(settings) as platform:
        users = platform.users
        try:
            account = await users.get(settings.default_user)
            if account is None:
                account = await users.create(settings.default_user, api_key=api_key or new_token())
        except Problem as problem:
            raise StartError(problem.message or "The default user cannot be made.") from None
        master = (await users.keys(account))[0]
        if api_key is not None and master.token != api_key:
            raise StartError(
                f"The user '{account.name}' exists and has another key than the one given. Start without a "
                "key to use his."
            )
        await _try_login(platform, account.role, account.schema)
    return master.token


async def _try_login(platform: Platform, role: str, schema: str) -> None:
    try:
        async with platform.database.login(role, schema) as connection:
            await connection.execute("SELECT 1")
    except (Problem, psycopg.OperationalError) as error:
        raise StartError(
            f"The database does not let the role '{role}' log in with its password: "
            f"{error.__cause__ or error}. Its pg_hba.conf needs a line for the platform's roles, such as: "
            f"host all +{role.partition('_')[0]}_clients <this server's address>/32 scram-sha-256"
        ) from None
