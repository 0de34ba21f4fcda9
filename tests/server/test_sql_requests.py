"""How ``/sql`` is asked: methods, parameters, keys, formats, paging, JSONP, headers."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.support.api import Api, TestAccount, make_account
from tests.support.server import RunningServer

SQL = "api/v2/sql"


def error_of(response: requests.Response) -> tuple[int, list[str]]:
    return response.status_code, response.json()["error"]


def named(text: str) -> list[Any]:
    return [{"n": text}]


@pytest.fixture
def pub(api: Api) -> str:
    """A public dataset of six points, ids 1-5 and -1, with its time of change on record."""
    q = """CREATE TABLE pub (cartodb_id serial PRIMARY KEY, name text, the_geom geometry(Point, 4326),
                             the_geom_webmercator geometry(Point, 3857));
           INSERT INTO pub (cartodb_id, name, the_geom)
             SELECT i, 'n' || i, ST_SetSRID(ST_MakePoint(i, i), 4326) FROM unnest(ARRAY[1,2,3,4,5,-1]) i;
           SELECT CDB_CartodbfyTable('pub'); UPDATE pub SET name = name;
           GRANT SELECT ON pub TO publicuser"""
    assert api.sql(q).status_code == 200
    return "pub"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_missing_query_is_told(api: Api, method: str) -> None:
    assert error_of(api.request(method, SQL)) == (400, ["You must indicate a sql query"])


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"q": "SELECT 2 AS n"}},
        {"json": {"q": "SELECT 2 AS n"}},
        {"files": {"q": (None, "SELECT 2 AS n")}},
    ],
)
def test_bodies_may_be_forms_json_or_multipart(api: Api, body: dict[str, Any]) -> None:
    assert api.post(SQL, **body).json()["rows"] == [{"n": 2}]


@pytest.mark.parametrize("q", [["select 1", "select 2"], {"a": 1}, 1, None])
def test_a_query_that_is_no_text_counts_as_missing(api: Api, q: Any) -> None:
    assert error_of(api.post(SQL, json={"q": q})) == (400, ["You must indicate a sql query"])


def test_a_repeated_query_counts_as_missing(api: Api) -> None:
    assert error_of(api.get(SQL, params={"q": ["select 1", "select 2"]}))[0] == 400


def test_the_body_wins_over_the_query_string(api: Api) -> None:
    response = api.post(SQL, params={"q": "select 1 a"}, json={"q": "select 2 b"})
    assert response.json()["rows"] == [{"b": 2}]


def test_the_body_of_a_get_is_ignored(api: Api) -> None:
    assert api.get(SQL, params={"q": "select 1 a"}, data={"q": "select 2 a"}).json()["rows"] == [{"a": 1}]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_other_methods_run_the_query_too(api: Api, method: str) -> None:
    assert api.request(method, SQL, params={"q": "select 1 a"}).json()["rows"] == [{"a": 1}]


def test_head_runs_the_query_and_sends_no_body(api: Api) -> None:
    response = api.request("HEAD", SQL, params={"q": "CREATE TABLE made_by_head (a int)"})
    assert (response.status_code, response.content) == (200, b"")
    assert api.sql("SELECT * FROM made_by_head").status_code == 200


def test_bad_json_is_a_bad_request(api: Api) -> None:
    response = api.post(SQL, data='{"q": ', headers={"Content-Type": "application/json"})
    status, (message,) = error_of(response)
    assert (status, bool(message)) == (400, True)


def test_parameters_that_are_not_utf8_are_refused(api: Api) -> None:
    assert api.get(f"{SQL}?q=select%20%27%ff%27").status_code == 400
    assert api.sql("select 1").status_code == 200


def test_a_nul_character_is_refused(api: Api) -> None:
    assert error_of(api.post(SQL, json={"q": "select 'a\0b'"}))[0] == 400
    assert error_of(api.post(SQL, json={"q": "select 'a\0b'", "format": "csv"}))[0] == 400
    assert error_of(api.post(SQL, json={"q": "select 1", "order_by": "a\0"}))[0] == 400


def test_preflight_requests_run_nothing(api: Api) -> None:
    response = api.request("OPTIONS", SQL, params={"q": "bad sql"})
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Access-Control-Allow-Headers"] == "*"


@pytest.mark.parametrize("query", [{"q": "select 1"}, {"q": "bad sql"}, {}, {"q": "select 1", "format": "x"}])
def test_every_answer_names_host_and_account(api: Api, account: TestAccount, query: dict[str, str]) -> None:
    response = api.get(SQL, params={**query, "client": "me é\r\n"}, headers={"X-Request-Id": "abc-1"})
    headers = response.headers
    assert headers["Access-Control-Allow-Origin"] == headers["Access-Control-Expose-Headers"] == "*"
    assert headers["X-Served-By-Host"]
    assert headers["X-Served-By-DB-Host"] == "localhost"
    assert (headers["Carto-User"], headers["Carto-User-Id"]) == (account.name, str(account.account.id))
    assert headers["Carto-Client"] == "me %C3%A9%0D%0A"
    assert headers["Vary"] == "Authorization"
    assert headers["X-Request-Id"] == "abc-1"
    assert "ETag" not in headers


def test_public_tables_are_for_everybody_private_ones_are_not(api: Api, pub: str) -> None:
    api.sql("CREATE TABLE priv (a int)")
    assert api.anonymous.sql("SELECT * FROM pub").json()["total_rows"] == 6
    for key in (api.anonymous, api.with_key("default_public")):
        assert error_of(key.sql("SELECT * FROM priv")) == (403, ["permission denied for table priv"])
    assert api.anonymous.sql("INSERT INTO pub (name) VALUES ('x')").status_code == 403
    assert error_of(api.anonymous.sql("DROP TABLE pub")) == (400, ["must be owner of table pub"])


def test_other_accounts_cannot_see_a_table(api: Api, platform_server: RunningServer, pub: str) -> None:
    api.sql("CREATE TABLE priv (a int)")
    schema = api.sql("SELECT current_schema() AS s").json()["rows"][0]["s"]
    stranger = make_account(platform_server)
    other = Api(stranger.base_url, stranger.api_key)
    for table in ("priv", "pub"):
        assert other.sql(f'SELECT * FROM "{schema}".{table}').status_code == 403


def test_wrong_keys_are_unauthorized_wherever_they_are(api: Api, account: TestAccount) -> None:
    wrong = api.with_key("nonsense")
    name = account.name
    for response in (
        wrong.get(SQL, params={"q": "select 1"}),
        wrong.get(SQL),
        api.anonymous.post(SQL, json={"q": "select 1", "api_key": "nonsense"}),
        api.get(SQL, params={"q": "select 1"}, auth=(name, "nonsense")),
        wrong.get(SQL, params={"q": "select 1"}, auth=(name, account.api_key)),
        api.get(f"{SQL}?q=select%201&api_key=a"),
    ):
        assert error_of(response) == (401, ["Unauthorized"])


def test_basic_authentication_gives_the_role(api: Api, account: TestAccount) -> None:
    api.sql("CREATE TABLE priv (a int)")
    response = api.anonymous.get(
        SQL, params={"q": "SELECT * FROM priv"}, auth=(account.name, account.api_key)
    )
    assert response.status_code == 200
    response = api.anonymous.get(SQL, params={"q": "select 1"}, auth=("other", account.api_key))
    assert error_of(response) == (403, ["permission denied"])


def test_an_unknown_account_is_told(platform_server: RunningServer) -> None:
    response = requests.get(platform_server.base_url + "user/nobody/api/v2/sql?q=select%201", timeout=30)
    status, (message,) = error_of(response)
    assert (status, message.startswith("Sorry, we can't find CARTO user 'nobody'.")) == (404, True)


@pytest.mark.parametrize("path", ["api/v2/sql.csv", "api/v2/sqlx", "api/v2/sql/copyfrom"])
def test_other_addresses_do_not_exist(api: Api, path: str) -> None:
    assert api.get(path, params={"q": "select 1"}).status_code == 404


def test_unknown_formats_are_refused(api: Api) -> None:
    response = api.sql("select 1", format="unknown")
    assert error_of(response) == (400, ["Invalid format: unknown"])
    assert response.headers["Content-Disposition"] == "inline"
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("parameters", "disposition"),
    [
        ({}, "inline; filename=cartodb-query.json"),
        ({"format": "", "filename": ""}, "inline; filename=cartodb-query.json"),
        ({"filename": "x"}, "attachment; filename=x.json"),
        ({"format": "json"}, "attachment; filename=cartodb-query.json"),
        ({"format": "JSON", "filename": "/tmp/a.b.c"}, "attachment; filename=a.b.json"),
        ({"format": "csv", "filename": 'x;" ()[]y'}, "attachment; filename=x_______y.csv"),
        ({"filename": "x\r\nSet-Cookie: a=é"}, "attachment; filename=x__Set-Cookie:_a=_.json"),
    ],
)
def test_the_content_disposition_names_a_safe_file(
    api: Api, parameters: dict[str, str], disposition: str
) -> None:
    response = api.sql("SELECT 1 AS a", **parameters)
    assert response.status_code == 200
    given, _, date = response.headers["Content-Disposition"].partition("; modification-date=")
    assert given == disposition
    assert date.startswith('"')
    assert date.endswith(' GMT";')


def test_of_several_formats_the_last_counts(api: Api) -> None:
    q = "SELECT 1 AS a, NULL::geometry AS the_geom"
    response = api.get(SQL, params={"q": q, "format": ["csv", "geojson"]})
    assert response.json()["type"] == "FeatureCollection"


@pytest.mark.parametrize(
    ("skip", "left"),
    [("b", ["a", "c"]), (["a", "c"], ["b"]), ("x,b", ["a", "c"]), ("a,b,c", []), (" b", ["a", "b", "c"])],
)
def test_fields_can_be_skipped(api: Api, skip: Any, left: list[str]) -> None:
    answer = api.sql("SELECT 1 AS a, 2 AS b, 3 AS c", skipfields=skip).json()
    assert (list(answer["rows"][0]), list(answer["fields"])) == (left, left)


NINE = "SELECT * FROM (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9)) t(v)"


@pytest.mark.parametrize(
    ("page", "size", "expected"),
    [(2, 3, [7, 8, 9]), (0, 4, [1, 2, 3, 4]), (1, 4, [5, 6, 7, 8]), (9, 3, []), ("x", 3, list(range(1, 10)))],
)
def test_results_come_in_pages(api: Api, page: Any, size: int, expected: list[int]) -> None:
    parameters = {"q": NINE, "page": page, "rows_per_page": size}
    for client in (api, api.anonymous):
        for response in (client.get(SQL, params=parameters), client.post(SQL, json=parameters)):
            assert [row["v"] for row in response.json()["rows"]] == expected


def test_both_page_and_size_are_needed(api: Api) -> None:
    assert api.sql(NINE, page=1).json()["total_rows"] == 9
    assert api.sql(NINE, rows_per_page=1).json()["total_rows"] == 9


def test_negative_pages_are_postgresqls_to_refuse(api: Api) -> None:
    assert error_of(api.sql(NINE, page=-1, rows_per_page=3)) == (400, ["OFFSET must not be negative"])


@pytest.mark.parametrize(
    "q",
    [
        f"-- a comment\n{NINE} -- another",
        f"WITH w AS ({NINE}) SELECT * FROM w;",
        f"WITH w AS ({NINE}), x(v) AS MATERIALIZED (SELECT v FROM w) SELECT * FROM x",
    ],
)
def test_comments_and_with_lists_are_paged(api: Api, q: str) -> None:
    assert [row["v"] for row in api.sql(q, page=1, rows_per_page=2).json()["rows"]] == [3, 4]


def test_ordering_quotes_the_column(api: Api) -> None:
    q = 'SELECT v AS "a""b" FROM (VALUES (2),(3),(1)) t(v)'
    for order, expected in (("desc", [3, 2, 1]), ("ASC", [1, 2, 3]), ("", [1, 2, 3]), ("x", [1, 2, 3])):
        rows = api.sql(q, order_by='a"b', sort_order=order).json()["rows"]
        assert [row['a"b'] for row in rows] == expected
    assert error_of(api.sql(q, order_by='a"; DROP TABLE x')) == (
        400,
        ['column "a"; DROP TABLE x" does not exist'],
    )


def test_select_into_makes_its_table_whatever_the_page(api: Api) -> None:
    assert api.sql('SELECT 1 AS v INTO "a ""b"""', page=3, rows_per_page=2).status_code == 200
    assert api.sql('SELECT * FROM "a ""b"""').json()["rows"] == [{"v": 1}]
    q = "SELECT v, ' INTO \"c\"' AS t FROM generate_series(1, 5) v"
    assert api.sql(q, page=0, rows_per_page=2).json()["total_rows"] == 2


