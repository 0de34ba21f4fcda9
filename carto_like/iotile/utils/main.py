"""The base of scripts that log in, do their work, and log out."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from getpass import getpass

from carto_like.iotile.api.connection import DOMAIN_NAME, Api

__all__ = ["BaseMain"]

_LOG = logging.getLogger(__name__)


class BaseMain:
    """A script's frame: subclasses answer the hooks, mostly :meth:`after_login`.

    Args:
        argv: arguments of the command line, without the script's name; by default those of the process.

    Attributes:
        parser: the parser of the command line; :meth:`add_extra_args` adds to it.
        args: what was given; ``email`` is the user.
        api: the connection, from :meth:`main` on.
        domain: address of the server.

    Exits with code 1 when no user is given, with 2 when the arguments make no sense.
    """

    parser: argparse.ArgumentParser
    args: argparse.Namespace
    api: Api
    domain: str = DOMAIN_NAME

    def __init__(self, argv: Sequence[str] | None = None) -> None:
        self.parser = argparse.ArgumentParser(description=type(self).__doc__)
        self.parser.add_argument("-u", "--user", dest="email", help="e-mail address of the account")
        self.add_extra_args()
        self.args = self.parser.parse_args(argv)
        self.config_logging()
        if not self.args.email:
            _LOG.error("User e-mail is required: -u <e-mail>")
            sys.exit(1)

    def main(self) -> int:
        """Log in, call the hooks, log out whatever happened; 1 when the login failed, else 0."""
        self.domain = self.get_domain()
        self.api = Api(self.domain)
        self.before_login()
        if not self.login():
            return 1
        try:
            self.after_login()
        finally:
            self.logout()
        self.after_logout()
        return 0

    # Hooks

    def config_logging(self) -> None:
        """Show messages from INFO on, with the time."""
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")

    def add_extra_args(self) -> None:
        """Add arguments to ``self.parser``."""

    def get_domain(self) -> str:
        """The address of the server."""
        return self.domain

    def before_login(self) -> None:
        """What comes before the login."""

    def login(self) -> bool:
        """Ask for the password and log in."""
        return self.api.login(email=self.args.email, password=getpass())

    def after_login(self) -> None:
        """The work."""
        _LOG.warning("Nothing to do: %s has no after_login()", type(self).__name__)

    def logout(self) -> None:
        """End the login."""
        self.api.logout()

    def after_logout(self) -> None:
        """What comes after the logout, when the work went well."""
