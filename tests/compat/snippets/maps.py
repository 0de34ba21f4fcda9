"""A named map made, changed, listed and instantiated, and an anonymous one."""

import os

from carto.auth import APIKeyAuthClient
from carto.maps import AnonymousMap, NamedMap, NamedMapManager

auth_client = APIKeyAuthClient(api_key=os.environ["CARTO_API_KEY"], base_url=os.environ["CARTO_API_URL"])

layers = [{"type": "cartodb", "options": {"sql": "SELECT * FROM trees"}}]
layergroup = {"version": "1.8.0", "layers": layers}
template = {
    "version": "0.0.1",
    "name": "all_trees",
    "auth": {"method": "token", "valid_tokens": ["first", "second"]},
    "placeholders": {"id": {"type": "number", "default": 1}},
    "layergroup": layergroup,
    "view": {"zoom": 2, "center": {"lng": 0, "lat": 0}},
}

named_map_manager = NamedMapManager(auth_client)
before = len(named_map_manager.all())
named_map = named_map_manager.create(template=template)
print(named_map.template_id)

named_map.instantiate({"id": 2}, "second")
print(named_map.layergroupid.count("@"), named_map.last_updated is not None)

named_map.view = None
named_map.save()
print(named_map.view)

found = named_map_manager.get("all_trees")
print(found.template_id, found.layergroup["layers"] == layers)
print(len(named_map_manager.all()) - before)
print(found.get_tile_url(0, 0, 0, layer_id="all").split("/user/")[1].split("/", 1)[1])

by_hand = NamedMap(auth_client)
by_hand.template_id = "all_trees"
print(by_hand.delete().status_code)
try:
    named_map_manager.get("all_trees")
except Exception as e:
    print(type(e).__name__)

anonymous_map = AnonymousMap(auth_client)
anonymous_map.instantiate(layergroup)
print(anonymous_map.layergroupid in anonymous_map.get_tile_url(0, 0, 0))
