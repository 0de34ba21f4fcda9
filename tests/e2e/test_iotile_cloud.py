"""Scripts' client against the platform: what tests of such scripts expect of a cloud."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import requests

from carto_like.iotile.api.connection import Api
from carto_like.iotile.api.exceptions import HttpNotFoundError
from carto_like.server.iotile.bed import IOTileCloud
from tests.support.reports import binary_report

METERS = Path(__file__).parent / "iotile_data" / "meters.json"
DEVICE = "d--0000-0000-0000-00d2"
STREAM = "s--0000-0077--0000-0000-0000-00d2--5001"
PROJECT_ID = "1c07fdd0-3fad-4549-bd56-5af2aca18d5b"
EMAIL, PASSWORD = "test@arch-iot.com", "correct horse"


@pytest.fixture(scope="module")
def cloud(iotile_cloud: IOTileCloud) -> IOTileCloud:
    iotile_cloud.quick_add_user(EMAIL, PASSWORD)
    iotile_cloud.add_data(METERS)
    return iotile_cloud


@pytest.fixture(scope="module")
def api(cloud: IOTileCloud) -> Api:
    """Logged in."""
    connection = Api(domain=cloud.url)
    assert connection.login(email=EMAIL, password=PASSWORD) is True
    return connection


def test_login(cloud: IOTileCloud) -> None:
    domain, unpacked = cloud
    assert unpacked is cloud
    api = Api(domain=domain)
    assert domain.startswith("http://")
    assert api.login(email=EMAIL, password="wrong pass") is False
    assert api.login(email="nobody@arch-iot.com", password=PASSWORD) is False
    assert api.login(email=EMAIL, password=PASSWORD) is True
    token = api.token
    assert api.refresh_token() is True
    assert api.token
    api.logout()
    assert not api.token
    assert not api.username
    api.set_token(token)
    accounts = api.account.get()
    assert (accounts["count"], accounts["results"][0]["email"]) == (1, EMAIL)


def test_things_by_their_names(api: Api) -> None:
    assert api.device(DEVICE).get()["slug"] == DEVICE
    assert api.datablock("b--0001-0000-0000-00d2").get()["title"] == "First week"
    assert api.stream(STREAM).get()["slug"] == STREAM
    assert api.project(PROJECT_ID).get()["slug"] == "p--0000-0077"
    vartype = api.vartype("water-meter-volume").get()
    assert vartype["output_units"][0]["unit_short"] == "af"
    assert api.sg("water-meter-v1-1-0").get()["major_version"] == 1
    assert api.dt("es1-v3-0-0").get()["family"] == "es1"
    facts = api.property.get(target=DEVICE)["results"]
    assert [(fact["name"], fact["value"]) for fact in facts] == [("Serial", "A-12")]


def test_events(api: Api) -> None:
    events = api.event.get(filter=STREAM)
    assert events["count"] == 3
    first, second, third = (event["id"] for event in events["results"])
    assert api.event(first).data.get() == {"x": [1, 2, 3]}
    assert api.event(second).data.get() == {"x": [2, 2, 3]}
    with pytest.raises(HttpNotFoundError):
        api.event(third).data.get()


def test_stream_counts(api: Api) -> None:
    counts = api.device(DEVICE).extra.get()["stream_counts"]
    assert {slug[-4:]: (count["data_cnt"], count["has_streamid"]) for slug, count in counts.items()} == {
        "5001": (11, True),
        "5002": (3, True),
        "5003": (4, False),
    }


def test_raw_data(api: Api) -> None:
    data = api.data.get(filter=STREAM)
    assert data["count"] == 11
    first = data["results"][0]
    assert (first["project"], first["device"], first["stream"]) == ("p--0000-0077", DEVICE, STREAM)
    assert (first["int_value"], first["value"]) == (100, pytest.approx(37854.1))
    assert api.data.get(filter=STREAM.replace("5001", "5003"))["count"] == 4
    reading = api.stream(STREAM).data.get(lastn=11)["results"][0]
    assert reading["output_value"] == pytest.approx(0.0306888, abs=1e-7)


def test_data_frame(api: Api) -> None:
    lines = api.df.get(filter=STREAM, format="csv").decode().splitlines()
    assert len(lines) == 12
    assert lines[0] == "row,value,stream_slug"
    moment, value, slug = lines[1].split(",")
    assert (moment, slug) == ("2017-01-10T10:00:00Z", STREAM)
    assert float(value) == pytest.approx(37854.1)


def test_device_changes(api: Api) -> None:
    assert api.device(DEVICE).patch({"sg": "water-meter-v2-0-0"})["sg"] == "water-meter-v2-0-0"
    assert api.device(DEVICE).get()["sg"] == "water-meter-v2-0-0"


class TestQuickAdditions:
    """Each with a cloud that was empty."""

    @pytest.fixture
    def api(self, iotile_cloud_private: IOTileCloud) -> Api:
        iotile_cloud_private.quick_add_user("other@arch-iot.com", PASSWORD)
        connection = Api(domain=iotile_cloud_private.url)
        assert connection.login(email="other@arch-iot.com", password=PASSWORD)
        return connection

    def test_one_of_each(self, iotile_cloud_private: IOTileCloud, api: Api) -> None:
        cloud = iotile_cloud_private
        assert api.org.get()["count"] == 0, "nothing is left of the test before"
        org = cloud.quick_add_org("Test Org")
        assert org == "test-org"
        project_id, project = cloud.quick_add_project("Meters", org)
        device = cloud.quick_add_device(project_id)
        streamer = cloud.quick_add_streamer(device, 0, 10)
        assert api.org(org).get()["name"] == "Test Org"
        assert api.project(project_id).get()["slug"] == project
        assert api.streamer(streamer).get()["last_id"] == 10
        cloud.quick_add_user("third@arch-iot.com", PASSWORD)
        third = Api(domain=cloud.url)
        assert third.login(email="third@arch-iot.com", password=PASSWORD)
        assert third.org(org).projects.get()["count"] == 1

    def test_streamers(self, iotile_cloud_private: IOTileCloud, api: Api) -> None:
        cloud = iotile_cloud_private
        assert api.streamer.get()["count"] == 0
        project_id, _ = cloud.quick_add_project()
        one = cloud.quick_add_device(project_id, streamers=[0, (1, 15)])
        cloud.quick_add_device(project_id, streamers=[{"streamer_index": 0, "is_system": True}])
        assert api.streamer.get()["count"] == 3
        found = api.streamer.get(device=one)["results"]
        assert [(streamer["index"], streamer["last_id"]) for streamer in found] == [(0, 0), (1, 15)]
        assert {streamer["device"] for streamer in found} == {one}
        assert api.streamer("t--0000-0000-0000-0002--0000").get()["is_system"] is True
        with pytest.raises(HttpNotFoundError):
            api.streamer("t--0000-0000-0000-0002--0009").get()

    def test_devices_and_fleets(self, iotile_cloud_private: IOTileCloud, api: Api) -> None:
        cloud = iotile_cloud_private
        first, second = cloud.quick_add_project("A")[0], cloud.quick_add_project("B")[0]
        devices = [cloud.quick_add_device(first) for _ in range(2)]
        devices += [cloud.quick_add_device(second, number) for number in (0x10, 0x11, 0x12)]
        assert devices[2] == "d--0000-0000-0000-0010"
        assert api.device.get()["count"] == 5
        assert [api.device.get(project=each)["count"] for each in (first, second)] == [2, 3]
        small = cloud.quick_add_fleet([devices[0]], fleet_slug="g--0000-0000-0007")
        large = cloud.quick_add_fleet([(devices[0], False, True), *devices[2:4]], is_network=True)
        assert small == "g--0000-0000-0007"
        assert api.fleet.get()["count"] == 2
        assert api.fleet(large).get() in api.fleet.get()["results"]
        counts = [api.fleet.get(device=devices[place])["count"] for place in (2, 1, 0)]
        assert counts == [1, 0, 2]
        members = api.fleet(large).devices.get()["results"]
        assert len(members) == 3
        assert (members[0]["always_on"], members[0]["is_access_point"]) == (False, True)

    def test_report(self, iotile_cloud_private: IOTileCloud, api: Api) -> None:
        cloud = iotile_cloud_private
        cloud.quick_add_device(cloud.quick_add_project()[0], 10)
        assert api.streamer.report.get()["count"] == 0
        readings = [(0x5001, number, number, 2 * number) for number in range(1, 101)]
        content = binary_report(10, readings, index=1, selector=0xABCD)
        assert len(content) == 1644
        file = io.BytesIO(content)
        file.name = "report.bin"
        told = api.streamer.report.upload_fp(file, timestamp="2017-12-10T10:00:00Z")
        assert told == {"count": 100}
        streamer = api.streamer("t--0000-0000-0000-000a--0001").get()
        assert (streamer["last_id"], streamer["selector"]) == (100, 0xABCD)
        (report,) = api.streamer.report.get()["results"]
        assert api.streamer.report(report["id"]).get() == report
        kept = api.path("streamer", "report", report["id"], "file").get()
        assert kept == content
        device_counts = api.device("d--000a").extra.get()["stream_counts"]
        assert [count["data_cnt"] for count in device_counts.values()] == [100]

    def test_readings_in_a_folder(self, iotile_cloud_private: IOTileCloud, api: Api, tmp_path: Path) -> None:
        cloud = iotile_cloud_private
        (tmp_path / f"{STREAM}.json").write_text('[{"timestamp": "2017-01-01T00:00:00Z", "int_value": 3}]')
        cloud.stream_folder = tmp_path
        cloud.add_data(METERS)
        assert api.data.get(filter=STREAM)["count"] == 12

    @pytest.mark.parametrize(
        ("content", "named"),
        [
            ('{"cats": []}', "cats"),
            ('{"devices": [{"project": null}]}', "slug"),
            ('{"projects": [{"org": "none"}]}', "none"),
            ('{"orgs": [{"name": "x", "colour": 1}]}', "orgs"),
        ],
    )
    def test_bad_data_is_named(
        self, iotile_cloud_private: IOTileCloud, tmp_path: Path, content: str, named: str
    ) -> None:
        path = tmp_path / "data.json"
        path.write_text(content)
        with pytest.raises(ValueError, match=named):
            iotile_cloud_private.add_data(path)


def test_without_a_token(cloud: IOTileCloud) -> None:
    answer: Any = requests.get(f"{cloud.url}/api/v1/data/", params={"filter": STREAM}, timeout=10)
    assert answer.status_code == 401
