"""What a map shows after its tables were changed, in whatever order that became true."""

from __future__ import annotations

from tests.support.api import Api, TestAccount
from tests.support.datasets import Owner, owner_of
from tests.support.maps import config, make, read_tile, tile, token_of, vector_layer
from tests.support.server import RunningServer

MAP_OF_TWO = config(vector_layer("select * from early"), vector_layer("select * from late"))


def seen(api: Api, token: str) -> dict[str, int]:
    """The number that each layer shows."""
    layers = read_tile(tile(api, token, "0/0/0.mvt").content)
    return {name: layer.features[0]["n"] for name, layer in layers.items()}


def test_a_long_transaction_shows_when_it_ends_after_a_later_one(
    platform_server: RunningServer, account: TestAccount, api: Api, owner: Owner
) -> None:
    for name in ("early", "late"):
        owner.dataset(name, 1)
    with owner_of(platform_server.settings, account) as other:
        with owner.connection.transaction():
            owner.execute("UPDATE early SET n = 11")
            other.execute("UPDATE late SET n = 12")
            before = make(api, MAP_OF_TWO)
            assert seen(api, token_of(before)) == {"layer0": 1, "layer1": 12}
        after = make(api, MAP_OF_TWO)
    assert seen(api, token_of(after)) == {"layer0": 11, "layer1": 12}
    # The newest change of all is still the other one.
    assert before.json()["last_updated"] == after.json()["last_updated"]
    first, second = (tile(api, token_of(made), "0/0/0.mvt").headers for made in (before, after))
    assert first["Last-Modified"] == second["Last-Modified"]
    assert first["Carto-Cache-Buster"] != second["Carto-Cache-Buster"]
    # What was promised to be good for a year is.
    assert seen(api, token_of(before)) == {"layer0": 1, "layer1": 12}


def test_the_number_of_a_map_of_one_table_is_its_time(api: Api, owner: Owner) -> None:
    owner.dataset("early", 1)
    made = make(api, config(vector_layer("select * from early")))
    (when,) = owner.execute(
        "SELECT round(extract(epoch FROM updated_at) * 1000)::bigint FROM CDB_TableMetadata"
    )
    assert token_of(made).endswith(f":{when[0]}")
    again = make(api, config(vector_layer("select * from early")))
    assert token_of(again) == token_of(made)


def test_a_number_that_somebody_invents_is_no_place_for_later(api: Api, owner: Owner) -> None:
    for name in ("early", "late"):
        owner.dataset(name, 1)
    map_id = token_of(make(api, MAP_OF_TWO)).partition(":")[0]
    for invented in (f"{10**13}", f"{10**25}", "9" * 32):
        assert seen(api, f"{map_id}:{invented}") == {"layer0": 1, "layer1": 1}
        owner.execute("UPDATE late SET n = 5")
        assert seen(api, f"{map_id}:{invented}") == {"layer0": 1, "layer1": 5}
        owner.execute("UPDATE late SET n = 1")
