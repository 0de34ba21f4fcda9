"""Paginators: where the next page is, and when there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from carto_like.core import _pyrestcli
from carto_like.core.paging import (
    CursorPaginator,
    NextUrlPaginator,
    PageNumberPaginator,
    PageRequest,
    Paginator,
    SinglePage,
)

ROOT = "https://api.example/"
Server = Callable[[str, dict[str, Any]], Any]


def run(paginator: Paginator, answer: Server, limit: int = 20) -> tuple[list[PageRequest], list[Any]]:
    """The requests of one run against a server that is a function, and the items that came."""
    asked: list[PageRequest] = []
    items: list[Any] = []
    for url, params in paginator.get_urls("things/"):
        asked.append((url, params))
        body = answer(url, params)
        items += paginator.accept(body, body["rows"])
        assert len(asked) < limit, "pages without end"
    return asked, items


def counted(total: int | None, size: int = 2, shown: int = 5) -> Server:
    """A server with numbered pages of rows, which tells a total that may be wrong."""

    def answer(_: str, params: dict[str, Any]) -> Any:
        start = (int(params["page"]) - 1) * size
        rows = list(range(shown))[start : start + size]
        return {"rows": rows} if total is None else {"rows": rows, "total": total}

    return answer


def test_they_are_pyrestclis() -> None:
    assert issubclass(SinglePage, _pyrestcli.Paginator)


def test_a_single_page_is_asked_with_the_callers_parameters() -> None:
    asked, items = run(SinglePage(ROOT, {"q": "x"}), lambda *_: {"rows": [1], "next": "more"})
    assert (asked, items) == ([("things/", {"q": "x"})], [1])


@pytest.mark.parametrize(("total", "pages"), [(5, 3), (4, 2), (0, 1), (100, 4), (None, 4)])
def test_pages_are_counted_until_the_total(total: int | None, pages: int) -> None:
    asked, items = run(PageNumberPaginator(ROOT, {"q": "x"}), counted(total))
    assert [params for _, params in asked] == [{"q": "x", "page": n} for n in range(1, pages + 1)]
    assert items == list(range(5))[: pages * 2]


def test_a_short_page_is_no_end() -> None:
    pages = {1: [1, 2], 2: [3], 3: [5, 6]}
    asked, items = run(
        PageNumberPaginator(ROOT), lambda _, params: {"rows": pages.get(params["page"], []), "total": 6}
    )
    assert (len(asked), items) == (4, [1, 2, 3, 5, 6])


def test_a_server_that_ignores_the_page_is_asked_twice_and_its_rows_come_once() -> None:
    asked, items = run(PageNumberPaginator(ROOT), lambda *_: {"rows": [1, 2]})
    assert (len(asked), items) == (2, [1, 2])


@pytest.mark.parametrize("page", [2, "2"])
def test_a_page_that_is_named_is_the_only_one(page: int | str) -> None:
    asked, items = run(PageNumberPaginator(ROOT, {"page": page, "per_page": 2}), counted(5))
    assert (asked, items) == ([("things/", {"page": page, "per_page": 2})], [2, 3])


def test_parameters_of_the_caller_are_not_altered() -> None:
    params = {"page": 2}
    run(PageNumberPaginator(ROOT, params), counted(5))
    assert params == {"page": 2}


def test_an_answer_that_is_a_list_has_no_total() -> None:
    paginator = PageNumberPaginator(ROOT)
    pages = paginator.get_urls("things/")
    next(pages)
    assert paginator.accept([1], [1]) == [1]
    assert next(pages) == ("things/", {"page": 2})
    assert paginator.accept([], []) == []
    assert list(pages) == []


def linked(**links: Any) -> Server:
    """A server whose pages are found by address."""
    return lambda url, _: links[url.rsplit("/", 1)[-1] or "first"]


def test_the_next_address_is_followed_as_it_is() -> None:
    server = linked(
        first={"rows": [1], "next": ROOT + "things/b"},
        b={"rows": [2], "next": "c"},
        c={"rows": [3], "next": None},
    )
    asked, items = run(NextUrlPaginator(ROOT, {"q": "x"}), server)
    assert asked == [("things/", {"q": "x"}), (ROOT + "things/b", {}), (ROOT + "things/c", {})]
    assert items == [1, 2, 3]


@pytest.mark.parametrize("following", [None, "", 7, ROOT + "things/"])
def test_no_address_or_one_that_was_asked_ends_the_run(following: Any) -> None:
    asked, items = run(NextUrlPaginator(ROOT), linked(first={"rows": [1], "next": following}))
    assert len(asked) <= 2
    assert items == [1]


def test_addresses_in_a_circle_end_the_run() -> None:
    server = linked(
        first={"rows": [1], "next": ROOT + "a"},
        a={"rows": [2], "next": ROOT + "b"},
        b={"rows": [3], "next": ROOT + "a"},
    )
    assert run(NextUrlPaginator(ROOT), server)[1] == [1, 2, 3]


def test_an_empty_page_ends_the_run_unless_the_platform_skips_it() -> None:
    class Skipping(NextUrlPaginator):
        skip_empty = True

    server = linked(
        first={"rows": [1], "next": ROOT + "a"},
        a={"rows": [], "next": ROOT + "b"},
        b={"rows": [3], "next": None},
    )
    assert run(NextUrlPaginator(ROOT), server)[1] == [1]
    assert run(Skipping(ROOT), server)[1] == [1, 3]


@pytest.mark.parametrize("last", [None, "", -1, "-1"])
def test_a_cursor_is_sent_back(last: Any) -> None:
    marks: dict[Any, Any] = {"0": {"rows": [1], "cursor": "5"}, "5": {"rows": [2], "cursor": last}}
    asked, items = run(
        CursorPaginator(ROOT, {"cursor": "0", "q": "x"}), lambda _, params: marks[params["cursor"]]
    )
    assert [params for _, params in asked] == [{"cursor": "0", "q": "x"}, {"cursor": "5", "q": "x"}]
    assert items == [1, 2]


def test_a_cursor_that_stands_still_ends_the_run() -> None:
    asked, items = run(CursorPaginator(ROOT), lambda *_: {"rows": [1], "cursor": "same"})
    assert (len(asked), items) == (2, [1])


def test_a_page_that_was_not_taken_over_ends_the_run() -> None:
    assert len(list(PageNumberPaginator(ROOT).get_urls("things/"))) == 1
