"""``carto-like user``, on the database of the tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from carto_like.cli.root import cli
from carto_like.server.settings import Settings
from tests.support.api import Api, TestAccount, make_account
from tests.support.iotile import IOTileApi
from tests.support.server import RunningServer
from tests.support.serving import wait_for

Run = Callable[..., Result]


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("CARTO_LIKE_DSN", settings.dsn)
    monkeypatch.setenv("CARTO_LIKE_SECRET", settings.secret.decode())

    def start(*arguments: str, code: int = 0, **options: str) -> Result:
        result = CliRunner().invoke(cli, ["user", *arguments], **options)  # type: ignore[arg-type]
        assert result.exit_code == code, result.output
        return result

    return start


def unique(kind: str) -> str:
    return f"{kind}-{uuid4().hex[:8]}"


def test_an_organization_grows(run: Run, platform_server: RunningServer) -> None:
    city, ana, bob, eva = unique("city"), unique("ana"), unique("bob"), unique("eva")
    owner = json.loads(run("create", ana, "--organization", city, "--json").stdout)
    assert (owner["organization"], owner["role"]) == (city, "owner")
    run(
        "create",
        bob,
        "--organization",
        city,
        "--org-admin",
        "--email",
        "bob@example.org",
        "--quota",
        "5000000",
    )
    run("create", eva)
    assert f"{eva} is in {city} as user" in run("join", eva, city).stdout
    listed = {user["user"]: user for user in json.loads(run("list", "--json").stdout)}
    assert {name: (listed[name]["organization"], listed[name]["role"]) for name in (ana, bob, eva)} == {
        ana: (city, "owner"),
        bob: (city, "admin"),
        eva: (city, "user"),
    }
    assert listed[bob]["quota_in_bytes"] == 5_000_000
    assert city in run("list").stdout
    api = Api(f"{platform_server.base_url}user/{ana}/", owner["api_key"])
    users = api.get(f"api/v2/organization/{city}/users").json()
    api.session.close()
    assert {user["username"]: user["email"] for user in users} == {
        ana: None,
        bob: "bob@example.org",
        eva: None,
    }
    assert "owns an organization" in run("delete", ana, "--yes", code=1).output
    for name in (bob, eva, ana):
        run("delete", name, "--yes")
    assert city not in run("list").stdout


def test_an_owner_cannot_leave_for_another_organization(run: Run) -> None:
    ana, first = unique("ana"), unique("one")
    run("create", ana, "--organization", first)
    assert f"owns the organization '{first}'" in run("join", ana, unique("two"), code=1).output
    assert (
        "cannot be an organization's name"
        in run("create", unique("bob"), "--organization", "A B", code=1).output
    )


def test_deleting_asks_first(run: Run, account: TestAccount, api: Api) -> None:
    assert "Delete the user" in run("delete", account.name, code=1, input="n\n").output
    assert api.get("api/v1/users/me").status_code == 200
    assert f"{account.name} is deleted" in run("delete", account.name, input="y\n").output
    assert "There is no user" in run("delete", account.name, "--yes", code=1).output


def test_wrong_options(run: Run) -> None:
    assert "--org-admin needs --organization" in run("create", unique("ana"), "--org-admin", code=2).output
    assert "There is no user" in run("join", unique("nobody"), "city", code=1).output


def test_staff(run: Run, platform_server: RunningServer) -> None:
    name = unique("ana")
    me = IOTileApi(platform_server).login(make_account(platform_server, name))
    body = {"slug": unique("graph")}
    assert me.post("sg/", json=body).status_code == 403
    run("staff", name)
    wait_for(lambda: me.post("sg/", json=body).status_code == 201, "other servers do not hear of it")
    run("staff", name, "--revoke")
    wait_for(lambda: me.post("sg/", json=body).status_code == 403, "other servers do not hear of it")


def test_password(run: Run, platform_server: RunningServer, tmp_path: Path) -> None:
    name = unique("ana")
    account = make_account(platform_server, name)
    cloud = IOTileApi(platform_server)
    file = tmp_path / "password"
    file.write_text("correct horse\n", "utf-8")
    said = run("password", name, "--password-file", str(file)).output
    assert "horse" not in said
    assert cloud.login(account, "correct horse").get("server/").status_code == 200
    run("password", name, "--password-file", "-", input="battery staple\n")
    assert cloud.login(account, "battery staple").get("server/").status_code == 200
    asked = run("password", name, input="from a prompt\nfrom a prompt\n").output
    assert "from a prompt" not in asked
    assert cloud.login(account, "from a prompt").get("server/").status_code == 200
    short = run("password", name, input="short\nshort\n", code=1).output
    assert "8 to 1000 characters" in short
    assert cloud.login(account).get("server/").status_code == 200, "the key goes on working"
    assert "no user" in run("password", unique("bob"), input="12345678\n12345678\n", code=1).output
