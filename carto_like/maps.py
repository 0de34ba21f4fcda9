"""Maps: named ones, which are templates kept on the server, and anonymous ones, which are made on the fly."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar
from urllib.parse import urlencode, urljoin

import requests

from carto_like import _mapaddresses as addresses
from carto_like._mapaddresses import Box, Center
from carto_like._mapviews import MapViews, one_of
from carto_like.core import _pyrestcli
from carto_like.core.fields import CharField, DictField
from carto_like.core.manager import Manager
from carto_like.exceptions import CartoConfigurationException, wrapped
from carto_like.resources import Resource

__all__ = [
    "ANONYMOUS_API_ENDPOINT",
    "API_VERSION",
    "NAMED_API_ENDPOINT",
    "AnonymousMap",
    "BaseMap",
    "NamedMap",
    "NamedMapManager",
]

API_VERSION = "v1"
NAMED_API_ENDPOINT = "api/{api_version}/map/named/"
ANONYMOUS_API_ENDPOINT = "api/{api_version}/map/"


class BaseMap(MapViews, Resource):
    """What both kinds of maps have once they are instantiated.

    Attributes:
        layergroupid: token of the instance, which the addresses of its tiles hold.
        last_updated: when the data behind it changed last, as the server writes it.
        metadata: what the server tells about the layers.
        cdn_url: hosts from which tiles can be fetched, too; None when there are none.
    """

    layergroupid = CharField()
    last_updated = CharField()
    metadata = DictField()
    cdn_url = DictField()

    class Meta:
        partial_update = False
        read_only = ("layergroupid", "last_updated", "metadata", "cdn_url")

    def get_tile_url(
        self,
        x: Any,
        y: Any,
        z: Any,
        layer_id: Any = None,
        feature_id: Any = None,
        filter: Any = None,
        extension: str = "png",
    ) -> str:
        """Address of a tile, or with ``feature_id`` of the attributes of a row.

        It holds the map's authorization token, if it has one, and never the API key. ``x``, ``y`` and ``z``
        may be placeholders such as ``"{x}"``, which web maps fill in.

        Raises:
            CartoException: there is no such address: the map has to be instantiated first, a row needs to
                know its layer, or both ``layer_id`` and ``filter`` are given.
        """
        if feature_id is not None:
            if layer_id is None:
                raise CartoConfigurationException("the attributes of a row need layer_id, too")
            path = addresses.attributes_path(self._instance_root(), layer_id, feature_id)
        else:
            layer = one_of(layer_id, filter)
            path = addresses.tile_path(self._root(layer), x, y, z, self._drawn(layer), extension)
        query = urlencode(self._query())
        url = urljoin(str(self.client.base_url), path)
        return f"{url}?{query}" if query else url

    def _instantiate(self, path: str, params: Mapping[str, Any] | None, query: Mapping[str, str]) -> None:
        """Have the server make an instance, and take over what it says of it."""
        with wrapped(self.client):
            response = self.client.send(path, "post", json=dict(params or {}), params=dict(query))
            self.load(self.client.get_response_data(response))


class NamedMap(BaseMap):
    """A template of a map: its data, its style, and who may see it.

    Attributes:
        template_id: its name, once the server knows it.
        version: of the format of templates, ``0.0.1``.
        name: letters, digits, ``_`` and ``-``.
        auth: ``{"method": "open"}``, or ``{"method": "token", "valid_tokens": [...]}``.
        placeholders: what ``<%= name %>`` in layers stands for, with type and default.
        layergroup: the layers.
        view: what pictures of the map show; None leaves that to the data.
    """

    template_id = CharField()
    version = CharField()
    name = CharField()
    auth = DictField()
    placeholders = DictField()
    layergroup = DictField()
    view = DictField()

    optional_fields: ClassVar[list[str]] = ["template_id", "layergroupid", "last_updated"]

    class Meta:
        collection_endpoint = NAMED_API_ENDPOINT.format(api_version=API_VERSION)
        id_field = "template_id"
        name_field = "name"
        read_only = ("template_id", "layergroupid", "last_updated", "metadata", "cdn_url")

    def __init__(self, auth_client: Any) -> None:
        super().__init__(auth_client)
        self._others: dict[str, Any] = {}
        self._params: dict[str, Any] = {}
        self._token: str | None = None

    def __str__(self) -> str:
        return str(self.name or self.template_id or repr(self))

    def load(self, body: Any) -> None:
        """Take over a template as the server stores it, or what it says of one."""
        template = body.get("template") if isinstance(body, Mapping) else None
        if not isinstance(template, Mapping):
            super().load(body)
            return
        super().load({**template, "template_id": template.get("name")})
        self._others = {name: value for name, value in template.items() if name not in self.fields}

    @property
    def token(self) -> str | None:
        """What the map's addresses hold: the token of the instance, or the first valid one, or None."""
        if self._token is not None:
            return self._token
        if isinstance(self.auth, Mapping) and self.auth.get("method") == "token":
            valid: Iterable[str] = self.auth.get("valid_tokens") or ()
            return next(iter(valid), None)
        return None

    def fill(self, template: Mapping[str, Any]) -> None:
        """Set everything that a template names; what has no attribute of its own is kept and sent, too."""
        self.update_from_dict({name: template[name] for name in _TEMPLATE if name in template})
        self._others = {name: value for name, value in template.items() if name not in self.fields}

    def instantiate(self, params: Mapping[str, Any] | None, auth: str | None = None) -> None:
        """Make an instance of the map, whose tiles can be fetched.

        Args:
            params: values of placeholders; the defaults stand for those that are missing.
            auth: one of the valid tokens, when the map asks for one.

        Raises:
            CartoException: the token is wrong, a value is not of its placeholder's type, or the map cannot
                be drawn.
        """
        query = {} if auth is None else {"auth_token": auth}
        self._instantiate(self._endpoint(), params, query)
        self._params, self._token = dict(params or {}), auth

    def _payload(self, create: bool, names: tuple[str, ...] | None) -> dict[str, Any]:
        # The server replaces the whole template, and takes a part that is not there for none.
        values = {name: value for name, value in super()._payload(create, names).items() if value is not None}
        return {**self._others, **values}

    def _query(self) -> dict[str, Any]:
        token = self.token
        return {} if token is None else {"auth_token": token}

    def _root(self, layer: Any) -> str:
        return self._instance_root() if self.layergroupid else addresses.named_root(self._known_id())

    def _drawn(self, layer: Any) -> Any:
        # Tiles of a template that was not instantiated always name their layers.
        return "all" if layer is None and not self.layergroupid else layer

    def _image_address(
        self, size: tuple[int, int], center: Center | None, zoom: int | None, bbox: Box | None, suffix: str
    ) -> tuple[str, dict[str, Any]]:
        if self.layergroupid and (center is not None or bbox is not None):
            return super()._image_address(size, center, zoom, bbox, suffix)
        query = {**self._query(), **addresses.view_query(center, zoom, bbox)}
        if self._params:
            query["config"] = json.dumps(self._params)
        return addresses.named_image_path(self._known_id(), size, suffix), query

    def _endpoint(self) -> str:
        self._known_id()
        return str(self.get_resource_endpoint())

    def _known_id(self) -> str:
        if not self.template_id:
            raise CartoConfigurationException("the map is not on the server: NamedMapManager creates it")
        return self.template_id


