from __future__ import annotations

import builtins
from typing import Any

import pytest

from carto_like.core.progress import Meter


def run(meter: Meter) -> None:
    assert list(meter.watch([b"x" * 500_000, b"x" * 500_000])) == [b"x" * 500_000] * 2
    meter.close()
    meter.close()


def test_silence(capfd: pytest.CaptureFixture[str]) -> None:
    run(Meter(False, 10, "upload"))
    assert capfd.readouterr() == ("", "")


def test_a_callable_is_told_bytes_and_total() -> None:
    seen: list[tuple[int, int | None]] = []
    run(Meter(lambda done, total: seen.append((done, total)), None, "upload"))
    assert seen == [(500_000, None), (1_000_000, None)]


def test_what_is_true_is_a_wish_for_a_bar(capfd: pytest.CaptureFixture[str]) -> None:
    run(Meter(1, 1_000_000, "upload"))  # type: ignore[arg-type]
    assert "upload" in capfd.readouterr().err


@pytest.mark.parametrize("missing", [(), ("rich",), ("rich", "tqdm")])
def test_a_bar_on_stderr_with_whatever_is_installed(
    missing: tuple[str, ...], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name.split(".")[0] in missing:
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    run(Meter(True, 1_000_000, "upload"))
    out, err = capfd.readouterr()
    assert out == ""
    assert "upload" in err
    assert "1.0" in err
