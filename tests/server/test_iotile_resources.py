"""Organizations, projects, devices and what they measure: read, filtered, changed, and by whom."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.support.api import TestAccount, make_account
from tests.support.iotile import IOTileApi
from tests.support.raw import eventually
from tests.support.reports import binary_report
from tests.support.server import RunningServer

Json = dict[str, Any]


@pytest.fixture(scope="module")
def ana(platform_server: RunningServer) -> TestAccount:
    return make_account(platform_server, email=f"ana-{uuid4().hex[:8]}@example.org")


@pytest.fixture(scope="module")
def me(platform_server: RunningServer, ana: TestAccount) -> IOTileApi:
    return IOTileApi(platform_server).login(ana)


@pytest.fixture(scope="module")
def stranger(platform_server: RunningServer) -> IOTileApi:
    """Somebody who is in no organization."""
    return IOTileApi(platform_server).login(make_account(platform_server))


@dataclass(frozen=True)
class Farm:
    """An organization with a project, three devices, a variable and two streams."""

    org: Json
    project: Json
    devices: list[Json]
    variable: Json
    streams: list[Json]


def made(answer: Any) -> Json:
    assert answer.status_code == 201, answer.text
    body: Json = answer.json()
    return body


def slugs_of(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["slug"] for item in answer.json()["results"]]


@pytest.fixture(scope="module")
def farm(me: IOTileApi) -> Farm:
    org = made(me.post("org/", json={"name": f"Farm {uuid4().hex[:8]}"}))
    project = made(me.post("project/", json={"name": "Pumps", "org": org["slug"]}))
    devices = [
        made(me.post("device/", json={"project": project["id"], "label": f"Pump {number}", "lat": 41.15}))
        for number in range(3)
    ]
    variable = made(
        me.post(
            "variable/",
            json={"name": "Flow", "project": project["slug"], "lid": 0x5001, "multiplication_factor": 2},
        )
    )
    streams = [
        made(me.post("stream/", json={"device": device["slug"], "variable": variable["slug"]}))
        for device in devices[:2]
    ]
    return Farm(org, project, devices, variable, streams)


# Organizations


def test_org_from_beginning_to_end(me: IOTileApi, ana: TestAccount) -> None:
    name = f"My new Org {uuid4().hex[:8]}"
    org = made(me.post("org/", json={"name": name, "about": "Fields"}))
    slug = name.lower().replace(" ", "-")
    assert {key: org[key] for key in ("name", "slug", "about", "ot", "created_by", "avatar")} == {
        "name": name,
        "slug": slug,
        "about": "Fields",
        "ot": None,
        "created_by": ana.name,
        "avatar": {"tiny": None, "thumbnail": None},
    }
    again = me.post("org/", json={"name": name})
    assert (again.status_code, list(again.json())) == (400, ["name"])
    same_slug = me.post("org/", json={"name": f"{name}!"})
    assert (same_slug.status_code, list(same_slug.json())) == (400, ["name"])
    assert me.put(f"org/{slug}/", json={"about": "Woods"}).json()["about"] == "Woods", "a partial PUT"
    renamed = me.patch(f"org/{slug}/", json={"name": f"{name} 2"}).json()
    assert renamed["slug"] == f"{slug}-2"
    assert me.get(f"org/{slug}/").status_code == 404
    assert me.get(f"org/{slug}-2").json() == renamed
    assert me.delete(f"org/{slug}-2/").status_code == 204
    assert me.get(f"org/{slug}-2/").json() == {"detail": "Not found."}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "  "}, "name"),
        ({"name": None}, "name"),
        ({"name": "§§"}, "name"),
        ({"name": "x" * 51}, "name"),
        ({"name": ["x"]}, "name"),
        ({"name": "x", "about": {}}, "about"),
        ({"name": "x", "domain_names": "x"}, "domain_names"),
    ],
)
def test_org_that_cannot_be(me: IOTileApi, body: Json, field: str) -> None:
    answer = me.post("org/", json=body)
    assert answer.status_code == 400
    assert list(answer.json()) == [field]
    assert all(isinstance(text, str) for text in answer.json()[field])


def test_org_with_projects_is_not_deleted(me: IOTileApi, farm: Farm) -> None:
    answer = me.delete(f"org/{farm.org['slug']}/")
    assert (answer.status_code, list(answer.json())) == (403, ["error"])
    assert me.get(f"org/{farm.org['slug']}/").status_code == 200


def test_what_hangs_on_an_org(me: IOTileApi, farm: Farm, ana: TestAccount) -> None:
    slug = farm.org["slug"]
    assert slugs_of(me.get(f"org/{slug}/projects/")) == [farm.project["slug"]]
    assert slugs_of(me.get(f"org/{slug}/devices/")) == [device["slug"] for device in farm.devices]
    assert slugs_of(me.get(f"org/{slug}/archives/")) == []
    counts = me.get(f"org/{slug}/extra/").json()
    assert (counts["projects"], counts["devices"], counts["members"]) == (1, 3, 1)
    own = me.get(f"org/{slug}/membership/").json()
    assert (own["user"], own["is_org_admin"], own["role"]) == (ana.name, True, "a1")


def test_members(me: IOTileApi, platform_server: RunningServer) -> None:
    org = made(me.post("org/", json={"name": f"Club {uuid4().hex[:8]}"}))
    root = f"org/{org['slug']}/"
    bob_account = make_account(platform_server, email=f"bob-{uuid4().hex[:8]}@example.org")
    bob = IOTileApi(platform_server).login(bob_account)
    assert bob.get(root).status_code == 404
    email = bob.get("account/").json()["results"][0]["email"]
    assert made(me.post(f"{root}invite/", json={"email": email}))["user"] == bob_account.name
    assert bob.get(root).status_code == 200
    for refused in (
        bob.patch(root, json={"about": "mine"}),
        bob.delete(root),
        bob.post("project/", json={"name": "x", "org": org["slug"]}),
        bob.post(f"{root}members/", json={"user": bob_account.name}),
        bob.patch(f"{root}members/{bob_account.name}/", json={"is_org_admin": True}),
    ):
        assert refused.status_code == 403, refused.text
    assert len(bob.get(f"{root}members/").json()["results"]) == 2
    promoted = me.patch(f"{root}members/{bob_account.name}/", json={"is_org_admin": True})
    assert promoted.json()["is_org_admin"] is True
    invited = made(me.post(f"{root}invite/", json={"email": email}))
    assert (invited["is_org_admin"], invited["role"]) == (True, "a1"), "he stays what he is"
    assert bob.patch(root, json={"about": "ours"}).status_code == 200
    assert bob.delete(root).status_code == 403, "only who made it may delete it"
    for role, is_admin in (("m1", False), ("a1", True)):
        changed = me.patch(f"{root}members/{bob_account.name}/", json={"role": role}).json()
        assert (changed["is_org_admin"], changed["role"]) == (is_admin, role)
        assert me.get(f"{root}members/{bob_account.name}/").json() == changed
    assert me.patch(f"{root}members/{bob_account.name}/", json={"is_active": False}).status_code == 200
    assert bob.get(root).status_code == 404
    readmitted = made(me.post(f"{root}members/", json={"user": bob_account.name}))
    assert (readmitted["is_active"], readmitted["is_org_admin"]) == (True, False)
    assert me.delete(f"{root}members/{bob_account.name}/").status_code == 204
    my_name = me.get("account/").json()["results"][0]["slug"]
    alone = me.delete(f"{root}members/{my_name}/")
    assert (alone.status_code, list(alone.json())) == (403, ["error"])
    demoted = me.patch(f"{root}members/{my_name}/", json={"is_org_admin": False})
    assert demoted.status_code == 400
    again = me.post(f"{root}members/", json={"user": my_name, "is_org_admin": False})
    assert (again.status_code, list(again.json())) == (400, ["is_org_admin"])
    assert me.get(f"{root}membership/").json()["is_org_admin"] is True, "nothing half-written"
    assert me.post(f"{root}members/", json={"user": "nobody-at-all"}).status_code == 400


def test_org_goes_with_its_last_member(
    platform_server: RunningServer, admin: psycopg.Connection[Any]
) -> None:
    account = make_account(platform_server)
    api = IOTileApi(platform_server).login(account)
    org = made(api.post("org/", json={"name": f"Gone {uuid4().hex[:8]}"}))
    project = made(api.post("project/", json={"name": "x", "org": org["slug"]}))
    told = {"project": project["id"], "label": "Vault", "external_id": "A-1", "lat": 1}
    device = made(api.post("device/", json=told))
    made(api.post("property/", json={"target": device["slug"], "name": "secret", "value": 1}))
    key = int(project["gid"].replace("-", ""), 16) << 16 | 0x5001
    admin.execute(
        "INSERT INTO carto_like.iotile_stream_data (device, variable, timestamp) VALUES (1, %s, now())",
        (key,),
    )
    platform_server.on_server(platform_server.app.platform.users.delete(account.account))
    left = admin.execute(
        "SELECT (SELECT count(*) FROM carto_like.iotile_org WHERE slug = %s), "
        "(SELECT count(*) FROM carto_like.iotile_stream_data WHERE variable = %s)",
        (org["slug"], key),
    ).fetchone()
    assert left == (0, 0)
    # The device stays, and whoever claims it learns nothing of those who had it.
    eva = IOTileApi(platform_server).login(make_account(platform_server))
    org = made(eva.post("org/", json={"name": f"Next {uuid4().hex[:8]}"}))
    project = made(eva.post("project/", json={"name": "Next", "org": org["slug"]}))
    claimed = eva.post(f"device/{device['slug']}/claim/", json={"project": project["id"]}).json()
    assert (claimed["label"], claimed["external_id"], claimed["lat"]) == ("", "", None)
    assert eva.get("property/", params={"target": device["slug"]}).json()["count"] == 0


def test_an_org_keeps_an_administrator_when_accounts_go(platform_server: RunningServer) -> None:
    accounts = [make_account(platform_server) for _ in range(3)]
    first, second, third = (IOTileApi(platform_server).login(account) for account in accounts)
    root = f"org/{made(first.post('org/', json={'name': f'Heirs {uuid4().hex[:8]}'}))['slug']}/"
    for account in accounts[1:]:
        made(first.post(f"{root}members/", json={"user": account.name}))
    platform_server.on_server(platform_server.app.platform.users.delete(accounts[0].account))
    rights = [api.get(f"{root}membership/").json() for api in (second, third)]
    assert [(right["is_org_admin"], right["role"]) for right in rights] == [(True, "a1"), (False, "m1")]
    assert second.patch(root, json={"about": "ours"}).status_code == 200


# What others have is not there


def test_strangers_see_nothing(me: IOTileApi, stranger: IOTileApi, farm: Farm) -> None:
    paths = [
        f"org/{farm.org['slug']}/",
        f"org/{farm.org['slug']}/projects/",
        f"project/{farm.project['id']}/",
        f"device/{farm.devices[0]['slug']}/",
        f"device/{farm.devices[0]['slug']}/extra/",
        f"variable/{farm.variable['slug']}/",
        f"stream/{farm.streams[0]['slug']}/",
    ]
    for path in paths:
        assert me.get(path).status_code == 200, path
        assert stranger.get(path).status_code == 404, path
        assert IOTileApi(me.server).get(path).status_code == 401, path
    for path in ("org/", "project/", "device/", "variable/", "stream/", "streamer/", "fleet/"):
        assert stranger.get(path, params={"all": 1}).json()["results"] == [], path
    for path in paths[2:4] + paths[5:]:
        assert stranger.patch(path, json={"label": "x", "name": "x"}).status_code == 404, path
    property_of_others = {"target": farm.devices[0]["slug"], "name": "x", "value": 1}
    assert stranger.post("property/", json=property_of_others).status_code == 400
    stream_of_others = {"device": farm.devices[0]["slug"], "variable": farm.variable["slug"]}
    assert stranger.post("stream/", json=stream_of_others).status_code == 400
    taken = {"name": "x", "org": farm.org["slug"]}
    assert stranger.post("project/", json=taken).json() == {"org": ["There is no such organization."]}


# Projects and devices


def test_project(me: IOTileApi, farm: Farm) -> None:
    project = farm.project
    assert project["slug"] == f"p--{project['gid']}"
    assert project["org"] == farm.org["slug"]
    by_slug = me.get(f"project/{project['slug']}/")
    assert (by_slug.status_code, by_slug.json()) == (400, ["a project is addressed by its UUID"])
    assert me.get(f"project/{uuid4()}/").status_code == 404
    for params in (
        {"org__slug": farm.org["slug"]},
        {"org": farm.org["id"]},
        {"org": farm.org["slug"]},
        {"slug": project["slug"]},
        {"slug": project["gid"]},
        {"name": "Pumps", "org": farm.org["slug"]},
    ):
        assert slugs_of(me.get("project/", params=params)) == [project["slug"]], params
    assert slugs_of(me.get("project/", params={"slug": "p--x"})) == []
    made(me.post("property/", json={"target": project["slug"], "name": "crop", "value": "wheat"}))
    assert slugs_of(me.get("project/", params={"property": "crop"})) == [project["slug"]]
    assert me.patch(f"project/{project['id']}/", json={"about": "Wet"}).json()["about"] == "Wet"
    refused = me.delete(f"project/{project['id']}/")
    assert (refused.status_code, list(refused.json())) == (403, ["error"])
    new = made(me.post("project/new/", json={"name": "Empty", "org": farm.org["slug"]}))
    assert me.get(f"project/{new['id']}/extra/").json()["devices"] == 0
    assert me.delete(f"project/{new['id']}/").status_code == 204


def test_device(me: IOTileApi, farm: Farm) -> None:
    device = farm.devices[0]
    short = device["slug"].replace("0000-0000-0000-", "").replace("0000-0000-", "")
    assert me.get(f"device/{short}/").json()["slug"] == device["slug"]
    for wrong in ("d--1", "d--0x12", device["gid"], "x", "d--ffff", "d--0001-0000-0000-0001"):
        answer = me.get(f"device/{wrong}/")
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."}), wrong
    changed = me.patch(f"device/{device['slug']}/", json={"sg": "pump-v1", "lon": "-8.61"}).json()
    assert (changed["sg"], changed["lon"], changed["lat"]) == ("pump-v1", -8.61, 41.15)
    assert slugs_of(me.get("device/", params={"sg": "pump-v1"})) == [device["slug"]]
    bad = me.patch(f"device/{device['slug']}/", json={"lat": 91, "active": 7})
    assert (bad.status_code, sorted(bad.json())) == (400, ["active", "lat"])


def test_device_filters(me: IOTileApi, farm: Farm) -> None:
    mine = [device["slug"] for device in farm.devices]
    last = f"device/{mine[2]}/"
    assert me.patch(last, json={"active": False, "external_id": "E-1"}).status_code == 200
    for params, expected in (
        ({"project": farm.project["id"]}, mine[:2]),
        ({"project": farm.project["slug"]}, mine[:2]),
        ({"project": farm.project["slug"], "all": "1"}, mine),
        ({"project": "nonsense"}, []),
        ({"org__slug": farm.org["slug"], "claimed": "1"}, mine[:2]),
        ({"org__slug": farm.org["slug"], "claimed": "0"}, []),
        ({"external_id": "E-1", "all": "1", "org__slug": farm.org["slug"]}, mine[2:]),
    ):
        assert slugs_of(me.get("device/", params=params)) == expected, params
    assert me.get("device/", params={"claimed": "perhaps"}).status_code == 400


def test_claiming(me: IOTileApi, stranger: IOTileApi, farm: Farm) -> None:
    device = made(me.post("device/", json={"project": farm.project["id"], "id": 2**40 + 7}))
    path = f"device/{device['slug']}/"
    again = me.post("device/", json={"project": farm.project["id"], "id": 2**40 + 7})
    assert (again.status_code, list(again.json())) == (400, ["id"])
    assert stranger.get(f"{path}claimable/").json() == {"claimable": False}
    assert me.post(f"{path}claim/", json={"project": farm.project["id"]}).status_code == 400
    assert stranger.post(f"{path}claim/", json={"project": farm.project["id"]}).status_code == 404
    assert me.post(f"{path}unclaim/").status_code == 204
    assert me.get(path).status_code == 404
    assert stranger.get(f"{path}claimable/").json() == {"claimable": True}
    assert stranger.post(f"{path}claim/", json={"project": farm.project["id"]}).status_code == 400
    claimed = me.post(f"{path}claim/", json={"project": farm.project["slug"]})
    assert claimed.json()["project"] == farm.project["id"]
    assert me.post(f"{path}unclaim/").status_code == 204


def test_a_device_changes_hands(me: IOTileApi, farm: Farm, platform_server: RunningServer) -> None:
    """Who claims it next learns nothing of what it did before."""
    eva = IOTileApi(platform_server).login(make_account(platform_server))
    org = made(eva.post("org/", json={"name": f"Next {uuid4().hex[:8]}"}))
    project = made(eva.post("project/", json={"name": "Next", "org": org["slug"]}))
    before = made(me.post("project/", json={"name": "Before", "org": farm.org["slug"]}))
    device = made(me.post("device/", json={"project": before["id"], "label": "Ours", "lat": 1}))
    path = f"device/{device['slug']}/"
    made(me.post("property/", json={"target": device["slug"], "name": "secret", "value": 1}))
    fleet = made(me.post("fleet/", json={"name": "Old", "org": farm.org["slug"]}))
    made(me.post(f"fleet/{fleet['slug']}/devices/", json={"device": device["slug"]}))
    report = binary_report(device["id"], [(0x5001, number, number, number) for number in (1, 2)], index=0)
    sent = me.post(
        "streamer/report/", params={"timestamp": "2024-05-01T10:00:00Z"}, files={"file": ("r.bin", report)}
    )
    assert made(sent) == {"count": 2}
    assert me.post(f"{path}unclaim/").status_code == 204
    claimed = eva.post(f"{path}claim/", json={"project": project["id"]}).json()
    assert (claimed["label"], claimed["lat"], claimed["org"]) == ("", None, org["slug"])
    assert eva.get("property/", params={"target": device["slug"]}).json()["results"] == []
    assert eva.get(f"{path}extra/").json()["stream_counts"] == {}
    stream = f"s--{before['gid']}--{device['gid']}--5001"
    for list_of in ("data/", "event/"):
        for filtered in (device["slug"], stream, f"v--{before['gid']}--5001"):
            assert eva.get(list_of, params={"filter": filtered}).json()["count"] == 0, (list_of, filtered)
    assert eva.get("stream/", params={"device": device["slug"], "all": 1}).json()["count"] == 0
    streamer = f"t--{device['gid']}--0000"
    assert eva.get("streamer/report/", params={"streamer": streamer}).json()["count"] == 0
    (own,) = me.get("streamer/report/", params={"streamer": streamer}).json()["results"]
    for address in (f"streamer/report/{own['id']}/", f"streamer/report/{own['id']}/file/"):
        assert me.get(address).status_code == 200
        assert eva.get(address).status_code == 404
    assert me.get(f"fleet/{fleet['slug']}/devices/").json()["count"] == 0
    assert me.get("data/", params={"filter": stream}).json()["count"] == 2, "what it recorded stays"


def test_stream_counts(me: IOTileApi, farm: Farm, admin: psycopg.Connection[Any]) -> None:
    device = farm.devices[0]
    project = int(farm.project["gid"].replace("-", ""), 16)
    number = device["id"]
    rows = [(number, project << 16 | 0x5001)] * 3 + [(number, project << 16 | 0x5002)] * 2
    rows += [(number, 0xFFFFFFFF << 16 | 1)]
    with admin.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO carto_like.iotile_stream_data (device, variable, timestamp) VALUES (%s, %s, now())",
            rows,
        )
    counts = me.get(f"device/{device['slug']}/extra/").json()["stream_counts"]
    unrecorded = farm.streams[0]["slug"].replace("--5001", "--5002")
    assert counts == {
        farm.streams[0]["slug"]: {"data_cnt": 3, "event_cnt": 0, "has_streamid": True},
        unrecorded: {"data_cnt": 2, "event_cnt": 0, "has_streamid": False},
    }


# What is measured


def test_variable(me: IOTileApi, farm: Farm) -> None:
    variable = farm.variable
    assert variable["slug"] == f"v--{farm.project['gid']}--5001"
    assert (variable["lid"], variable["project"]) == (0x5001, farm.project["id"])
    short = variable["slug"].replace("v--0000-", "v--")
    assert me.get(f"variable/{short}/").json() == variable
    assert slugs_of(me.get("variable/", params={"project": farm.project["slug"]})) == [variable["slug"]]
    again = me.post("variable/", json={"name": "x", "project": farm.project["id"], "lid": 0x5001})
    assert (again.status_code, list(again.json())) == (400, ["lid"])
    no_type = me.patch(f"variable/{variable['slug']}/", json={"var_type": "nothing"})
    assert (no_type.status_code, list(no_type.json())) == (400, ["var_type"])
    zero = me.patch(f"variable/{variable['slug']}/", json={"division_factor": 0})
    assert (zero.status_code, list(zero.json())) == (400, ["division_factor"])
    assert me.get(f"variable/{variable['slug']}/type/").status_code == 404
    other = made(me.post("variable/", json={"name": "x", "project": farm.project["id"], "lid": 7}))
    assert me.delete(f"variable/{other['slug']}/").status_code == 204
    assert me.get(f"variable/{other['slug']}/").status_code == 404


def test_units(me: IOTileApi, farm: Farm, admin: psycopg.Connection[Any]) -> None:
    name = f"volume-{uuid4().hex[:6]}"
    admin.execute(
        "INSERT INTO carto_like.iotile_vartype (slug, name) VALUES (%s, 'Volume')",
        (name,),
    )
    for unit, kind, m, d in (("gallons", "input", 378541, 100000), ("acre-feet", "output", 100, 123348185)):
        admin.execute(
            "INSERT INTO carto_like.iotile_vartype_unit (slug, vartype, kind, unit_full, unit_short, m, d) "
            "VALUES (%s, %s, %s, %s, 'u', %s, %s)",
            (f"{name}--{unit}", name, kind, unit, m, d),
        )
    stream = farm.streams[1]["slug"]
    units = {"var_type": name, "input_unit": f"{name}--gallons", "output_unit": f"{name}--acre-feet"}
    changed = me.patch(f"stream/{stream}/", json=units).json()
    assert changed["input_unit"] == {
        "slug": f"{name}--gallons",
        "unit_full": "gallons",
        "unit_short": "u",
        "m": 378541,
        "d": 100000,
        "o": 0,
    }
    assert changed["output_unit"]["decimal_places"] == 2
    assert (changed["multiplication_factor"], changed["var_name"]) == (2, "Flow"), "the variable's"
    vartype = me.get(f"vartype/{name}/").json()
    assert [unit["slug"] for unit in vartype["output_units"]] == [f"{name}--acre-feet"]
    assert name in slugs_of(me.get("vartype/"))


def test_streams(me: IOTileApi, farm: Farm) -> None:
    mine = [stream["slug"] for stream in farm.streams]
    first = farm.streams[0]
    assert first["slug"] == f"s--{farm.project['gid']}--{farm.devices[0]['gid']}--5001"
    assert (first["project"], first["project_id"]) == (farm.project["slug"], farm.project["id"])
    assert (first["device"], first["block"]) == (farm.devices[0]["slug"], None)
    short = "s--" + "--".join(group.removeprefix("0000-0000-") for group in first["slug"].split("--")[1:])
    assert me.get(f"stream/{short}/").json()["slug"] == first["slug"]
    virtual = made(me.post("stream/", json={"device": "d--0000", "variable": farm.variable["slug"]}))
    assert virtual["device"] is None
    for params, expected in (
        ({"project": farm.project["slug"]}, mine),
        ({"project": farm.project["id"], "org__slug": farm.org["slug"]}, mine),
        ({"device": farm.devices[0]["slug"]}, mine[:1]),
        ({"device": "d--x"}, []),
        ({"variable": farm.variable["slug"], "project": farm.project["slug"]}, mine),
        ({"project": farm.project["slug"], "virtual": "1"}, [virtual["slug"]]),
        ({"project": farm.project["slug"], "archived": "1"}, []),
        ({"project": farm.project["slug"], "all": "1"}, [virtual["slug"], *mine]),
        ({"project": farm.project["slug"], "enabled": "0"}, []),
    ):
        assert slugs_of(me.get("stream/", params=params)) == expected, params
    again = me.post("stream/", json={"device": farm.devices[0]["slug"], "variable": farm.variable["slug"]})
    assert (again.status_code, list(again.json())) == (400, ["variable"])
    unknown = me.post("stream/", json={"device": "d--ffff-ffff-ffff", "variable": farm.variable["slug"]})
    assert (unknown.status_code, list(unknown.json())) == (400, ["device"])
    disabled = me.put(f"stream/{mine[1]}/", json={"enabled": False})
    assert disabled.json()["enabled"] is False
    assert slugs_of(me.get("stream/", params={"project": farm.project["slug"]})) == mine[:1]
    assert me.put(f"stream/{mine[1]}/", json={"enabled": True}).status_code == 200


# Fleets, properties, catalogues


def test_a_fleet_takes_devices_of_its_organization_only(me: IOTileApi, farm: Farm) -> None:
    """Else it would go on to show them to who has left theirs."""
    other = made(me.post("org/", json={"name": f"Other {uuid4().hex[:8]}"}))
    fleet = made(me.post("fleet/", json={"name": "Lent", "org": other["slug"]}))
    devices = f"fleet/{fleet['slug']}/devices/"
    refused = me.post(devices, json={"device": farm.devices[0]["slug"]})
    assert (refused.status_code, list(refused.json())) == (400, ["device"])
    assert "another organization" in refused.json()["device"][0]
    assert me.get(devices).json()["count"] == 0


def test_fleet(me: IOTileApi, farm: Farm) -> None:
    fleet = made(me.post("fleet/", json={"name": "All", "org": farm.org["slug"]}))
    root = f"fleet/{fleet['slug']}/"
    assert me.get(root).json() == fleet
    for device in farm.devices[:2]:
        made(me.post(f"{root}devices/", json={"device": device["slug"]}))
    made(me.post(f"{root}devices/", json={"device": farm.devices[0]["slug"], "is_access_point": True}))
    members = me.get(f"{root}devices/").json()["results"]
    assert [(member["device"], member["is_access_point"]) for member in members] == [
        (farm.devices[0]["slug"], True),
        (farm.devices[1]["slug"], False),
    ]
    assert slugs_of(me.get("fleet/", params={"device": farm.devices[1]["slug"]})) == [fleet["slug"]]
    assert slugs_of(me.get("fleet/", params={"device": farm.devices[2]["slug"]})) == []
    assert me.delete(f"{root}devices/", json={"device": farm.devices[1]["slug"]}).status_code == 204
    assert slugs_of(me.get("fleet/", params={"device": farm.devices[1]["slug"]})) == []
    assert me.patch(root, json={"is_network": True}).json()["is_network"] is True
    assert me.delete(root).status_code == 204


def test_properties(me: IOTileApi, farm: Farm) -> None:
    target = farm.devices[1]["slug"]
    short = target.replace("d--0000-0000-", "d--")
    facts = [
        made(me.post("property/", json={"target": short, **fact}))
        for fact in (
            {"name": "a", "value": 5},
            {"name": "b", "bool_value": True},
            {"name": "c", "str_value": "x", "is_system": True},
        )
    ]
    assert [(fact["type"], fact["value"]) for fact in facts] == [("int", 5), ("bool", True), ("str", "x")]
    assert me.get("property/", params={"target": target}).json()["results"] == facts
    assert me.get("property/").json()["results"] == []
    changed = me.patch(f"property/{facts[0]['id']}/", json={"value": 6, "name": "b"})
    assert (changed.status_code, list(changed.json())) == (400, ["name"])
    assert me.patch(f"property/{facts[0]['id']}/", json={"value": 6}).json()["value"] == 6
    for wrong in ({"name": "d"}, {"name": "d", "value": 1, "int_value": 1}, {"name": "d", "int_value": "x"}):
        assert me.post("property/", json={"target": target, **wrong}).status_code == 400
    assert me.delete(f"property/{facts[0]['id']}/").status_code == 204
    assert me.get(f"property/{facts[0]['id']}/").status_code == 404


def test_catalogues(me: IOTileApi, farm: Farm, admin: psycopg.Connection[Any]) -> None:
    name = f"pump-{uuid4().hex[:6]}"
    for kind in ("sg", "dt"):
        admin.execute(
            'INSERT INTO carto_like.iotile_catalog (kind, slug, data) VALUES (%s, %s, \'{"name": "Pump"}\')',
            (kind, name),
        )
        assert me.get(f"{kind}/{name}/").json()["name"] == "Pump"
        assert name in slugs_of(me.get(f"{kind}/"))
    device = f"device/{farm.devices[1]['slug']}/"
    assert me.get(f"{device}sg/").status_code == 404
    me.patch(device, json={"sg": name, "template": name})
    assert me.get(f"{device}sg/").json()["slug"] == name
    assert me.get(f"{device}template/").json()["slug"] == name


def test_streamers_and_blocks(me: IOTileApi, farm: Farm, admin: psycopg.Connection[Any]) -> None:
    device = farm.devices[1]
    admin.execute(
        "INSERT INTO carto_like.iotile_streamer (device, index, last_id, is_system) VALUES (%s, 1, 15, true)",
        (device["id"],),
    )
    (streamer,) = me.get("streamer/", params={"device": device["slug"]}).json()["results"]
    assert streamer["slug"] == f"t--{device['gid']}--0001"
    assert (streamer["last_id"], streamer["is_system"], streamer["device"]) == (15, True, device["slug"])
    assert me.get(f"streamer/{streamer['slug']}/").json() == streamer
    assert me.get(f"streamer/t--{device['gid']}--0002/").status_code == 404
    block = (0x8001 << 48 | device["id"]) - 2**64
    admin.execute(
        "INSERT INTO carto_like.iotile_datablock (id, org) VALUES (%s, %s)", (block, farm.org["id"])
    )
    slug = f"b--8001-{device['gid'][5:]}"
    found = me.get(f"datablock/{slug}/").json()
    assert (found["slug"], found["device"], found["block"]) == (slug, device["slug"], 0x8001)
    assert slugs_of(me.get("datablock/", params={"device": device["slug"]})) == [slug]
    archived = made(me.post("stream/", json={"device": slug, "variable": farm.variable["slug"]}))
    assert (archived["block"], archived["device"]) == (slug, f"d--{slug[3:]}")
    assert slugs_of(me.get("stream/", params={"block": slug})) == [archived["slug"]]
    assert me.get(f"datablock/{slug}/extra/").json()["stream_counts"][archived["slug"]]["has_streamid"]


# Accounts and lists


def test_account(me: IOTileApi, ana: TestAccount, stranger: IOTileApi) -> None:
    (account,) = me.get("account/").json()["results"]
    assert account["slug"] == ana.name
    assert me.get(f"account/{ana.name}/").json() == account
    assert stranger.get(f"account/{ana.name}/").status_code == 404
    changed = me.patch(f"account/{ana.name}/", json={"name": "Ana", "tagline": "Waters"}).json()
    assert (changed["name"], changed["tagline"]) == ("Ana", "Waters")


def test_pages(me: IOTileApi, farm: Farm) -> None:
    everything = slugs_of(me.get("device/", params={"all": 1}))
    pages, url = [], "device/?all=1&page_size=1"
    while url:
        body = me.get(url).json()
        assert body["count"] == len(everything)
        pages += [item["slug"] for item in body["results"]]
        url = body["next"]
    assert pages == everything
    second = me.get("device/", params={"all": 1, "page_size": 1, "page": 2}).json()
    assert [item["slug"] for item in second["results"]] == everything[1:2]
    assert "page=1" in second["previous"]
    assert "cursor" not in second["previous"]
    assert "page=3" in second["next"]
    assert "cursor=" in second["next"]
    last = me.get("device/", params={"all": 1, "page_size": 1, "page": "last"}).json()
    assert (last["next"], last["results"][0]["slug"]) == (None, everything[-1])
    cursor = second["next"].partition("cursor=")[2]
    for params in (
        {"page": len(everything) + 2},
        {"page": 0},
        {"page": -1},
        {"page": "x"},
        {"page": "9" * 30},
        {"cursor": "x"},
        {"cursor": cursor[:-2] + "AA"},
    ):
        answer = me.get("device/", params={"all": 1, "page_size": 1, **params})
        assert (answer.status_code, answer.json()) == (404, {"detail": "Invalid page."}), params
    assert me.get("stream/", params={"cursor": cursor}).status_code == 404, "a cursor of another list"
    for size in ("0", "x", "-1", "99999999"):
        assert slugs_of(me.get("device/", params={"all": 1, "page_size": size})) == everything


def test_items_that_come_meanwhile_do_not_shift_a_page(me: IOTileApi, farm: Farm) -> None:
    names = [f"{farm.org['slug']}-{letter}" for letter in "bcd"]
    for name in names:
        made(me.post("org/", json={"name": name}))
    first = me.get("org/", params={"page_size": 2}).json()
    made(me.post("org/", json={"name": "0 first of all " + uuid4().hex[:6]}))
    following = me.get(first["next"]).json()
    assert not {item["slug"] for item in first["results"]} & {item["slug"] for item in following["results"]}


def test_a_page_by_cursor_whose_items_were_deleted_is_empty(me: IOTileApi) -> None:
    org = made(me.post("org/", json={"name": f"Fading {uuid4().hex[:8]}"}))
    projects = [made(me.post("project/", json={"name": name, "org": org["slug"]})) for name in "abc"]
    first = me.get(f"org/{org['slug']}/projects/", params={"page_size": 2}).json()
    assert me.delete(f"project/{projects[2]['id']}/").status_code == 204
    following = me.get(first["next"])
    assert (following.status_code, following.json()["results"]) == (200, [])
    assert me.get(f"org/{org['slug']}/projects/", params={"page": 2}).status_code == 404


def test_staff_keeps_the_catalogues(me: IOTileApi, ana: TestAccount, farm: Farm) -> None:
    name = f"Volume {uuid4().hex[:6]}"
    slug = name.lower().replace(" ", "-")
    body = {
        "name": name,
        "storage_units_full": "Liters",
        "input_units": [{"unit_full": "Gallons", "unit_short": "g", "m": 378541, "d": 100000}],
        "output_units": [{"slug": f"{slug}-l", "unit_full": "Liters", "decimal_places": 1}],
    }
    server = me.server
    accounts = server.app.iotile.site.accounts
    assert me.post("vartype/", json=body).status_code == 403
    server.on_server(accounts.set_staff(ana.account.id, True))
    try:
        vartype = made(me.post("vartype/", json=body))
        assert [unit["slug"] for unit in vartype["input_units"]] == [f"in--{slug}--gallons"]
        units = {"input_unit": f"in--{slug}--gallons", "output_unit": f"{slug}-l", "var_type": slug}
        changed = me.patch(f"variable/{farm.variable['slug']}/", json=units).json()
        assert (changed["input_unit"]["m"], changed["output_unit"]["unit_full"]) == (378541, "Liters")
        assert me.get(f"variable/{farm.variable['slug']}/type/").json() == vartype
        for wrong, field in (
            (body, "slug"),
            ({"name": "x", "input_units": [{"unit_full": "x", "d": 0}]}, "input_units"),
            ({"name": "x", "output_units": 5}, "output_units"),
            ({"name": "x", "output_units": [5]}, "output_units"),
            ({}, "name"),
        ):
            answer = me.post("vartype/", json=wrong)
            assert (answer.status_code, list(answer.json())) == (400, [field])
        assert me.get("vartype/x/").status_code == 404, "nothing half-written"
        assert me.delete(f"vartype/{slug}/").status_code == 204
        assert me.get(f"variable/{farm.variable['slug']}/").json()["output_unit"] is None
        graph = made(me.post("sg/", json={"slug": slug, "major_version": 1}))
        assert me.get(f"sg/{slug}/").json() == graph
        assert me.post("sg/", json={"slug": slug}).status_code == 400
        deep = '{"slug": "deep", "a": ' + "[" * 300 + "]" * 300 + "}"
        assert me.post("sg/", data=deep).status_code == 400
        assert me.get("sg/").status_code == 200
    finally:
        server.on_server(accounts.set_staff(ana.account.id, False))


def test_what_is_deleted_meanwhile_is_a_conflict(platform_server: RunningServer) -> None:
    """The account is remembered for a second, in which it may go."""
    account = make_account(platform_server)
    api = IOTileApi(platform_server).login(account)
    assert api.get("org/").status_code == 200
    platform_server.on_server(platform_server.app.platform.users.delete(account.account))
    answer = api.post("org/", json={"name": f"Late {uuid4().hex[:8]}"})
    told = (answer.status_code, answer.json())
    late = (401, {"detail": "User account is disabled or its password was changed."})
    assert told in ((409, {"detail": "What this belongs to has just been deleted."}), late)


def test_one_of_many_gets_the_name(me: IOTileApi) -> None:
    name = f"Race {uuid4().hex[:8]}"
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: me.post("org/", json={"name": name}).status_code, range(6)))
    assert sorted(answers) == [201, 400, 400, 400, 400, 400]


def test_one_of_many_claims_a_device(me: IOTileApi, farm: Farm) -> None:
    device = made(me.post("device/", json={"project": farm.project["id"]}))
    path = f"device/{device['slug']}/"
    assert me.post(f"{path}unclaim/").status_code == 204
    with ThreadPoolExecutor(6) as threads:
        given = {"project": farm.project["id"]}
        answers = list(threads.map(lambda _: me.post(f"{path}claim/", json=given).status_code, range(6)))
    assert sorted(answers) == [200, 400, 400, 400, 400, 400]
    assert me.post(f"{path}unclaim/").status_code == 204


def test_a_device_that_just_joined_keeps_its_project(
    me: IOTileApi, farm: Farm, admin: psycopg.Connection[Any]
) -> None:
    project = made(me.post("project/", json={"name": "Busy", "org": farm.org["slug"]}))
    device = farm.devices[2]["id"]
    with ThreadPoolExecutor(1) as threads:
        with admin.transaction():
            change = "UPDATE carto_like.iotile_device SET project = %s WHERE id = %s"
            admin.execute(change, (project["id"], device))
            deleted = threads.submit(me.delete, f"project/{project['id']}/")
            eventually(lambda: is_anybody_waiting(admin), "the deletion waits")
        assert deleted.result().status_code == 403
    assert me.get(f"project/{project['id']}/").status_code == 200
    admin.execute(change, (farm.project["id"], device))


def is_anybody_waiting(admin: psycopg.Connection[Any]) -> bool:
    return admin.execute("SELECT FROM pg_locks WHERE NOT granted").fetchone() is not None
