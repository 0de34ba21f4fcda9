import re
import subprocess
import sys
from pathlib import Path

import carto_like
from carto_like.core import _pyrestcli

ALLOWLIST = Path(__file__).with_name("stubtest_allowlist.txt")


def test_the_stub_tells_the_truth() -> None:
    command = [sys.executable, "-m", "mypy.stubtest", "carto_like.core._pyrestcli"]
    options = ["--allowlist", str(ALLOWLIST), "--ignore-unused-allowlist", "--concise"]
    root = Path(carto_like.__file__).parents[1]
    done = subprocess.run(command + options, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_name_comes_from_pyrestcli() -> None:
    for name in _pyrestcli.__all__:
        assert getattr(_pyrestcli, name).__module__.startswith("pyrestcli")


def test_nothing_else_imports_pyrestcli() -> None:
    package = Path(carto_like.__file__).parent
    pattern = re.compile(r"^\s*(import|from) pyrestcli\b", re.MULTILINE)
    importers = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if pattern.search(path.read_text())
    ]
    assert importers == ["core/_pyrestcli.py"]
