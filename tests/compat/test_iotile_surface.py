"""What scripts written for ``iotile_cloud`` import and call is here, under the same names."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest

from carto_like.iotile.api import connection
from carto_like.iotile.api.exceptions import RestBaseException

ERRORS = (
    "RestBaseException RestHttpBaseException HttpClientError HttpNotFoundError HttpServerError "
    "HttpCouldNotVerifyServerError SerializerNoRestailable SerializerNotRestailable ImproperlyConfigured"
)
SLUGS = "CloudSlug ProjectSlug DeviceSlug FleetSlug BlockSlug VariableSlug StreamSlug StreamerSlug"
HELPERS = (
    "int16gid int32gid int48gid int64gid int2pid int2did int2fid int2vid int2bid gid_split gid_join fix_gid"
)
MODULES = {
    "api.connection": "Api RestResource DOMAIN_NAME API_PREFIX DEFAULT_HEADERS DEFAULT_TOKEN_TYPE",
    "api.exceptions": ERRORS,
    "stream.data": "BaseData StreamData RawData StreamRawData",
    "stream.report": "BaseReportGenerator AccumulationReportGenerator",
    "utils.gid": " ".join(["gid2int", HELPERS, *(f"IOTile{name}" for name in SLUGS.split())]),
    "utils.mdo": "MdoHelper",
    "utils.main": "BaseMain",
    "utils.basic": "datetime_to_str",
}
# Positional arguments, in their order; a star begins those that take anything.
SIGNATURES = {
    "api.connection.Api": "domain token_type verify timeout retries",
    "api.connection.Api.login": "self password email",
    "api.connection.Api.set_token": "self token token_type",
    "api.connection.Api.logout": "self",
    "api.connection.Api.refresh_token": "self",
    "api.connection.RestResource": "**store",
    "api.connection.RestResource.__call__": "self id action",
    "api.connection.RestResource.url": "self",
    "api.connection.RestResource.get": "self **kwargs",
    "api.connection.RestResource.post": "self data **kwargs",
    "api.connection.RestResource.put": "self data **kwargs",
    "api.connection.RestResource.patch": "self data **kwargs",
    "api.connection.RestResource.delete": "self data **kwargs",
    "api.connection.RestResource.upload_fp": "self fp data **kwargs",
    "api.connection.RestResource.upload_file": "self filename data mode **kwargs",
    "stream.data.BaseData": "api",
    "stream.data.BaseData.initialize_from_server": "self *args **kwargs",
    "stream.data.BaseData._fetch_data": "self **params",
    "stream.data.StreamData": "stream_id api",
    "stream.data.RawData": "api",
    "stream.data.StreamRawData": "stream_id api",
    "stream.report.BaseReportGenerator": "api",
    "stream.report.BaseReportGenerator.compute_sum": "self sources start end",
    "stream.report.BaseReportGenerator._process_data": "self start end",
    "utils.gid.IOTileProjectSlug": "id",
    "utils.gid.IOTileDeviceSlug": "id allow_64bits",
    "utils.gid.IOTileFleetSlug": "id",
    "utils.gid.IOTileBlockSlug": "id block",
    "utils.gid.IOTileVariableSlug": "id project",
    "utils.gid.IOTileStreamSlug": "id",
    "utils.gid.IOTileStreamSlug.from_parts": "self project device variable",
    "utils.gid.IOTileStreamSlug.get_parts": "self",
    "utils.gid.IOTileStreamerSlug": "device index",
    "utils.gid.IOTileCloudSlug.set_from_single_id_slug": "self type terms id",
    "utils.mdo.MdoHelper": "m d o",
    "utils.mdo.MdoHelper.compute": "self value",
    "utils.mdo.MdoHelper.compute_value": "self value",
    "utils.mdo.MdoHelper.compute_reverse": "self value",
    "utils.basic.datetime_to_str": "dt",
}
HOOKS = "main config_logging add_extra_args get_domain login logout before_login after_login after_logout"
STARS: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}


def found(path: str) -> Any:
    """The thing at a path below the package; its first two parts are the module."""
    folder, module, *names = path.split(".")
    thing: Any = importlib.import_module(f"carto_like.iotile.{folder}.{module}")
    for name in names:
        thing = getattr(thing, name)
    return thing


@pytest.mark.parametrize("module", MODULES)
def test_names(module: str) -> None:
    for name in MODULES[module].split():
        assert found(f"{module}.{name}") is not None


@pytest.mark.parametrize("path", SIGNATURES)
def test_signatures(path: str) -> None:
    parameters = inspect.signature(found(path)).parameters.values()
    shown = [
        STARS.get(parameter.kind, "") + parameter.name
        for parameter in parameters
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY
    ]
    assert shown == SIGNATURES[path].split()


def test_constants() -> None:
    assert (connection.DOMAIN_NAME, connection.API_PREFIX) == ("https://iotile.cloud", "api/v1")
    assert connection.DEFAULT_HEADERS == {"Content-Type": "application/json"}
    assert connection.DEFAULT_TOKEN_TYPE == "jwt"


def test_errors_have_one_root() -> None:
    for name in ERRORS.split():
        assert issubclass(found(f"api.exceptions.{name}"), RestBaseException)
    assert issubclass(found("api.exceptions.HttpNotFoundError"), found("api.exceptions.HttpClientError"))


def test_hooks_of_scripts() -> None:
    for name in HOOKS.split():
        assert callable(getattr(found("utils.main.BaseMain"), name))
