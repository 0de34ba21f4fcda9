"""The page about users, run by the owner of an organization."""

from __future__ import annotations

from typing import Any

import pytest

from carto_like.auth import APIKeyAuthClient
from carto_like.server.services.organizations import Organizations
from carto_like.users import UserManager
from tests.docs.test_pages import python_blocks
from tests.support.api import TestAccount
from tests.support.server import RunningServer


def test_python_of_the_page_runs(
    account: TestAccount, platform_server: RunningServer, capsys: pytest.CaptureFixture[str]
) -> None:
    platform = platform_server.app.platform
    organizations = Organizations(platform.database, platform.users)
    platform_server.on_server(organizations.join(account.account, "city"))
    names: dict[str, Any] = {"auth_client": APIKeyAuthClient(account.base_url, account.api_key)}
    for number, block in enumerate(python_blocks("users")):
        exec(compile(block, f"users.rst block {number}", "exec"), names)
    said = capsys.readouterr().out
    assert str(["bob", account.name]) in said
    assert "username is invalid" in said
    assert "email is invalid" in said
    assert [user.username for user in UserManager(names["boss"]).all()] == [account.name]
    names["boss"].close()
    names["auth_client"].close()
    platform_server.on_server(platform.users.delete(account.account))