_TEMPLATE = ("version", "name", "auth", "placeholders", "layergroup", "view")


class AnonymousMap(BaseMap):
    """A map that is made of a configuration, and forgotten by the server some hours after its last use."""

    optional_fields: ClassVar[list[str]] = ["cdn_url", "last_updated", "layergroupid", "metadata"]

    class Meta:
        collection_endpoint = ANONYMOUS_API_ENDPOINT.format(api_version=API_VERSION)

    def __str__(self) -> str:
        return str(self.layergroupid or repr(self))

    def __repr__(self) -> str:
        return f"<AnonymousMap layergroupid={self.layergroupid!r}>"

    def instantiate(self, params: Mapping[str, Any] | None) -> None:
        """Make the map.

        Args:
            params: its configuration, with ``version`` and ``layers``.

        Raises:
            CartoException: the configuration cannot be drawn, or reads what the key may not read.
        """
        self._instantiate(self.get_collection_endpoint(), params, {})

    def save(self, force_create: bool = False, fields: Iterable[str] | None = None) -> requests.Response:
        """Not possible: an anonymous map is made by :meth:`instantiate` and kept nowhere.

        Raises:
            CartoException: always.
        """
        raise CartoConfigurationException("an anonymous map is not saved: instantiate() makes it")


# Not CARTO's own manager: templates are listed on one page.
class NamedMapManager(Manager[NamedMap]):
    """Creates, finds and lists named maps; all of it needs the master key.

    Example::

        named_map = NamedMapManager(auth_client).create(template=template)
        named_map.instantiate({"color": "#00f"})
        named_map.save_image("map.png")
    """

    resource_class = NamedMap
    json_collection_attribute = "template_ids"
    paginator_class: type[_pyrestcli.Paginator] = _pyrestcli.DummyPaginator

    def create(self, template: Mapping[str, Any] | None = None, **kwargs: Any) -> NamedMap:
        """Store a template and return its map.

        Args:
            template: ``version``, ``name`` and ``layergroup``, and ``auth``, ``placeholders`` and ``view`` as
                needed; it is not changed.
            **kwargs: parts of the template by name, instead of it or on top of it.

        Raises:
            CartoException: no template is given, or the server refused it.
        """
        given = {**(template or {}), **kwargs}
        if not given:
            raise CartoConfigurationException(
                "a named map is created from a template: create(template={...})"
            )
        named_map = self.new_resource()
        named_map.fill(given)
        named_map.save(force_create=True)
        return named_map
