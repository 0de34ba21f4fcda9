"""The demonstration does its job, and leaves neither a process nor a file."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from PIL import Image

from tests.support.processes import processes_mentioning

ROOT = Path(__file__).resolve().parents[2]
# A whole platform is started and stopped in each of these, on whatever machine this is.
pytestmark = pytest.mark.timeout(300)
PATIENCE = 250
DEMO = [sys.executable, str(ROOT / "scripts" / "demo.py")]


@pytest.fixture
def place(short_dir: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """An empty folder, with a name that no other process mentions, which the database's user can enter."""
    folder = short_dir / f"demo{abs(hash(request.node.name)) % 10**6}"
    folder.mkdir(mode=0o711)
    yield folder
    assert processes_mentioning(str(folder)) == []


def environment(place: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(place), "PYTHONUNBUFFERED": "1"}


def found_without_being_told(data_dir: Path) -> object:
    """What the command line answers when nothing but the data directory says where the platform is."""
    arguments = ["sql", "select current_schema() as users", "--json", "--data-dir", str(data_dir)]
    found = subprocess.run(
        [sys.executable, "-m", "carto_like.cli", *arguments],
        env={name: value for name, value in os.environ.items() if not name.startswith("CARTO_")},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


def test_demo_leaves_a_picture_and_nothing_else(place: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        DEMO, env=environment(place), cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.findall(r"(\d+) rows in", done.stdout)[0]) == int(
        re.findall(r"(\d+) rows out", done.stdout)[0]
    )
    assert "All checks passed" in done.stdout
    assert list(place.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["airports.png"]
    with Image.open(tmp_path / "airports.png") as picture:
        assert picture.size == (1000, 500)
        assert len(picture.convert("RGB").getcolors(2**20) or ()) > 10


def test_demo_that_is_told_to_end_cleans_up_as_well(place: Path) -> None:
    with subprocess.Popen(DEMO, env=environment(place), stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        # Its first line says that the platform is being started.
        assert "platform" in demo.stdout.readline()
        demo.send_signal(signal.SIGTERM)
        assert demo.wait(PATIENCE) == 128 + signal.SIGTERM
    assert list(place.iterdir()) == []


def test_demo_can_keep_the_platform_running(place: Path, tmp_path: Path) -> None:
    options = ["--serve", "--port", "0", "--data-dir", str(place / "data")]
    with subprocess.Popen(
        [*DEMO, *options], env=environment(place), cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        said = ""
        for line in demo.stdout:
            said += line
            if "Ctrl-C" in line:
                break
        address = re.search(r"running at (http://\S+/user/(\w+)/) as user \2", said)
        assert address, said
        answer = requests.get(address[1] + "api/v2/sql", params={"q": "select 1 as a"}, timeout=10)
        assert answer.json()["rows"] == [{"a": 1}]
        page = re.search(r"The map in a browser: (\S+)", said)
        assert page, said
        assert page[1] == f"{address[1]}map/world_airports"
        assert requests.get(page[1], timeout=30).status_code == 200
        assert found_without_being_told(place / "data") == [{"users": "me"}]
        demo.send_signal(signal.SIGINT)
        assert demo.wait(PATIENCE) == 0
    assert not (place / "data" / "server.json").exists()


def test_options_of_the_platform_need_a_platform_that_stays(place: Path) -> None:
    done = subprocess.run([*DEMO, "--port", "0"], capture_output=True, text=True, env=environment(place))
    assert done.returncode == 2
    assert "--serve" in done.stderr
