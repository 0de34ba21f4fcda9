from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import requests
import responses

from carto_like import exceptions
from carto_like.auth import APIKeyAuthClient
from carto_like.core import _pyrestcli
from carto_like.core.errors import ERROR_TYPES, SdkError
from carto_like.exceptions import (
    CartoApiException,
    CartoException,
    CartoRateLimitException,
    PartialResultException,
)

BASE = "https://user1.carto.com/"
CLASSES = {
    400: "BadRequestException",
    401: "UnauthorizedErrorException",
    403: "ForbiddenErrorException",
    404: "NotFoundException",
    422: "UnprocessableEntityError",
    429: "RateLimitException",
    500: "ServerErrorException",
}


def failure(status: int, **answer: Any) -> CartoApiException:
    client = APIKeyAuthClient(BASE, "0123456789abcdef")
    with responses.RequestsMock() as mock:
        mock.get(BASE + "api/v1/x", status=status, **answer)
        response = client.send("api/v1/x", "get", retry=False)
        with pytest.raises(CartoApiException) as caught:
            client.get_response_data(response)
    return caught.value


@pytest.mark.parametrize(("status", "name"), CLASSES.items())
def test_twins_can_be_caught_and_compared_in_every_way(status: int, name: str) -> None:
    error = failure(status, json={"errors": ["API key not found"]})
    plain = getattr(_pyrestcli, name)
    assert isinstance(error, (CartoException,))
    assert isinstance(error, plain)
    assert isinstance(error, ERROR_TYPES[status])
    assert isinstance(error, SdkError)
    assert type(error).__name__ == name
    assert type(error.args[0]) is plain
    assert str(error) == str(error.args[0]) == "['API key not found']"
    assert error.args[0].status_code == error.status_code == status
    assert error.args[0].url == error.url == BASE + f"api/v1/x?api_key=***&client={client_id()}"


def client_id() -> str:
    return APIKeyAuthClient(BASE, "x").client_id


@pytest.mark.parametrize(
    ("status", "kind"),
    [(409, "ConflictException"), (418, "CartoApiException"), (503, "ServerErrorException")],
)
def test_other_statuses(status: int, kind: str) -> None:
    error = failure(status, json={"error": "x"})
    assert type(error).__name__ == kind
    assert isinstance(error.args[0], _pyrestcli.RestException)


@pytest.mark.parametrize(
    "text", ["Validation failed: Name has already been taken", "Public map quota exceeded"]
)
def test_text_of_one_message_is_that_message(text: str) -> None:
    assert str(failure(422, json={"errors": text})) == text


def test_database_errors_keep_hint_detail_and_context() -> None:
    body = {"error": ["no"], "hint": "h", "detail": "d", "context": "limit"}
    error = failure(400, json=body)
    assert (error.hint, error.detail, error.context) == ("h", "d", "limit")


def test_an_error_page() -> None:
    error = failure(502, body="<html>Bad gateway</html>")
    assert str(error) == "<html>Bad gateway</html>"


@pytest.mark.parametrize("status", [400, 401, 404, 409, 503])
def test_errors_survive_pickling_and_copying(status: int) -> None:
    error = failure(status, json={"error": "gone", "hint": "h"}, headers={"X-Request-Id": "r"})
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert (str(twin), twin.hint, twin.request_id, twin.status_code) == ("gone", "h", "r", status)
        assert type(twin.args[0]) is type(error.args[0])


def answer(status: int, **headers: str) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    response._content = b'{"error":["slow down"]}'
    response.url = BASE
    return response


def test_rate_limit() -> None:
    error = CartoRateLimitException(
        answer(
            429,
            Carto_Rate_Limit_Limit="6",
            Carto_Rate_Limit_Remaining="0",
            Carto_Rate_Limit_Reset="9",
            Retry_After="5",
        )
    )
    for each in (error, pickle.loads(pickle.dumps(error))):
        assert (each.limit, each.remaining, each.reset, each.retry_after) == (6, 0, 9, 5)
        assert each.args == ('{"error":["slow down"]}',)
        assert each.status_code == 429


@pytest.mark.parametrize("value", ["", "soon", "-3"])
def test_rate_limit_with_odd_headers(value: str) -> None:
    error = CartoRateLimitException(answer(429, Retry_After=value, Carto_Rate_Limit_Limit=value + "x"))
    assert (error.limit, error.remaining, error.reset, error.retry_after) == (None,) * 4


@pytest.mark.parametrize(
    ("status", "retry_after", "limited"),
    [(429, "5", True), (429, "0", True), (429, None, False), (429, "-1", False), (503, "5", False)],
)
def test_a_query_timeout_is_not_a_rate_limit(status: int, retry_after: str | None, limited: bool) -> None:
    headers = {} if retry_after is None else {"Retry_After": retry_after}
    assert CartoRateLimitException.is_rate_limited(answer(status, **headers)) is limited


def test_everything_is_a_carto_exception() -> None:
    for name in exceptions.__all__:
        kind = getattr(exceptions, name)
        if isinstance(kind, type):
            assert issubclass(kind, CartoException)
    assert {twin.__mro__[1] for twin in exceptions.TWINS.values()} >= {CartoException}
    assert CartoException("text").status_code is None
    assert str(CartoException(ValueError("why"))) == "why"
    assert PartialResultException(["why"]).args == (["why"],)
