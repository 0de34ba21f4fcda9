from __future__ import annotations

import pickle
from datetime import datetime, timezone

import pytest

from carto_like.core.errors import (
    ApiError,
    AuthenticationError,
    ErrorDetail,
    NotFoundError,
    ServerError,
    error_type_for,
    retry_after_seconds,
)
from carto_like.core.log import redact
from carto_like.core.retry import DEFAULT_RETRY, NO_RETRY, Retry, as_retry

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5.0),
        ("0", 0.0),
        (" 1.5 ", 1.5),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sun, 01 Mar 2026 12:00:30 -0000", 30.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("-1", None),
        ("inf", None),
        ("nan", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert retry_after_seconds({"Retry-After": value}, NOW) == seconds


def test_retry_after_absent() -> None:
    assert retry_after_seconds({}) is None


def test_401_keeps_what_pyrestcli_would_forget() -> None:
    error = AuthenticationError("wrong key", 401, {"A": "b"}, "Unauthorized", "https://h/")
    assert (str(error), error.status_code, error.url) == ("wrong key", 401, "https://h/")


def test_errors_survive_pickling() -> None:
    error = NotFoundError(["gone"], 404, {"A": "b"}, detail=ErrorDetail(["gone"], hint="look elsewhere"))
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is NotFoundError
    assert (copy.args, copy.hint, copy.status_code) == ((["gone"],), "look elsewhere", 404)


def test_status_without_a_class_of_its_own() -> None:
    assert error_type_for(418) is ApiError
    assert error_type_for(599) is ServerError
    assert error_type_for(599, {0: NotFoundError}) is NotFoundError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET https://h/a?api_key=abc&q=1", "GET https://h/a?api_key=***&q=1"),
        ("?q=1&token=abc (Caused by", "?q=1&token=*** (Caused by"),
        ("url: /x?access_token=abc'", "url: /x?access_token=***'"),
        ("https://ann:pw@h/", "https://***@h/"),
        ("my key is longsecret.", "my key is ***."),
        ("select 'tokens = 1'", "select 'tokens = 1'"),
        ("?q=select%201", "?q=select%201"),
    ],
)
def test_redaction(text: str, shown: str) -> None:
    assert redact(text, ("longsecret", "my")) == shown


def test_policies() -> None:
    assert as_retry(True) is DEFAULT_RETRY
    assert as_retry(False) == as_retry(None) == as_retry(0) == NO_RETRY
    assert as_retry(7) == Retry(attempts=7)
    assert as_retry(NO_RETRY) is NO_RETRY


def test_waits_double_vary_and_end() -> None:
    policy = Retry(attempts=3, backoff=1, longest=3)
    assert [policy.wait(n, None, 1.0) for n in (1, 2, 3, 4)] == [1, 2, 3, None]
    assert policy.wait(1, None, 0.0) == 0.5
    assert policy.wait(1, 2.5, 0.0) == 2.5
    assert policy.wait(1, 3.5, 0.0) is None
