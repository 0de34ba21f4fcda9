"""Conversions, moments, and the frame of scripts."""

from __future__ import annotations

import logging
import sys
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from carto_like.iotile.utils import main
from carto_like.iotile.utils.basic import datetime_to_str
from carto_like.iotile.utils.main import BaseMain
from carto_like.iotile.utils.mdo import MdoHelper

NAN, INFINITE = float("nan"), float("inf")


def test_identity() -> None:
    mdo = MdoHelper(1, 1)
    for value in (5, 0, -10):
        assert mdo.compute(value) == value == mdo.compute_reverse(value)
        assert isinstance(mdo.compute(value), float)


@pytest.mark.parametrize(("value", "converted"), [(5, 8.0), (0, 0.5), (-10, -14.5)])
def test_conversion(value: int, converted: float) -> None:
    mdo = MdoHelper(3, 2, 0.5)
    assert mdo.compute(value) == mdo.compute_value(value) == converted
    assert mdo.compute_reverse(converted) == value


def test_conversions_as_text() -> None:
    assert str(MdoHelper(3, 2)) == str(MdoHelper(3, 2, 0)) == "3.0x/2.0"
    assert str(MdoHelper(3, 2, 0.5)) == "0.5+3.0x/2.0"
    assert MdoHelper(1.5, 2).compute(4) == 3.0


@pytest.mark.parametrize(
    ("numbers", "error"),
    [
        *((numbers, ValueError) for numbers in ((0, 1), (1, 0), (NAN, 1), (1, INFINITE), (1, 1, NAN))),
        *((numbers, TypeError) for numbers in ((True, 1), ("1", 1), (1, 1, "0"), (None, 1))),
    ],
)
def test_what_is_no_conversion(numbers: tuple[Any, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        MdoHelper(*numbers)


def test_moments_as_text() -> None:
    moment = datetime(2017, 9, 1, 1, 2, 3, 999)
    assert datetime_to_str(moment) == "2017-09-01T01:02:03Z"
    assert datetime_to_str(moment.replace(tzinfo=timezone(timedelta(hours=2)))) == "2017-09-01T01:02:03Z"


class FakeApi:
    """Records what a script does with its connection."""

    def __init__(self, domain: str) -> None:
        self.domain = domain
        self.calls: list[Any] = []

    def login(self, *, password: str, email: str) -> bool:
        self.calls.append(("login", email, password))
        return password == "right"

    def logout(self) -> None:
        self.calls.append("logout")


class Script(BaseMain):
    """Fails when asked to."""

    after = False

    def config_logging(self) -> None:
        pass

    def add_extra_args(self) -> None:
        self.parser.add_argument("--fail", action="store_true")

    def get_domain(self) -> str:
        return "https://iotile.test"

    def after_login(self) -> None:
        if self.args.fail:
            raise RuntimeError("it failed")

    def after_logout(self) -> None:
        self.after = True


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(main, "Api", FakeApi)
    monkeypatch.setattr(main, "getpass", lambda: "right")
    return monkeypatch


def test_a_script(password: pytest.MonkeyPatch) -> None:
    password.setattr(sys, "argv", ["script", "-u", "ana@example.org"])
    script = Script()
    assert script.main() == 0
    api: Any = script.api
    assert api.calls == [("login", "ana@example.org", "right"), "logout"]
    assert (api.domain, script.after) == ("https://iotile.test", True)


def test_a_script_that_fails_still_logs_out(password: pytest.MonkeyPatch) -> None:
    script = Script(["--user", "ana", "--fail"])
    with pytest.raises(RuntimeError, match="it failed"):
        script.main()
    api: Any = script.api
    assert (api.calls[-1], script.after) == ("logout", False)


def test_a_script_that_may_not_log_in(password: pytest.MonkeyPatch) -> None:
    password.setattr(main, "getpass", lambda: "wrong")
    script = Script(["-u", "ana"])
    assert script.main() == 1
    api: Any = script.api
    assert "logout" not in api.calls


def test_a_script_without_a_user(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught, caplog.at_level(logging.ERROR):
        Script([])
    assert caught.value.code == 1
    assert "-u" in caplog.text


def test_arguments_that_make_no_sense(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        Script(["-u", "ana", "--server", "x"])
    assert caught.value.code == 2
    with pytest.raises(SystemExit):
        Script(["--help"])
    assert "Fails when asked to." in capsys.readouterr().out
