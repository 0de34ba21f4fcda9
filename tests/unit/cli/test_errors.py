"""Errors become messages and exit codes in one place."""

from __future__ import annotations

import click
import pytest

from carto_like.cli.errors import explained
from carto_like.core.errors import (
    ApiError,
    BadRequestError,
    ConfigurationError,
    ErrorDetail,
    ServerError,
    TimeoutExpired,
)


def outcome(error: Exception) -> click.ClickException:
    with pytest.raises(click.ClickException) as caught, explained():
        raise error
    assert caught.value.__cause__ is error
    return caught.value


def test_refusal_tells_what_the_platform_said() -> None:
    said = ErrorDetail(["duplicate key"], detail="Key (id)=(1) already exists.", hint="Use another id.")
    error = outcome(BadRequestError(["duplicate key"], 400, detail=said))
    assert error.exit_code == 1
    assert error.message == (
        "duplicate key (HTTP 400)\nDetail: Key (id)=(1) already exists.\nHint: Use another id."
    )


def test_server_failure_tells_how_its_log_calls_the_request() -> None:
    error = outcome(
        ServerError("Unexpected error", 500, detail=ErrorDetail("Unexpected error", request_id="r-17"))
    )
    assert "r-17" in error.message


def test_refusal_without_words_falls_back_to_the_reason() -> None:
    assert outcome(ApiError("", 418, reason="I'm a teapot")).message == "I'm a teapot (HTTP 418)"


def test_wrong_address_is_a_mistake_of_the_caller() -> None:
    error = outcome(ConfigurationError("the base URL has no host"))
    assert isinstance(error, click.UsageError)
    assert error.exit_code == 2


@pytest.mark.parametrize(
    "error", [TimeoutExpired("no answer within 5 s"), FileNotFoundError(2, "No such file", "x.csv")]
)
def test_network_and_files_are_failures(error: Exception) -> None:
    found = outcome(error)
    assert found.exit_code == 1
    assert found.message == str(error)


def test_missing_library_names_the_extra() -> None:
    assert "carto-like[server]" in outcome(ModuleNotFoundError("No module", name="uvicorn.config")).message


@pytest.mark.parametrize(
    "error", [KeyError("rows"), BrokenPipeError(), ModuleNotFoundError("no", name="nowhere")]
)
def test_defects_and_closed_pipes_are_left_alone(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, explained():
        raise error
    assert caught.value is error
