"""What a user gets from the wheel, and that the texts about a release agree with it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import carto_like

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from a copy, because building in place would leave its traces in the tree."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT / "carto_like", source / "carto_like", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(source)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return zipfile.ZipFile(next(target.glob("*.whl")))


def test_wheel_holds_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    wanted = {
        path.relative_to(ROOT).as_posix()
        for suffix in ("*.py", "*.pyi", "*.sql", "*.html", "*.css", "*.js", "py.typed")
        for path in (ROOT / "carto_like").rglob(suffix)
    }
    assert {"carto_like/py.typed", "carto_like/core/_pyrestcli.pyi"} <= wanted
    assert any(name.endswith(".sql") for name in wanted)
    assert wanted <= set(wheel.namelist())


def test_wheel_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"carto_like", f"carto_like-{carto_like.__version__}.dist-info"}


def test_metadata_asks_for_the_sdk_only(wheel: zipfile.ZipFile) -> None:
    name = f"carto_like-{carto_like.__version__}.dist-info/METADATA"
    metadata = Parser().parsestr(wheel.read(name).decode("utf-8"))
    required = [line for line in metadata.get_all("Requires-Dist") or [] if "extra ==" not in line]
    names = {re.split(r"[<>=!~ ;\[]", line)[0] for line in required}
    assert names == {"pyrestcli", "requests", "urllib3", "python-dateutil", "six"}
    assert metadata["Version"] == carto_like.__version__
    assert set(metadata.get_all("Provides-Extra") or []) >= {"cli", "server", "fast", "dev", "all"}


def test_requirements_txt_is_what_setup_py_asks_for() -> None:
    setup = (ROOT / "setup.py").read_text("utf-8")
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    asked = [line for line in lines if line and not line.startswith("#")]
    assert asked
    assert [line for line in asked if f'"{line}"' not in setup] == []


def test_changelog_knows_the_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    headings = re.findall(r"^## \[([^\]]+)\]", text, re.MULTILINE)
    assert headings[0] == "Unreleased"
    base = re.sub(r"(\.dev|a|b|rc)\d+$", "", carto_like.__version__)
    released = [heading for heading in headings if heading != "Unreleased"]
    if base == carto_like.__version__:
        assert released, "a final version needs an entry of its own"
        assert released[0] == base
    else:
        assert base not in released
