"""A farm of sensors on a test server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from tests.support.api import make_account
from tests.support.iotile import IOTileApi
from tests.support.server import RunningServer

Json = dict[str, Any]


@dataclass(frozen=True)
class Sensors:
    """A project with one device, and a variable of gallons shown in acre feet.

    Attributes:
        api: requests of the account that owns them.
        stream: slug of what the device records of the variable.
        bare: slug of what it records of a variable that nobody described.
    """

    api: IOTileApi
    org: Json
    project: Json
    device: Json
    variable: Json
    stream: str
    bare: str

    @property
    def number(self) -> int:
        """Of the device."""
        return int(self.device["slug"][3:].replace("-", ""), 16)

    def post(self, items: Sequence[tuple[str, int]], stream: str | None = None) -> None:
        """Record ``(moment, integer)`` pairs."""
        stream = stream or self.stream
        readings = [{"stream": stream, "timestamp": at, "int_value": value} for at, value in items]
        answer = self.api.post("data/", json=readings)
        assert (answer.status_code, answer.json()) == (201, {"count": len(items)}), answer.text


def make_sensors(server: RunningServer) -> Sensors:
    """A new account with sensors of its own."""
    api = IOTileApi(server).login(make_account(server))

    def made(path: str, **body: Any) -> Json:
        answer = api.post(path, json=body)
        assert answer.status_code == 201, answer.text
        made: Json = answer.json()
        return made

    org = made("org/", name=f"Farm {uuid4().hex[:8]}")
    project = made("project/", name="Pumps", org=org["slug"])
    device = made("device/", project=project["id"], label="Pump", lat=41.15, lon=-8.61)
    variable = made(
        "variable/",
        name="Flow",
        project=project["slug"],
        lid=0x5001,
        multiplication_factor=100,
        division_factor=1,
    )
    head = f"s--{project['slug'][3:]}--{device['slug'][3:]}"
    return Sensors(api, org, project, device, variable, f"{head}--5001", f"{head}--5002")