def test_data_changes_pass_unpaged(api: Api) -> None:
    api.sql("CREATE TABLE t (v int)")
    q = "WITH w AS (SELECT generate_series(1, 5) v) INSERT INTO t SELECT v FROM w RETURNING v"
    assert api.sql(q, page=0, rows_per_page=2).json()["total_rows"] == 5


def test_jsonp_calls_the_function(api: Api) -> None:
    response = api.get(SQL, params={"q": "SELECT 1 AS a", "callback": "f"})
    assert response.text.startswith('f({"rows":[{"a":1}]')
    assert response.text.endswith("})")
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"


def test_jsonp_tells_errors_with_status_200(api: Api) -> None:
    response = api.get(SQL, params={"q": "SELECT x FROM a and b", "callback": "f"})
    assert response.status_code == 200
    expected = '/**/ typeof f === \'function\' && f({"error":["syntax error at or near \\"and\\""]});'
    assert response.text == expected
    assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_callback_cannot_be_code(api: Api) -> None:
    response = api.get(SQL, params={"q": "SELECT 1 AS a", "callback": "alert(1);f"})
    assert response.status_code == 400
    assert "alert" not in response.text
    assert response.headers["Content-Type"].startswith("application/json")


def test_errors_have_postgresqls_message_detail_and_hint(api: Api) -> None:
    assert error_of(api.sql("SELECT x FROM a and b")) == (400, ['syntax error at or near "and"'])
    api.sql("CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1)")
    duplicate = api.sql("INSERT INTO u VALUES (1)")
    assert duplicate.status_code == 400
    assert duplicate.json()["detail"] == "Key (id)=(1) already exists."
    assert "hint" in api.sql("SELECT no_such_function(1)").json()
    raised = api.sql("DO $$BEGIN RAISE 'm' USING DETAIL = 'd', HINT = 'h'; END$$").json()
    assert raised == {"error": ["m"], "detail": "d", "hint": "h"}


def test_a_megabyte_of_sql_is_fine(api: Api) -> None:
    text = "x" * 1_000_000
    assert api.sql(f"SELECT length('{text}') AS n").json()["rows"] == [{"n": 1_000_000}]
    assert (
        api.post(SQL, files={"q": (None, f"SELECT length('{text}') AS n")}).json()["rows"][0]["n"]
        == 1_000_000
    )
