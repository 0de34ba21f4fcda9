"""The pytest plugin, in projects of its own: a run of pytest in a folder that knows nothing of ours."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from carto_like.testing import CartoPlatform, CartoUser
from tests.support.api import Api

ROOT = Path(__file__).resolve().parents[2]
RunProject = Callable[..., str]


@pytest.fixture
def project(tmp_path: Path) -> RunProject:
    """Runs pytest on files, given by name, and answers what it printed; warnings are errors there."""

    def run(*, outcome: str, **files: str) -> str:
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(text), "utf-8")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-W",
            "error",
            "-s",
            "--color=no",
        ]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        environment["PYTHONPATH"] = str(tmp_path)
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100
        )
        assert re.search(rf"= {outcome} in [\d.]+s", done.stdout), done.stdout + done.stderr
        return done.stdout

    return run


def test_the_page_of_the_documentation(project: RunProject) -> None:
    page = (ROOT / "doc" / "testing.rst").read_text("utf-8")
    blocks = [
        textwrap.dedent(block)
        for block in re.findall(r"^\.\. code-block:: python\n\n((?:   .*\n|\n)+)", page, re.MULTILINE)
    ]
    job, its_test, as_a_program = blocks
    test_body = its_test[its_test.index("def test_") :].strip()
    assert len(test_body.splitlines()) <= 10
    project(outcome="2 passed", trees=job, test_trees=its_test, test_program=as_a_program)


def test_one_platform_and_a_user_for_each_test(project: RunProject) -> None:
    said = project(
        outcome="4 passed",
        test_it="""
        seen = []

        def test_one(carto_client, carto_user, carto_platform):
            assert carto_client.username == carto_user.name
            answer = carto_client.send("api/v2/sql", "post", data={"q": "CREATE TABLE mine (a int)"})
            assert answer.status_code == 200
            assert carto_user.api_key not in repr(carto_user)
            seen.append((carto_platform, carto_user))

        def test_two(carto_client, carto_user, carto_platform):
            platform, other = seen[0]
            assert platform is carto_platform
            assert other.name != carto_user.name
            answer = carto_client.send("api/v2/sql", "get", params={"q": "SELECT * FROM mine"})
            assert answer.status_code == 400
            gone = other.client()
            assert gone.send("api/v1/users/me", "get").status_code == 404
            gone.close()

        def test_more_users(carto_platform):
            user = carto_platform.new_user("ana", quota_in_bytes=1_000_000)
            client = user.client()
            assert client.send("api/v1/users/me", "get").json()["quota_in_bytes"] == 1_000_000
            client.close()
            carto_platform.delete_user(user)
            carto_platform.delete_user(user)

        def test_an_organization(carto_platform):
            owner = carto_platform.new_user(organization="city")
            other = carto_platform.new_user("bob", organization="city")
            client = owner.client()
            path = "api/v2/organization/city/users"
            assert [user["username"] for user in client.send(path, "get").json()] == ["bob", owner.name]
            assert client.organization == "city"
            client.close()
            carto_platform.delete_user(owner)
            carto_platform.delete_user(other)
            print("FOLDER", carto_platform.testbed.folder)
        """,
    )
    found = re.search(r"FOLDER (\S+)", said)
    assert found is not None
    folder = Path(found.group(1))
    assert not folder.exists()
    answer = subprocess.run(["pgrep", "-f", str(folder)], capture_output=True, text=True)
    assert answer.stdout == ""


def test_a_project_without_the_fixtures_pays_for_nothing(project: RunProject) -> None:
    said = project(
        outcome="1 passed",
        test_it="""
        import sys

        def test_nothing():
            assert "carto_like.testing" in sys.modules
            ours = [name for name in sys.modules if name.startswith("carto_like.")]
            assert ours == ["carto_like.testing"]
            loaded = {name.partition(".")[0] for name in sys.modules}
            assert loaded.isdisjoint({"requests", "pyrestcli", "psycopg", "uvicorn", "starlette"})
        """,
    )
    assert "carto" in said  # pytest's header lists its plugins


MISSING = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in ("psycopg", "uvicorn"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""


def test_without_the_server_the_extra_is_named(project: RunProject) -> None:
    said = project(
        outcome="1 passed, 1 error",
        conftest=MISSING,
        test_it="""
        def test_needs_nothing():
            import carto_like.testing

        def test_needs_it(carto_client):
            raise AssertionError("never reached")
        """,
    )
    assert 'pip install "carto-like[server]"' in said
    assert "Traceback" not in said


def test_without_a_database_the_reason_is_given(project: RunProject) -> None:
    said = project(
        outcome="1 error",
        test_it="""
        import pytest

        @pytest.fixture(scope="session", autouse=True)
        def no_database():
            from carto_like.server import postgres
            from carto_like.server.errors import StartError

            def find_programs():
                raise StartError("No PostgreSQL is installed.")

            postgres.find_programs = find_programs

        def test_needs_it(carto_user):
            raise AssertionError("never reached")
        """,
    )
    assert "The platform does not start. No PostgreSQL is installed." in said


def test_asking_for_the_plugin_by_hand_is_no_clash(project: RunProject) -> None:
    project(
        outcome="1 passed",
        conftest='pytest_plugins = ["carto_like.testing"]\n',
        test_it="""
        def test_it(pytestconfig):
            assert pytestconfig.pluginmanager.has_plugin("carto_like.testing")
        """,
    )


def test_our_own_tests_run_on_it(carto_platform: CartoPlatform, carto_user: CartoUser, api: Api) -> None:
    assert api.base_url.startswith(carto_platform.base_url)
    assert carto_user.base_url == f"{carto_platform.base_url}user/{carto_user.name}/"
