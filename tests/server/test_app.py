from __future__ import annotations

import requests

from tests.support.api import Api, TestAccount
from tests.support.server import RunningServer


def test_health_and_version_need_no_account(platform_server: RunningServer) -> None:
    for path in ("health", "api/v2/health", "user/nobody/api/v2/health/"):
        answer = requests.get(platform_server.base_url + path, timeout=10)
        assert answer.status_code == 200
        assert answer.json() == {"enabled": True, "ok": True, "elapsed": answer.json()["elapsed"]}
    answer = requests.get(f"{platform_server.base_url}api/whatever/version", timeout=10)
    assert answer.json() == {"cartodb_sql_api": "6.0.0"}


def test_an_account_has_two_keys(account: TestAccount, platform_server: RunningServer) -> None:
    keys = platform_server.on_server(platform_server.app.platform.users.keys(account.account))
    assert [(key.type, key.role) for key in keys] == [
        ("master", account.role),
        ("default", account.public_role),
    ]
    assert keys[1].token == "default_public"
    assert account.api_key not in repr(keys)


def test_unknown_paths_answer_a_page(api: Api) -> None:
    answer = api.get("api/v2/<b>nothing</b>")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert f"Cannot GET /user/{api.base_url.split('/')[-2]}/api/v2/&lt;b&gt;nothing&lt;/b&gt;" in answer.text
